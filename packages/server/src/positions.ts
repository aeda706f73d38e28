import { InvalidArgumentError, LogChangedError } from 'eventuali'
import { Failure } from './failure.ts'

/** A place in a log, bound to the log that it is of. */
export interface Place {
  readonly incarnation: string
  readonly at: number | string
}

/** Throws LogChangedError unless the place is of this log. */
export function assertSameLog(place: { readonly incarnation: string }, incarnation: string): void {
  if (place.incarnation !== incarnation) throw new LogChangedError(place.incarnation, incarnation)
}

/** A cursor to go on with: opaque to whoever gets it. */
export function cursorOf(incarnation: string, at: number | string): string {
  return Buffer.from(JSON.stringify([incarnation, at])).toString('base64url')
}

/** Reads a cursor. Throws Failure REQUEST_INVALID, LogChangedError. */
export function placeOf(cursor: string, incarnation: string, kind: 'number' | 'string'): Place {
  let parts: unknown
  try {
    parts = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
  } catch {
    parts = undefined
  }
  const [found, at] = Array.isArray(parts) ? (parts as unknown[]) : []
  const isWhole = kind === 'string' || (Number.isSafeInteger(at) && (at as number) >= 0)
  if (typeof found !== 'string' || typeof at !== kind || !isWhole) {
    throw new Failure('REQUEST_INVALID', 'the cursor is none that this server has given')
  }
  const place = { incarnation: found, at: at as number | string }
  assertSameLog(place, incarnation)
  return place
}

/** The ETag of a stream at a version. */
export function etagOf(incarnation: string, version: number): string {
  return `"${incarnation}:${version}"`
}

/** The number behind the log's name in an id of a feed, or in an ETag. */
function parted(text: string): { readonly incarnation: string | undefined; readonly at: number } {
  const colon = text.lastIndexOf(':')
  const digits = text.slice(colon + 1)
  const at = /^\d{1,16}$/.test(digits) ? Number(digits) : Number.NaN
  return { incarnation: colon === -1 ? undefined : text.slice(0, colon), at }
}

/**
 * The expected version that `If-Match` and `If-None-Match` ask for, undefined without them.
 * Throws Failure REQUEST_MALFORMED, LogChangedError.
 */
export function expectedOf(headers: Headers, incarnation: string): number | 'exists' | undefined {
  const [match, noneMatch] = [headers.get('if-match'), headers.get('if-none-match')]
  if (match !== null && noneMatch !== null) {
    throw new Failure('REQUEST_MALFORMED', 'If-Match and If-None-Match exclude each other')
  }
  if (noneMatch !== null) {
    if (noneMatch.trim() === '*') return 0
    throw new Failure('REQUEST_MALFORMED', 'If-None-Match takes *: the stream must not exist')
  }
  if (match === null) return undefined
  if (match.trim() === '*') return 'exists'
  const tag = /^"([^"]*)"$/.exec(match.trim())?.[1]
  const { incarnation: found, at } = parted(tag ?? '')
  if (!Number.isSafeInteger(at)) {
    throw new Failure('REQUEST_MALFORMED', 'If-Match takes one ETag of a stream, a "version", or *')
  }
  if (found !== undefined) assertSameLog({ incarnation: found }, incarnation)
  return at
}

/** The id of an event in a feed. */
export function feedId(incarnation: string, at: number): string {
  return `${incarnation}:${at}`
}

/** The place that a `Last-Event-ID` names. Throws Failure REQUEST_MALFORMED, LogChangedError. */
export function feedPlace(id: string, incarnation: string): number {
  const { incarnation: found, at } = parted(id)
  if (found === undefined || !Number.isSafeInteger(at)) {
    throw new Failure('REQUEST_MALFORMED', 'Last-Event-ID is none that this server has given')
  }
  assertSameLog({ incarnation: found }, incarnation)
  return at
}

/** The words of an `Idempotency-Key`, with or without quotes. Throws InvalidArgumentError. */
export function idempotencyKeyOf(headers: Headers): string | undefined {
  const shown = headers.get('idempotency-key')?.trim()
  if (shown === undefined) return undefined
  const key = /^"(.*)"$/.exec(shown)?.[1] ?? shown
  if (key.length > 0 && key.length <= 200) return key
  throw new InvalidArgumentError('Idempotency-Key', 'must have 1 to 200 characters')
}
