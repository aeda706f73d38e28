import type { Clock } from '../kernel/index.ts'

/** A clock that stands still until it is told to go. */
export interface ManualClock extends Clock {
  /**
   * Lets `ms` milliseconds pass: timers that come due call back in their order, each followed by
   * a turn of the event loop, so that what waited for it goes on before the next one.
   */
  advance(ms: number): Promise<void>
  /** Sets the wall clock, which may jump; timers and `monotonic` do not notice. */
  set(now: Date | number): void
  /** Timers that have neither fired nor been cancelled. */
  readonly pending: number
}

interface Timer {
  readonly due: number
  readonly callback: () => void
}

/**
 * Makes a clock for tests that need time to pass without waiting for it.
 *
 * @example
 * ```ts
 * import { manualClock } from 'eventuali/testing'
 *
 * const clock = manualClock(new Date('2026-01-01T00:00:00Z'))
 * let rang = false
 * clock.timer(60_000, () => {
 *   rang = true
 * })
 * await clock.advance(60_000)
 * console.log(rang, new Date(clock.now()).toISOString()) // true 2026-01-01T00:01:00.000Z
 * ```
 */
export function manualClock(start: Date | number = 0): ManualClock {
  let elapsed = 0
  let wall = Number(start)
  const timers = new Set<Timer>()
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
  const nextDue = (end: number): Timer | undefined => {
    let next: Timer | undefined
    for (const timer of timers) {
      if (timer.due <= end && (next === undefined || timer.due < next.due)) next = timer
    }
    return next
  }
  const pass = (ms: number): void => {
    elapsed += ms
    wall += ms
  }
  return {
    now: () => wall,
    monotonic: () => elapsed,
    timer: (ms, callback) => {
      const timer = { due: elapsed + Math.max(0, ms), callback }
      timers.add(timer)
      return () => {
        timers.delete(timer)
      }
    },
    advance: async (ms) => {
      const end = elapsed + ms
      for (let timer = nextDue(end); timer !== undefined; timer = nextDue(end)) {
        timers.delete(timer)
        pass(Math.max(0, timer.due - elapsed))
        timer.callback()
        await turn()
      }
      pass(end - elapsed)
      await turn()
    },
    set: (now) => {
      wall = Number(now)
    },
    get pending() {
      return timers.size
    },
  }
}
