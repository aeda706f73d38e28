import type { Json } from '../model/index.ts'
import type { CallOptions } from './call-options.ts'

/** A message on its way to a broker. */
export interface BrokerMessage {
  /** Stable: the same however often the message is published, so that receivers can tell. */
  readonly id: string
  /** Where it goes: a topic, a queue, an exchange. */
  readonly topic: string
  /** Messages of one key keep their order. */
  readonly key: string
  readonly type: string
  readonly payload: Json
  readonly headers: Readonly<Record<string, string>>
  /** Milliseconds since the epoch. */
  readonly time: number
}

/**
 * Takes messages away to other programs.
 *
 * Law: `publish` resolves once the broker has all messages for good; when it rejects, any part of
 * them may have been taken, and the same messages come again with the same ids. Messages of one
 * key reach the broker in the order of the list, and in the order of the calls, which do not
 * overlap for one key. At least once is promised, exactly once is not.
 */
export interface Broker {
  publish(messages: readonly BrokerMessage[], options?: CallOptions): Promise<void>
  /** Waits for what is under way and releases everything. */
  close(): Promise<void>
}
