import { isEventualiError, isRetryable, type RetryPolicy } from '../../kernel/index.ts'

/** How long to wait between tries while the storage does not answer. It is tried for ever. */
export const troubleDelays: RetryPolicy = {
  retryCountMax: Number.POSITIVE_INFINITY,
  firstDelayMs: 50,
  delayMaxMs: 5000,
}

const handlerTroubles = new Set([
  'CONNECTION_FAILED',
  'STORAGE_BUSY',
  'STORAGE_FULL',
  'QUEUE_FULL',
  'OUTCOME_UNKNOWN',
])

/** Whether a handler failed because a store did not answer, which is not its fault. */
export function isHandlerTrouble(error: unknown): boolean {
  return isEventualiError(error) && handlerTroubles.has(error.code)
}

/** Whether the transaction around a handler failed by itself; a slow handler's is the handler's. */
export function isCommitTrouble(error: unknown): boolean {
  if (isEventualiError(error, 'TRANSACTION_TIMEOUT')) return false
  if (isEventualiError(error, 'RECORD_CONFLICT')) return false
  return isRetryable(error) || isEventualiError(error, 'OUTCOME_UNKNOWN')
}

/** Whether waiting may mend it. What is not known to be lasting counts as passing. */
export function isPassing(error: unknown): boolean {
  return (
    isRetryable(error) ||
    isEventualiError(error, 'OUTCOME_UNKNOWN') ||
    isEventualiError(error, 'STORAGE_FAILED')
  )
}
