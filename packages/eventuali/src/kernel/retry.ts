import { type Clock, sleep } from './clock.ts'
import type { Random } from './random.ts'

/** How often and how patiently to try again. All of it is bounded. */
export interface RetryPolicy {
  /** Tries after the first one. */
  readonly retryCountMax: number
  /** Upper bound of the first wait; doubles each time. */
  readonly firstDelayMs: number
  /** No wait is longer than this. */
  readonly delayMaxMs: number
}

/** The wait before try number `attempt` (0-based): full jitter under an exponential bound. */
export function backoffMs(policy: RetryPolicy, attempt: number, random: Random): number {
  const bound = Math.min(policy.delayMaxMs, policy.firstDelayMs * 2 ** Math.min(attempt, 30))
  return random.next() * bound
}

/** Runs `work` again while `retryable` says so and tries are left; then throws the last error. */
export async function retry<T>(
  work: (attempt: number) => Promise<T>,
  options: {
    readonly policy: RetryPolicy
    readonly retryable: (error: unknown) => boolean
    readonly clock: Clock
    readonly random: Random
    readonly signal?: AbortSignal | undefined
  },
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    options.signal?.throwIfAborted()
    try {
      return await work(attempt)
    } catch (error) {
      if (attempt >= options.policy.retryCountMax || !options.retryable(error)) throw error
      await sleep(options.clock, backoffMs(options.policy, attempt, options.random), options.signal)
    }
  }
}
