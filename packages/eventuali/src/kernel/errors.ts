const MARK = Symbol.for('eventuali.error')

/** What every error of the library carries besides its message. */
export interface ErrorOptionsWithCause {
  readonly cause?: unknown
}

/**
 * The base of all errors of the library. Recognise one by its stable `code`, never by its text:
 * the mark survives two copies of the package in one process, `instanceof` does not.
 *
 * @example
 * ```ts
 * import { type EventualiError, isEventualiError } from 'eventuali'
 *
 * const statusOf = (error: EventualiError) => (error.retryable ? 503 : 500)
 *
 * const error: unknown = new Error('from elsewhere')
 * if (isEventualiError(error)) console.log(error.code, statusOf(error))
 * ```
 */
export abstract class EventualiError extends Error {
  /** Stable, upper snake case; listed in docs/errors.md. */
  abstract readonly code: string
  /** Whether the same call may succeed when it is made again, unchanged. */
  readonly retryable: boolean = false

  constructor(message: string, options: ErrorOptionsWithCause = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
  }
}

/** Marks a class as one of ours; for those that must extend another built-in, a `TypeError` say. */
export function markAsError(errorClass: { readonly prototype: object }): void {
  Object.defineProperty(errorClass.prototype, MARK, { value: true })
}

markAsError(EventualiError)

/**
 * Whether a caught value is an error of this library, optionally of one code, which `error.code` is
 * known to be from there on.
 *
 * @example
 * ```ts
 * import { isEventualiError } from 'eventuali'
 *
 * const caught: unknown = new Error('x')
 * console.log(isEventualiError(caught, 'VERSION_CONFLICT')) // false
 * ```
 */
export function isEventualiError<Code extends string = string>(
  value: unknown,
  code?: Code,
): value is EventualiError & { readonly code: Code } {
  if (typeof value !== 'object' || value === null) return false
  if ((value as { [MARK]?: unknown })[MARK] !== true) return false
  return code === undefined || (value as { code?: unknown }).code === code
}

/**
 * Whether the same call may succeed when it is made again.
 *
 * @example
 * ```ts
 * import { isRetryable, VersionConflictError } from 'eventuali'
 *
 * console.log(isRetryable(new VersionConflictError('order-1', 0, 1))) // true
 * console.log(isRetryable(new Error('from elsewhere'))) // false
 * ```
 */
export function isRetryable(value: unknown): boolean {
  return isEventualiError(value) && value.retryable
}
