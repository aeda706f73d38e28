import { DomainError, isEventualiError, isRetryable, ValidationError } from 'eventuali'

/** What a caller is told, in the terms of HTTP. */
export interface Answer {
  readonly status: number
  readonly text: string
}

/**
 * The one place that turns errors into answers. It goes by codes, never by messages: those are for
 * people and may change.
 */
export function answerTo(error: unknown): Answer {
  if (error instanceof ValidationError) {
    const places = error.issues.map(({ path, message }) => `${path}: ${message}`)
    return { status: 400, text: places.join('; ') }
  }
  if (error instanceof DomainError) return { status: 422, text: error.reason }
  // Not one of ours: a bug, which must be seen and not be answered.
  if (!isEventualiError(error)) throw error
  if (error.code === 'VERSION_CONFLICT') {
    return { status: 409, text: 'somebody was faster; look at it again' }
  }
  if (error.code === 'STORAGE_FULL') {
    return { status: 507, text: 'the disk is full; reading goes on' }
  }
  // The same call may succeed later: a locked file, a lost connection, a server that restarts.
  if (isRetryable(error)) return { status: 503, text: 'try again in a moment' }
  return { status: 500, text: error.code }
}
