import type { Broker, BrokerMessage } from '../ports/index.ts'

/** A broker that keeps what it was handed. */
export interface MemoryBroker extends Broker {
  /** All deliveries in order; one id may come twice. */
  readonly published: readonly BrokerMessage[]
  /** Deliveries without those that came again. */
  readonly messages: readonly BrokerMessage[]
  /** Lets the next calls fail; `after` keeps the messages and loses the answer. */
  fail(count: number, when?: 'before' | 'after'): void
}

/**
 * Makes a broker in memory, for tests of outboxes.
 *
 * @example
 * ```ts
 * import { defineOutbox } from 'eventuali'
 * import { memoryBroker } from 'eventuali/testing'
 *
 * const broker = memoryBroker()
 * const outbox = defineOutbox({ name: 'orders', broker, topic: 'orders' })
 * console.log(outbox.name, broker.messages.length) // orders 0
 * ```
 */
export function memoryBroker(): MemoryBroker {
  const published: BrokerMessage[] = []
  let failuresLeft = 0
  let failsWhen: 'before' | 'after' = 'before'
  return {
    published,
    get messages() {
      const first = new Map<string, BrokerMessage>()
      for (const message of published) if (!first.has(message.id)) first.set(message.id, message)
      return [...first.values()]
    },
    fail: (count, when = 'before') => {
      failuresLeft = count
      failsWhen = when
    },
    publish: async (messages) => {
      const isFailing = failuresLeft > 0
      if (isFailing) failuresLeft -= 1
      if (!isFailing || failsWhen === 'after') published.push(...structuredClone(messages))
      if (isFailing) throw new Error('the broker failed, as a test wanted')
    },
    close: async () => {},
  }
}
