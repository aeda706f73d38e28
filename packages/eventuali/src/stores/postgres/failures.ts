import { isEventualiError } from '../../kernel/index.ts'
import {
  ConnectionError,
  NumbersExhaustedError,
  OperationTimeoutError,
  StorageBusyError,
  StorageError,
  StorageFullError,
} from '../../model/index.ts'

/** The connection went away or did not answer; what it was doing may or may not have happened. */
export class LostConnection extends Error {
  override readonly name = 'LostConnection'
}

function field(error: unknown, name: 'code' | 'severity'): string | undefined {
  const value = (error as { [key: string]: unknown } | null | undefined)?.[name]
  return typeof value === 'string' ? value : undefined
}

/** The SQLSTATE of an error that the server reported. */
export function sqlStateOf(error: unknown): string | undefined {
  const code = field(error, 'code')
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) ? code : undefined
}

/**
 * Whether the connection is gone, so that the outcome of its last statement is open. A FATAL
 * report counts: the server may send one after the commit.
 */
export function isConnectionLoss(error: unknown): boolean {
  if (error instanceof LostConnection) return true
  if (isEventualiError(error) || isMistake(error)) return false
  const state = sqlStateOf(error)
  const severity = field(error, 'severity')
  if (state === undefined || severity === undefined) return true
  return severity !== 'ERROR' || state.startsWith('08') || state.startsWith('57P')
}

/** The code's own fault, not the network's. */
function isMistake(error: unknown): boolean {
  return (
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof ReferenceError ||
    error instanceof SyntaxError
  )
}

/** A lock was not to be had in time. */
export function isLockTimeout(error: unknown): boolean {
  return sqlStateOf(error) === '55P03'
}

/** The server's report, also when it is wrapped in an error of the library. */
function reported(error: unknown): unknown {
  return isEventualiError(error) ? error.cause : error
}

/** What the server reported says of its place, when it is the report of this SQLSTATE. */
function detailOf(error: unknown, state: string): string | undefined {
  const report = reported(error)
  if (sqlStateOf(report) !== state) return undefined
  const { detail } = report as { readonly detail?: unknown }
  return typeof detail === 'string' ? detail : undefined
}

/** Which of the written records was at another revision, counted from 1. */
export function recordConflictAt(error: unknown): number | undefined {
  const detail = detailOf(error, 'EV002')
  return detail === undefined ? undefined : Number(detail)
}

/** The inline projections, as JSON text, that an append was refused for. */
export function missingInline(error: unknown): string | undefined {
  return detailOf(error, 'EV001')
}

/** A table, or a column that every table of documents has, is not there. */
export function isTableMissing(error: unknown): boolean {
  const state = sqlStateOf(reported(error))
  return state === '42P01' || state === '42703'
}

/** Another transaction came between; the same statement may succeed now. Nothing was stored. */
export function isInterference(error: unknown): boolean {
  const state = sqlStateOf(error)
  return state === '40001' || state === '40P01' || state === '23505'
}

/** Whether an error may be the fault of one request of a group, and not of the server's state. */
export function isRequestFault(error: unknown): boolean {
  if (isEventualiError(error) || isConnectionLoss(error)) return false
  const state = sqlStateOf(error)
  return state !== '53100' && state !== '25006'
}

/** Whether a stream has come to the end of the numbers. */
function isVersionBound(error: unknown): boolean {
  const { constraint } = error as { readonly constraint?: unknown }
  return constraint === 'streams_version_safe'
}

/** The error of the library for one of the driver or the server. */
export function storageFailure(what: string, waitedMs: number, error: unknown): Error {
  if (isEventualiError(error)) return error
  if (isConnectionLoss(error)) {
    const text = error instanceof Error ? error.message : String(error)
    return new ConnectionError(text === '' ? what : text, { cause: error })
  }
  switch (sqlStateOf(error)) {
    case '2200H':
      return new NumbersExhaustedError('log', { cause: error })
    case '23514':
      return isVersionBound(error)
        ? new NumbersExhaustedError('stream', { cause: error })
        : new StorageError(what, { cause: error })
    case '53100':
      return new StorageFullError({ cause: error })
    case '55P03':
    case '57014':
      return new OperationTimeoutError(what, Math.round(waitedMs))
    case '40001':
    case '40P01':
    // The guard of inline projections came in a moment ago; a new attempt is refused in order.
    case 'EV001':
      return new StorageBusyError(waitedMs, { cause: error })
    default:
      return new StorageError(what, { cause: error })
  }
}
