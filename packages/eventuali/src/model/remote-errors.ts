import { EventualiError } from '../kernel/index.ts'

/** An error of a server as its answer tells of it. */
export interface RemoteFailure {
  readonly code: string
  readonly message: string
  readonly retryable: boolean
  /** HTTP status of the answer. */
  readonly status: number
  /** What the error carries beside its code: `stream`, `actualVersion`, … */
  readonly fields?: { readonly [name: string]: unknown } | undefined
}

const ownNames: ReadonlySet<string> = new Set([
  'code',
  'message',
  'name',
  'retryable',
  'stack',
  'cause',
  'status',
])

/**
 * An error that a server has met: it has the `code` and the fields that the error has there, so it
 * is recognised as every other error is, by its code.
 *
 * @example
 * ```ts run
 * import { isEventualiError, RemoteError } from 'eventuali'
 *
 * const failure = { code: 'FORBIDDEN', message: 'may not write', retryable: false, status: 403 }
 * const error: unknown = new RemoteError(failure)
 * if (isEventualiError(error, 'FORBIDDEN') && error instanceof RemoteError) {
 *   console.log(error.status) // 403
 * }
 * ```
 */
export class RemoteError extends EventualiError {
  readonly code: string
  override readonly retryable: boolean
  readonly status: number

  constructor(failure: RemoteFailure) {
    super(failure.message)
    this.code = failure.code
    this.retryable = failure.retryable
    this.status = failure.status
    for (const [name, value] of Object.entries(failure.fields ?? {})) {
      if (ownNames.has(name) || name in this) continue
      Object.defineProperty(this, name, { value, enumerable: true })
    }
  }
}
