import type { Json } from './json.ts'

/**
 * What travels beside an event. The named keys flow by themselves through commands; the rest is
 * free, as long as JSON can carry it.
 */
export interface EventMetadata {
  readonly correlationId?: string
  readonly causationId?: string
  readonly actor?: string
  readonly tenant?: string
  readonly [key: string]: Json | undefined
}

/** An event as the caller hands it to `append`. */
export interface EventInput<Type extends string = string, Data = unknown> {
  readonly type: Type
  readonly data: Data
  /** Give one to make the append idempotent; otherwise the library draws a UUIDv7. */
  readonly id?: string
  /** When it happened; the time of the call when left out. An importer gives the original. */
  readonly time?: Date
  readonly metadata?: EventMetadata
  /** `key:value` labels for decision models and filters, beside those the schema declares. */
  readonly tags?: readonly string[]
}

/** An event as the log holds it. */
export interface RecordedEvent<Type extends string = string, Data = unknown> {
  readonly id: string
  readonly stream: string
  /** Counts from 1 within the stream. */
  readonly version: number
  /** Place in the log: a safe integer that only grows. Gaps are normal. */
  readonly position: number
  readonly type: Type
  readonly data: Data
  readonly metadata: EventMetadata
  /** The event's own time. */
  readonly time: Date
  /** When the store wrote it, by the store's clock. */
  readonly recordedAt: Date
  readonly schemaVersion: number
  readonly tags: readonly string[]
}

/**
 * Types of the events that the store itself appends when a stream is archived, cut or deleted.
 *
 * @example
 * ```ts
 * import { systemEventTypes } from 'eventuali'
 *
 * console.log(systemEventTypes.deleted) // $deleted
 * ```
 */
export const systemEventTypes = {
  archived: '$archived',
  unarchived: '$unarchived',
  truncated: '$truncated',
  deleted: '$deleted',
} as const

/**
 * Whether a type belongs to the store itself; aggregates never see such events.
 *
 * @example
 * ```ts
 * import { isSystemType } from 'eventuali'
 *
 * console.log(isSystemType('$archived'), isSystemType('OrderPlaced')) // true false
 * ```
 */
export function isSystemType(type: string): boolean {
  return type.startsWith('$')
}

/**
 * The category of a stream: what stands before its first `-`, or all of it without one.
 *
 * @example
 * ```ts
 * import { categoryOf } from 'eventuali'
 *
 * console.log(categoryOf('order-42'), categoryOf('audit')) // order audit
 * ```
 */
export function categoryOf(stream: string): string {
  const dash = stream.indexOf('-')
  return dash === -1 ? stream : stream.slice(0, dash)
}
