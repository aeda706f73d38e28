import { InvalidArgumentError } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
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
   * or before it. The newest safe position when left out.
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
    const until = at.getTime() + 1
    const last = { direction: 'backward', by: 'recordedAt', limit: 1, upTo: safe } as const
    for await (const page of port.readLog({ ...last, until, includeArchived: true }, call)) {
      return page[0]?.position ?? 0
    }
    return 0
  }
  if (typeof at !== 'number' || !Number.isSafeInteger(at) || at < 0) {
    throw new InvalidArgumentError('at', 'must be a position (an integer of 0 or more) or a Date')
  }
  if (at > safe) {
    throw new InvalidArgumentError('at', `is ${at}, beyond the newest safe position, ${safe}`)
  }
  return at
}
