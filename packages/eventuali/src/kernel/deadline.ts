import type { Clock } from './clock.ts'

/**
 * A point on the monotonic clock by which a call must have ended, with the caller's signal beside
 * it. Made once at the door and handed down, so that nested waits share one bound.
 */
export interface Deadline {
  /** Milliseconds left; negative when it has passed, Infinity when there is no bound. */
  leftMs(): number
  readonly signal: AbortSignal | undefined
}

/** A deadline `timeoutMs` from now; without `timeoutMs` only the signal ends it. */
export function deadlineIn(
  clock: Clock,
  timeoutMs: number | undefined,
  signal?: AbortSignal,
): Deadline {
  if (timeoutMs === undefined) return { leftMs: () => Number.POSITIVE_INFINITY, signal }
  const end = clock.monotonic() + timeoutMs
  return { leftMs: () => end - clock.monotonic(), signal }
}
