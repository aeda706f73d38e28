import { EventualiError } from 'eventuali'

/** Codes of errors that only a server has; the library's own come through with theirs. */
export type ServerCode =
  | 'ACCESS_DENIED'
  | 'BODY_TOO_LARGE'
  | 'CONNECTIONS_FULL'
  | 'HOST_REFUSED'
  | 'INTERNAL'
  | 'MEDIA_TYPE_UNSUPPORTED'
  | 'METHOD_NOT_ALLOWED'
  | 'NOT_FOUND'
  | 'ORIGIN_REFUSED'
  | 'RATE_LIMITED'
  | 'REQUEST_INVALID'
  | 'REQUEST_MALFORMED'
  | 'SERVER_CLOSING'
  | 'TRANSACTION_UNKNOWN'
  | 'UNAUTHENTICATED'

const retryableCodes: ReadonlySet<ServerCode> = new Set([
  'CONNECTIONS_FULL',
  'RATE_LIMITED',
  'SERVER_CLOSING',
])

/** A request that is refused by the server itself, before any store is asked. */
export class Failure extends EventualiError {
  readonly code: ServerCode
  override readonly retryable: boolean
  /** Goes into the answer's `fields`. */
  readonly fields: { readonly [name: string]: unknown }
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: ServerCode,
    message: string,
    more: {
      readonly fields?: { readonly [name: string]: unknown }
      readonly headers?: Readonly<Record<string, string>>
      readonly cause?: unknown
    } = {},
  ) {
    super(message, more.cause === undefined ? {} : { cause: more.cause })
    this.code = code
    this.retryable = retryableCodes.has(code)
    this.fields = more.fields ?? {}
    this.headers = more.headers ?? {}
  }
}
