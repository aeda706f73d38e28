import { InvalidArgumentError, nothingRecordedBy, type RecordedEvent } from '../model/index.ts'
import type { EventStore, LogQuery } from '../ports/index.ts'
import type { BoundedCall } from './read-options.ts'

/** How far a fork has come. */
export interface ForkProgress {
  /** The last position that was copied. */
  readonly position: number
  readonly upTo: number
}

/** Options of `store.fork`. */
export interface ForkOptions extends BoundedCall {
  /**
   * The new store: the path of a file that is not there yet (SQLite), or the name of a schema that
   * is not there yet, in the same database (Postgres).
   */
  readonly into: string
  /**
   * The last position that is copied, or a moment by the store's clock: the last event recorded at
   * or before it; one before the first event was recorded is refused. The newest safe position when
   * left out.
   */
  readonly at?: number | Date | undefined
  /**
   * SQLite: the whole file as it stands, with read models, checkpoints and all, through SQLite's
   * backup API. Not together with `at`.
   */
  readonly whole?: boolean | undefined
  /** Milliseconds for all of it; an hour when left out. */
  readonly timeoutMs?: number | undefined
  /** Called between parts of the copy. */
  readonly onProgress?: ((progress: ForkProgress) => void) | undefined
}

/** A fork that is complete. */
export interface ForkResult {
  /** The file or schema. */
  readonly into: string
  /** The last position that is in it; the next one is one more. */
  readonly position: number
  readonly incarnation: string
  readonly events: number
  readonly streams: number
  /**
   * Streams that were truncated or deleted after the position: what they lost is in no store any
   * more, so not in the fork either. The first 100 names.
   */
  readonly reduced: readonly string[]
  readonly reducedCount: number
}

const FORK_TIMEOUT_MS: number = 60 * 60 * 1000

/** `store.fork`. */
export async function forkStore(port: EventStore, options: ForkOptions): Promise<ForkResult> {
  const { into, at, whole, onProgress, signal, timeoutMs = FORK_TIMEOUT_MS } = options
  if (typeof into !== 'string' || into === '') {
    throw new InvalidArgumentError('into', 'must name the new file or schema')
  }
  if (whole === true && at !== undefined) {
    throw new InvalidArgumentError('at', 'cannot be joined with "whole"')
  }
  const call = { signal, timeoutMs }
  const upTo = await positionAt(port, at, call)
  const report = onProgress && ((position: number) => onProgress({ position, upTo }))
  const outcome = await port.fork({ into, upTo, whole, onProgress: report }, call)
  return { into, position: upTo, ...outcome }
}

async function positionAt(
  port: EventStore,
  at: number | Date | undefined,
  call: BoundedCall,
): Promise<number> {
  const { safe } = await port.positions(call)
  if (at === undefined) return safe
  if (at instanceof Date && !Number.isNaN(at.getTime())) {
    return positionByTime(port, at.getTime(), safe, call)
  }
  if (typeof at !== 'number' || !Number.isSafeInteger(at) || at < 0) {
    throw new InvalidArgumentError('at', 'must be a position (an integer of 0 or more) or a Date')
  }
  if (at > safe) {
    throw new InvalidArgumentError('at', `is ${at}, beyond the newest safe position, ${safe}`)
  }
  return at
}

/** The last position recorded by a time. Throws InvalidArgumentError where all came later. */
async function positionByTime(
  port: EventStore,
  time: number,
  safe: number,
  call: BoundedCall,
): Promise<number> {
  const one = { by: 'recordedAt', limit: 1, upTo: safe, includeArchived: true } as const
  const found = await oneOf(port, { ...one, direction: 'backward', until: time + 1 }, call)
  if (found !== undefined) return found.position
  const first = await oneOf(port, { ...one, direction: 'forward' }, call)
  const last = await oneOf(port, { ...one, direction: 'backward' }, call)
  if (first === undefined || last === undefined) return 0
  const recorded = { first: first.recordedAt.getTime(), last: last.recordedAt.getTime() }
  const instead = 'give a later time, or a position: 0 copies no event'
  throw nothingRecordedBy('at', time, recorded, instead)
}

async function oneOf(
  port: EventStore,
  query: LogQuery,
  call: BoundedCall,
): Promise<RecordedEvent | undefined> {
  for await (const [event] of port.readLog(query, call)) return event
  return undefined
}
