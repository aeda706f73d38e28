import { refusalError } from '../commands/index.ts'
import { type Clock, isEventualiError, type Random, retry } from '../kernel/index.ts'
import { encodeEvent, IdempotencyConflictError } from '../model/index.ts'
import type { AppendEntry, AppendOutcome, EventStore, NewEvent } from '../ports/index.ts'
import type { ImportItem, SkippedLine } from './import-lines.ts'

/** What an import needs of a store. */
export type ImportTarget = Pick<EventStore, 'append' | 'eventById'>

/** Where waiting and chance come from. */
export interface StoreBatchSources {
  readonly clock: Clock
  readonly random: Random
}

/** An event and where it belongs. */
export type BatchItem = Pick<ImportItem, 'stream' | 'event'>

/** How many events of a batch were new, and how many the store had. */
export interface StoredCounts {
  readonly events: number
  readonly duplicates: number
}

/** For appends to a storage that is busy or out of reach for a moment. */
export const storageRetryPolicy = { retryCountMax: 6, firstDelayMs: 50, delayMaxMs: 2000 }

// Two importers of one source may pass each other; each round finds more of it known.
const SPLIT_ROUND_MAX = 8

/**
 * Stores items in one atomic append, in the order of their lines. Items that the store has already
 * are left out, whoever stored them: an earlier run, one with other batches, one that was cut off.
 * Throws IdempotencyConflictError when the store has an id with other content.
 */
export async function storeItems(
  target: ImportTarget,
  items: readonly BatchItem[],
  sources: StoreBatchSources,
): Promise<StoredCounts> {
  let rest = items
  for (let round = 0; ; round++) {
    if (rest.length === 0) return { events: 0, duplicates: items.length }
    const outcome = await appendItems(target, rest, sources)
    if (outcome.ok) {
      let events = 0
      for (const entry of outcome.entries) {
        if (entry.duplicate === undefined) events += entry.positions.length
      }
      return { events, duplicates: items.length - events }
    }
    if (outcome.reason !== 'idempotency-conflict' || round === SPLIT_ROUND_MAX)
      throw refusalError(outcome)
    rest = await unknownItems(target, rest)
  }
}

async function appendItems(
  target: ImportTarget,
  items: readonly BatchItem[],
  sources: StoreBatchSources,
): Promise<AppendOutcome> {
  const request = { entries: entriesOf(items) }
  // With ids, a second try of an append whose fate is unknown stores nothing twice.
  const isRepeatable = items.every(({ event }) => event.idGiven)
  return retry(() => target.append(request), {
    policy: storageRetryPolicy,
    retryable: (error) =>
      isEventualiError(error) &&
      (error.retryable || (isRepeatable && error.code === 'OUTCOME_UNKNOWN')),
    ...sources,
  })
}

function entriesOf(items: readonly BatchItem[]): AppendEntry[] {
  const byStream = new Map<string, { events: NewEvent[]; ordinals: number[] }>()
  items.forEach(({ stream, event }, ordinal) => {
    const entry = byStream.get(stream)
    if (entry === undefined) byStream.set(stream, { events: [event], ordinals: [ordinal] })
    else {
      entry.events.push(event)
      entry.ordinals.push(ordinal)
    }
  })
  const entries: AppendEntry[] = []
  for (const [stream, { events, ordinals }] of byStream) {
    entries.push({ stream, expectedVersion: 'any', events, ordinals })
  }
  return entries
}

/** The items that the store does not have, each once. */
export async function unknownItems(
  target: ImportTarget,
  items: readonly BatchItem[],
): Promise<readonly BatchItem[]> {
  const unknown: BatchItem[] = []
  const seen = new Map<string, NewEvent>()
  for (const item of items) {
    const { stream, event } = item
    const key = JSON.stringify([stream, event.id])
    const known = seen.get(key) ?? (await target.eventById(stream, event.id))
    if (known === undefined) {
      seen.set(key, event)
      unknown.push(item)
    } else if (!isSame(known, event)) {
      throw new IdempotencyConflictError(stream, [event.id])
    }
  }
  return unknown
}

function isSame(
  known: { readonly type: string; readonly data: unknown },
  event: NewEvent,
): boolean {
  return known.type === event.type && JSON.stringify(known.data) === JSON.stringify(event.data)
}

/**
 * The items that cannot be encoded, with the reason. Looked for only after an append failed: a
 * store encodes every event anyway, and doing it twice would cost an import a tenth of its speed.
 */
export function unstorableItems(items: readonly ImportItem[]): SkippedLine[] {
  const found: SkippedLine[] = []
  for (const { line, stream, event } of items) {
    try {
      encodeEvent(stream, event)
    } catch (error) {
      if (!isContentError(error)) throw error
      found.push({ line, reason: error.message })
    }
  }
  return found
}

/** Whether an append failed because of what an event holds. */
export function isContentError(error: unknown): error is Error {
  return isEventualiError(error, 'DATA_NOT_JSON') || isEventualiError(error, 'EVENT_TOO_LARGE')
}
