/** Time as the loop sees it. */
export interface LoopClock {
  /** Milliseconds, as of `performance.now()`. */
  now(): number
  /** Comes back when there may be something to do. */
  pause(ms: number): Promise<void>
}

const realClock: LoopClock = {
  now: () => performance.now(),
  // A timer is a millisecond late or more: near its time the loop only lets others pass.
  pause: (ms) =>
    new Promise((resolve) => {
      if (ms > 2) setTimeout(resolve, ms - 1)
      else setImmediate(resolve)
    }),
}

/**
 * Milliseconds of each call at a fixed rate of arrivals, sorted. Each is timed from when it was
 * planned, not from when it could begin: whoever measures from the beginning of a call leaves out
 * what a stall costs all those that should have begun in it.
 */
export async function openLoop(
  perSecond: number,
  count: number,
  call: () => Promise<unknown>,
  clock: LoopClock = realClock,
): Promise<number[]> {
  const startedAt = clock.now()
  const running: Promise<number>[] = []
  while (running.length < count) {
    const plannedAt = startedAt + (running.length * 1000) / perSecond
    const ahead = plannedAt - clock.now()
    if (ahead > 0) await clock.pause(ahead)
    else {
      running.push(call().then(() => clock.now() - plannedAt))
      // So that one which is done by now is timed before the next has begun.
      await undefined
    }
  }
  return (await Promise.all(running)).sort((a, b) => a - b)
}

/** The least of the sorted values that at least the share `part` of them does not exceed. */
export function percentile(sorted: readonly number[], part: number): number {
  const rank = Math.max(1, Math.ceil(sorted.length * part))
  return sorted[rank - 1] ?? Number.NaN
}
