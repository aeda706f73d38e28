/**
 * The only source of time in the library. Hand in your own to make a run repeatable.
 * All units are milliseconds.
 */
export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. May jump; never compared between machines. */
  now(): number
  /** Milliseconds that only grow; for timeouts, leases and measurements. */
  monotonic(): number
  /**
   * Calls back once after `ms`; the returned function cancels. Keeps the process alive meanwhile,
   * unless it is for the `background` (pollers that nobody awaits).
   */
  timer(ms: number, callback: () => void, options?: { readonly background?: boolean }): () => void
}

/** What the platform's timers can be set to; beyond it they go off at once. */
const TIMER_MS_MAX = 2 ** 31 - 1

/**
 * The clock of the machine: what a store uses when none is handed in.
 *
 * @example
 * ```ts
 * import { systemClock } from 'eventuali'
 *
 * console.log(systemClock.now() <= Date.now()) // true
 * ```
 */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer: (ms, callback, options) => {
    const handle = setTimeout(callback, Math.min(ms, TIMER_MS_MAX))
    if (options?.background === true) handle.unref()
    return () => clearTimeout(handle)
  },
}

/** Resolves after `ms`, or rejects with the signal's reason as soon as it is aborted. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const stop = clock.timer(ms, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    const onAbort = () => {
      stop()
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
