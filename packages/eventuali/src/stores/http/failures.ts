import {
  ConnectionError,
  LogChangedError,
  OutcomeUnknownError,
  RecordConflictError,
  RemoteError,
  StoreClosedError,
} from '../../model/index.ts'

/** What of an answer's Problem Details is used here. */
interface Problem {
  readonly code?: unknown
  readonly detail?: unknown
  readonly title?: unknown
  readonly retryable?: unknown
  readonly fields?: unknown
}

/** Whether a call changes something, so that an answer that is lost leaves a doubt. */
export type CallKind = 'read' | 'write'

/** What a failed attempt to reach the server says, as deep as `fetch` hides it. */
function reasonOf(error: unknown): { readonly code: string | undefined; readonly text: string } {
  let at: unknown = error
  let code: string | undefined
  let text = 'no reason given'
  for (let depth = 0; at instanceof Error && depth < 5; depth++) {
    const own = (at as { readonly code?: unknown }).code
    if (typeof own === 'string') code = own
    if (at.message !== '') text = at.message
    at = at instanceof AggregateError ? at.errors[0] : at.cause
  }
  return { code, text }
}

/** Codes of failures before anything was sent. */
const unsent: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
])

/** The error for a request that got no answer. */
export function unreached(error: unknown, kind: CallKind, what: string): Error {
  const { code, text } = reasonOf(error)
  if (kind === 'read' || (code !== undefined && unsent.has(code))) {
    return new ConnectionError(text, { cause: error })
  }
  return new OutcomeUnknownError(what, { cause: error })
}

/** Statuses with which somebody between here and the server says that it has no answer. */
const betweenStatuses: ReadonlySet<number> = new Set([502, 503, 504])

/** The error for an answer that is none of success. */
export function refusedBy(status: number, body: unknown, kind: CallKind, what: string): Error {
  const problem = (typeof body === 'object' && body !== null ? body : {}) as Problem
  const { code, detail, title, retryable } = problem
  if (typeof code !== 'string') {
    const text = `the server answered with status ${status}`
    if (!betweenStatuses.has(status)) {
      return new ConnectionError(`${text}, is it an Eventuali server?`)
    }
    return kind === 'read' ? new ConnectionError(text) : new OutcomeUnknownError(what)
  }
  const fields = (
    typeof problem.fields === 'object' && problem.fields !== null ? problem.fields : {}
  ) as { readonly [name: string]: unknown }
  // Those that code of the library makes decisions on are what they would be without a wire.
  if (code === 'RECORD_CONFLICT') {
    return new RecordConflictError(String(fields.kind), String(fields.key))
  }
  if (code === 'STORE_CLOSED') return new StoreClosedError()
  if (code === 'LOG_CHANGED' && typeof fields.expected === 'string') {
    return new LogChangedError(fields.expected, String(fields.actual))
  }
  const message = typeof detail === 'string' ? detail : String(title ?? code)
  return new RemoteError({ code, message, retryable: retryable === true, status, fields })
}
