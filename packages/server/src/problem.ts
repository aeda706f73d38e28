import { isEventualiError } from 'eventuali'
import { Failure } from './failure.ts'

/** How an error is told: its HTTP status, and a title that is the same each time. */
interface ProblemKind {
  readonly status: number
  readonly title: string
  /** Its words may hold what is nobody's business: hosts, paths, SQL. */
  readonly isOpaque?: true
}

const kind = (status: number, title: string): ProblemKind => ({ status, title })
const opaque = (status: number, title: string): ProblemKind => ({ status, title, isOpaque: true })

/** Every code that an answer may have, with its status: the one table of them. */
export const problemKinds: Readonly<Record<string, ProblemKind>> = {
  REQUEST_MALFORMED: kind(400, 'The request cannot be read'),
  UNAUTHENTICATED: kind(401, 'Say who you are'),
  ACCESS_DENIED: kind(403, 'Not allowed'),
  HOST_REFUSED: kind(403, 'This name is not served here'),
  ORIGIN_REFUSED: kind(403, 'Pages from there may not ask'),
  NOT_FOUND: kind(404, 'There is no such thing'),
  COMMAND_UNKNOWN: kind(404, 'The aggregate has no such command'),
  SUBSCRIPTION_UNKNOWN: kind(404, 'There is no such subscription'),
  PROCESS_NOT_FOUND: kind(404, 'There is no such process'),
  TRANSACTION_UNKNOWN: kind(404, 'The transaction is not open'),
  METHOD_NOT_ALLOWED: kind(405, 'Not with this method'),
  VERSION_CONFLICT: kind(409, 'The stream is at another version'),
  CONDITION_FAILED: kind(409, 'Events have arrived since'),
  IDEMPOTENCY_CONFLICT: kind(409, 'The id was used for something else'),
  RECORD_CONFLICT: kind(409, 'Somebody else has changed the record'),
  STREAM_DELETED: kind(409, 'The stream was deleted'),
  STREAM_ARCHIVED: kind(409, 'The stream is archived'),
  LOG_CHANGED: kind(409, 'The log is another one'),
  DEAD_LETTER_REFUSED: kind(409, 'The letter is not parked'),
  SUBSCRIPTION_CHANGED: kind(409, 'The subscription was changed'),
  PROJECTION_MISSING: kind(409, 'The writer does not run a projection that it has to'),
  PROJECTION_NOT_READY: kind(409, 'The projection is not built yet'),
  PROJECTION_DIFFERS: kind(409, 'The generations differ'),
  SCHEMA_INCOMPATIBLE: kind(409, 'The schemas do not go together'),
  STORE_READ_ONLY: kind(409, 'The store is open for reading only'),
  TRANSACTION_NESTED: kind(409, 'A transaction is open already'),
  STREAM_TRUNCATED: kind(410, 'These versions were removed'),
  BODY_TOO_LARGE: kind(413, 'The body is too large'),
  EVENT_TOO_LARGE: kind(413, 'The event is too large'),
  MEDIA_TYPE_UNSUPPORTED: kind(415, 'This media type is not understood'),
  REQUEST_INVALID: kind(422, 'The request does not fit'),
  ARGUMENT_INVALID: kind(422, 'An argument does not fit'),
  NAME_INVALID: kind(422, 'A name does not fit'),
  EVENT_INVALID: kind(422, 'The data does not fit its schema'),
  EVENT_TYPE_UNKNOWN: kind(422, 'The type is not defined'),
  DATA_NOT_JSON: kind(422, 'The data is not JSON'),
  APPEND_EMPTY: kind(422, 'There is nothing to append'),
  DOMAIN_REJECTED: kind(422, 'The command was rejected'),
  RATE_LIMITED: kind(429, 'Too many requests'),
  INTERNAL: opaque(500, 'The server has failed'),
  EVENT_CORRUPT: opaque(500, 'A stored event cannot be read'),
  STORAGE_FAILED: opaque(500, 'The database has failed'),
  CAPABILITY_MISSING: kind(501, 'This store cannot do it'),
  CONNECTIONS_FULL: kind(503, 'Too many connections'),
  SERVER_CLOSING: kind(503, 'The server is closing'),
  STORE_CLOSED: kind(503, 'The store is closed'),
  STORAGE_BUSY: kind(503, 'The database is busy'),
  STORAGE_FULL: kind(503, 'No space is left'),
  QUEUE_FULL: kind(503, 'Too many calls wait already'),
  CONNECTION_FAILED: opaque(503, 'The database cannot be reached'),
  TIMEOUT: kind(503, 'It took too long, and nothing was stored'),
  TRANSACTION_TIMEOUT: kind(503, 'The transaction was open for too long'),
  PROJECTION_TIMEOUT: kind(503, 'The projection took too long'),
  OUTCOME_UNKNOWN: kind(504, 'It is not known whether it was stored'),
}

/** An answer of `application/problem+json` (RFC 9457). */
export interface Problem {
  /** `urn:eventuali:error:CODE`: a name, the same for each occurrence. */
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly instance: string
  readonly code: string
  readonly retryable: boolean
  readonly fields: { readonly [name: string]: unknown }
}

export const problemMediaType = 'application/problem+json'
const internal: ProblemKind = problemKinds.INTERNAL as ProblemKind
const standard: ReadonlySet<string> = new Set([
  'name',
  'message',
  'stack',
  'cause',
  'code',
  'retryable',
  'fields',
  'headers',
])

/** What may be done when a place belongs to another log. */
const choices = [
  'begin anew: without a cursor or Last-Event-ID, with after=0',
  'go on from a position that you have checked in this log: with after=POSITION',
  'follow only what comes from now on: without any of them, on a feed',
]

function fieldsOf(error: object): { readonly [name: string]: unknown } {
  if (error instanceof Failure) return error.fields
  const own = Object.entries(
    isEventualiError(error, 'LOG_CHANGED') ? { ...error, choices } : error,
  ).filter(([name]) => !standard.has(name))
  return Object.fromEntries(own)
}

/** What an error is to whoever asked; `status` takes the place of the table's. */
export function problemOf(error: unknown, instance: string, status?: number): Problem {
  const known = isEventualiError(error) ? problemKinds[error.code] : undefined
  // One of the library's that no request should bring about is the server's own fault.
  const { title, isOpaque, ...found } = known ?? internal
  const code = known === undefined ? 'INTERNAL' : (error as { code: string }).code
  return {
    type: `urn:eventuali:error:${code}`,
    title,
    status: status ?? found.status,
    detail:
      isOpaque === true || known === undefined
        ? `${title}; the server's log tells why, look for ${instance}`
        : (error as Error).message,
    instance,
    code,
    retryable: isEventualiError(error) && known !== undefined && error.retryable,
    fields: isOpaque === true || known === undefined ? {} : fieldsOf(error as object),
  }
}

/** The answer for an error. */
export function problemResponse(error: unknown, instance: string, status?: number): Response {
  const problem = problemOf(error, instance, status)
  const headers = new Headers({ 'content-type': problemMediaType })
  if (problem.status === 429 || problem.status === 503) headers.set('retry-after', '1')
  if (error instanceof Failure) {
    for (const [name, value] of Object.entries(error.headers)) headers.set(name, value)
  }
  return new Response(JSON.stringify(problem), { status: problem.status, headers })
}
