import type { Broker, BrokerMessage } from '../../ports/index.ts'
import type { PortMutant } from './mutant.ts'

type Publish = (messages: readonly BrokerMessage[], next: Broker) => Promise<void>

const publishing =
  (publish: Publish) =>
  (next: Broker): Broker => ({
    publish: (messages) => publish(messages, next),
    close: () => next.close(),
  })

/**
 * Brokers that break a law, over a good one: the broker contract must catch each of them.
 *
 * @example
 * ```ts
 * import { brokerMutants } from 'eventuali/testing'
 *
 * for (const mutant of brokerMutants) console.log(mutant.name, 'fails at', mutant.caughtBy)
 * ```
 */
export const brokerMutants: readonly PortMutant<(next: Broker) => Broker>[] = [
  {
    name: 'loses the last message of a list',
    caughtBy: 'broker: messages of one key arrive in the order of the list',
    port: publishing((messages, next) =>
      next.publish(messages.length > 1 ? messages.slice(0, -1) : messages),
    ),
  },
  {
    name: 'hands a list over from its end',
    caughtBy: 'broker: each of many keys keeps its order',
    port: publishing((messages, next) => next.publish(messages.toReversed())),
  },
  {
    name: 'gives messages ids of its own when they come again',
    caughtBy: 'broker: the same messages again keep their ids',
    port: (next) => {
      const seen = new Set<string>()
      return publishing((messages, good) => {
        const renamed = messages.map((one) =>
          seen.has(one.id) ? { ...one, id: `${one.id}!` } : one,
        )
        for (const { id } of messages) seen.add(id)
        return good.publish(renamed)
      })(next)
    },
  },
  {
    name: 'resolves although the broker has failed',
    caughtBy: 'broker: what is refused is said, and can be published again',
    port: publishing((messages, next) => next.publish(messages).catch(() => {})),
  },
  {
    name: 'drops headers',
    caughtBy: 'broker: a message arrives with everything it had',
    port: publishing((messages, next) =>
      next.publish(messages.map((message) => ({ ...message, headers: {} }))),
    ),
  },
  {
    name: 'puts everything into one topic',
    caughtBy: 'broker: topics are kept apart',
    port: publishing((messages, next) => {
      const topic = messages[0]?.topic ?? ''
      return next.publish(messages.map((message) => ({ ...message, topic })))
    }),
  },
  {
    name: 'makes text well-formed',
    caughtBy: 'broker: payloads of every kind come back exactly',
    port: publishing((messages, next) =>
      next.publish(
        messages.map((message) => ({
          ...message,
          payload:
            typeof message.payload === 'string' ? message.payload.toWellFormed() : message.payload,
        })),
      ),
    ),
  },
]
