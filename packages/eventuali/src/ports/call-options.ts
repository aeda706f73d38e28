/** Bounds of one call. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  /** Milliseconds until the call must have ended, one way or the other. */
  readonly timeoutMs?: number | undefined
}
