import type { Clock } from './clock.ts'

/** What a timer can be set to. */
const TIMER_MS_MAX = 2 ** 31 - 1

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

interface Wait {
  readonly endMs: number
  readonly fail: () => void
}

/** Bounds many waits with one timer, which goes off for the first of them that is due. */
export class SharedTimer {
  readonly #clock: Clock
  readonly #waits = new Set<Wait>()
  #stop: (() => void) | undefined
  #atMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Settles as `work` does, or rejects when it has not within `ms`; its end is then ignored. */
  bound<T>(work: Promise<T>, ms: number, error: () => unknown): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const endMs = this.#clock.monotonic() + ms
      const wait: Wait = { endMs, fail: () => reject(error()) }
      this.#waits.add(wait)
      if (endMs < this.#atMs) this.#arm(endMs, ms)
      work.then(
        (value) => {
          this.#forget(wait)
          resolve(value)
        },
        (reason) => {
          this.#forget(wait)
          reject(reason)
        },
      )
    })
  }

  #arm(endMs: number, ms: number): void {
    this.#stop?.()
    this.#atMs = endMs
    const delayMs = Math.max(1, Math.min(Math.ceil(ms), TIMER_MS_MAX))
    this.#stop = this.#clock.timer(delayMs, () => this.#ring())
  }

  #forget(wait: Wait): void {
    // The timer stays for the others: most waits end long before it.
    if (this.#waits.delete(wait) && this.#waits.size === 0) this.#disarm()
  }

  #disarm(): void {
    this.#stop?.()
    this.#stop = undefined
    this.#atMs = Number.POSITIVE_INFINITY
  }

  #ring(): void {
    this.#disarm()
    const nowMs = this.#clock.monotonic()
    let nextMs = Number.POSITIVE_INFINITY
    for (const wait of this.#waits) {
      if (wait.endMs > nowMs) nextMs = Math.min(nextMs, wait.endMs)
      else {
        this.#waits.delete(wait)
        wait.fail()
      }
    }
    if (nextMs !== Number.POSITIVE_INFINITY) this.#arm(nextMs, nextMs - nowMs)
  }
}
