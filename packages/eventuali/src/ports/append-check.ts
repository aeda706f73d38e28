import {
  assertEventId,
  assertStreamName,
  assertTag,
  assertTypeName,
  EmptyAppendError,
  type ExpectedVersion,
  InvalidArgumentError,
  isSystemType,
  systemEventTypes,
} from '../model/index.ts'
import type { AppendEntry, AppendRequest, NewEvent, StreamChange } from './event-store.ts'

const typeOfChange = {
  archive: systemEventTypes.archived,
  unarchive: systemEventTypes.unarchived,
  truncate: systemEventTypes.truncated,
  delete: systemEventTypes.deleted,
} as const

/** What a Date can say. */
const TIME_MS_MAX = 8.64e15

/**
 * Throws unless the request keeps what a store relies on: for a program that takes requests from
 * elsewhere and hands them to a store. The data of events the store itself checks.
 *
 * Throws InvalidArgumentError, InvalidNameError, EmptyAppendError.
 *
 * @example
 * ```ts
 * import { assertAppendRequest } from 'eventuali/ports'
 *
 * try {
 *   assertAppendRequest({ entries: [{ stream: '', expectedVersion: 'any', events: [] }] })
 * } catch (error) {
 *   console.log((error as { code?: string }).code) // NAME_INVALID
 * }
 * ```
 */
export function assertAppendRequest({ entries, condition }: AppendRequest): void {
  if (entries.length === 0) throw new InvalidArgumentError('entries', 'are none')
  const streams = new Set<string>()
  const withOrdinals = entries.filter(({ ordinals }) => ordinals !== undefined)
  if (withOrdinals.length > 0) assertOrdinals(entries)
  for (const entry of entries) {
    assertEntry(entry)
    if (streams.has(entry.stream)) {
      throw new InvalidArgumentError('entries', `name ${JSON.stringify(entry.stream)} twice`)
    }
    streams.add(entry.stream)
  }
  if (condition === undefined) return
  assertWhole('condition.position', condition.position, 0)
  for (const { types, tags } of condition.query) {
    if (types.length === 0) throw new InvalidArgumentError('condition.query', 'has no types')
    for (const tag of tags) assertTag(tag)
  }
}

function assertEntry({ stream, events, expectedVersion, change }: AppendEntry): void {
  assertStreamName(stream)
  assertExpected(expectedVersion)
  if (events.length === 0) throw new EmptyAppendError(stream)
  if (change !== undefined) assertChange(change, events)
  for (const event of events) assertEvent(event, change)
}

function assertChange(change: StreamChange, events: readonly NewEvent[]): void {
  if (events.length !== 1 || events[0]?.type !== typeOfChange[change.kind]) {
    throw new InvalidArgumentError('change', `needs one ${typeOfChange[change.kind]} event`)
  }
  if (change.kind === 'truncate') assertWhole('change.before', change.before, 1)
}

function assertEvent(event: NewEvent, change: StreamChange | undefined): void {
  const { id, type, tags, time, schemaVersion, metadata } = event
  assertEventId(id)
  if (change === undefined || !isSystemType(type)) assertTypeName(type)
  for (const tag of tags) assertTag(tag)
  if (new Set(tags).size !== tags.length) throw new InvalidArgumentError('tags', 'repeat one')
  if (!(Number.isSafeInteger(time) && Math.abs(time) <= TIME_MS_MAX)) {
    throw new InvalidArgumentError('time', 'is not a whole number of milliseconds of a Date')
  }
  assertWhole('schemaVersion', schemaVersion, 1)
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    throw new InvalidArgumentError('metadata', 'is not an object')
  }
}

function assertExpected(expected: ExpectedVersion): void {
  if (expected === 'any' || expected === 'exists') return
  assertWhole('expectedVersion', expected, 0)
}

function assertOrdinals(entries: readonly AppendEntry[]): void {
  const all = entries.flatMap(({ ordinals, events }) => {
    if (ordinals?.length === events.length) return ordinals
    throw new InvalidArgumentError('ordinals', 'are not one for each event')
  })
  for (const ordinal of all) assertWhole('ordinals', ordinal, 0)
  if (new Set(all).size !== all.length) throw new InvalidArgumentError('ordinals', 'repeat one')
}

function assertWhole(name: string, value: unknown, least: number): void {
  if (Number.isSafeInteger(value) && (value as number) >= least) return
  throw new InvalidArgumentError(name, `is not a whole number from ${least} on`)
}
