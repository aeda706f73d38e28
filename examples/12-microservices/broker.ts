import type { Broker, BrokerMessage } from 'eventuali/ports'

type Receiver = (message: BrokerMessage) => Promise<void>

/**
 * A broker between the services. It stands for Kafka, RabbitMQ or NATS, which would be reached by
 * the same port, `publish` and `close`. Like them it promises "at least once", and it makes the
 * most of that: it takes every third call and loses the answer, so the outbox sends the messages
 * again.
 */
export class TownBroker implements Broker {
  readonly #receivers = new Map<string, Receiver>()
  /** What nobody has listened to yet, by topic. */
  readonly #kept = new Map<string, BrokerMessage[]>()
  readonly #ids = new Set<string>()
  #calls = 0
  delivered = 0

  /** Messages that were delivered, however often. */
  get different(): number {
    return this.#ids.size
  }

  /** Listens to a topic, to what came before too. */
  async subscribe(topic: string, receiver: Receiver): Promise<void> {
    const kept = this.#kept.get(topic) ?? []
    // More may come while these are handled; all of them are older than what comes directly.
    for (let next = kept.shift(); next !== undefined; next = kept.shift()) await receiver(next)
    this.#receivers.set(topic, receiver)
  }

  async publish(messages: readonly BrokerMessage[]): Promise<void> {
    this.#calls++
    const losesTheAnswer = this.#calls % 3 === 1
    for (const message of messages) {
      await this.#deliver(message)
      this.delivered++
      this.#ids.add(message.id)
    }
    if (losesTheAnswer) throw new Error('the answer was lost')
  }

  async #deliver(message: BrokerMessage): Promise<void> {
    const receive = this.#receivers.get(message.topic)
    if (receive !== undefined) return receive(message)
    const kept = this.#kept.get(message.topic) ?? []
    kept.push(message)
    this.#kept.set(message.topic, kept)
  }

  async close(): Promise<void> {}
}
