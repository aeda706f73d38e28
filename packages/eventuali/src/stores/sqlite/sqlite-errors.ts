import { isEventualiError } from '../../kernel/index.ts'
import {
  OutcomeUnknownError,
  StorageBusyError,
  StorageError,
  StorageFullError,
} from '../../model/index.ts'

/** What a failed call means for the connection and for the other requests of a group. */
export type FailureKind = 'busy' | 'full' | 'io' | 'damaged' | 'read-only' | 'other'

const kindOfResult: Readonly<Record<number, FailureKind>> = {
  5: 'busy',
  6: 'busy',
  8: 'read-only',
  10: 'io',
  11: 'damaged',
  13: 'full',
  14: 'io',
  26: 'damaged',
}

const kindOfName: readonly (readonly [string, FailureKind])[] = [
  ['SQLITE_BUSY', 'busy'],
  ['SQLITE_LOCKED', 'busy'],
  ['SQLITE_READONLY', 'read-only'],
  ['SQLITE_IOERR', 'io'],
  ['SQLITE_CORRUPT', 'damaged'],
  ['SQLITE_FULL', 'full'],
  ['SQLITE_CANTOPEN', 'io'],
  ['SQLITE_NOTADB', 'damaged'],
]

/** The same answer for the errors of both drivers. */
export function failureKind(error: unknown): FailureKind {
  const { errcode, code } = (error ?? {}) as { errcode?: unknown; code?: unknown }
  // The low byte of an extended result code is the primary one.
  if (typeof errcode === 'number') return kindOfResult[errcode & 0xff] ?? 'other'
  if (typeof code !== 'string') return 'other'
  return kindOfName.find(([name]) => code.startsWith(name))?.[1] ?? 'other'
}

/** Whether the error may be one request's own fault, so that its group is tried in halves. */
export function mayBeOneRequest(error: unknown): boolean {
  // Where numbers run out, a smaller request may still have some.
  if (isEventualiError(error, 'NUMBERS_EXHAUSTED')) return true
  if (isEventualiError(error) && error.code !== 'STORAGE_FAILED') return false
  return failureKind((error as Error).cause ?? error) === 'other'
}

/** The library's error for what a driver threw at `what`. */
export function storageError(what: string, cause: unknown, full: () => boolean): Error {
  if (isEventualiError(cause)) return cause
  switch (failureKind(cause)) {
    case 'busy':
      return new StorageBusyError(0, { cause })
    case 'full':
      return new StorageFullError({ cause })
    case 'io':
      // SQLite tells a full disk by SQLITE_FULL only where it writes, not where it maps or syncs.
      return full() ? new StorageFullError({ cause }) : new StorageError(what, { cause })
    default:
      return new StorageError(what, { cause })
  }
}

/** SQLITE_IOERR_WRITE. */
const WRITE_FAILED = 778

function isFailedWrite(error: unknown): boolean {
  const { errcode, code } = error as { errcode?: unknown; code?: unknown }
  return errcode === WRITE_FAILED || code === 'SQLITE_IOERR_WRITE'
}

/**
 * A commit that failed. When a write failed, its last page (the one that makes it a commit) is
 * not in the log. When the sync or what comes behind it failed it is, and a crash right now could
 * bring it back, on a full disk as well.
 */
export function commitError(cause: unknown, full: () => boolean): Error {
  if (failureKind(cause) !== 'io' || isFailedWrite(cause))
    return storageError('commit', cause, full)
  return new OutcomeUnknownError('the append', { cause })
}
