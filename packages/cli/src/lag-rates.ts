import { setTimeout as sleep } from 'node:timers/promises'
import { type ConsumerLag, consumerLag, type Store } from 'eventuali'
import { count } from './numbers.ts'
import { durationText } from './quantities.ts'

/** How far something that follows the log has come, and how fast it goes. */
export interface MeasuredLag extends ConsumerLag {
  /** Positions a second during the look; undefined when nothing was measured. */
  readonly ratePerSecond: number | undefined
  /** Milliseconds until it has caught up, at this speed; undefined when it does not. */
  readonly etaMs: number | undefined
}

/** Looks twice, `sampleMs` apart, to tell how fast each goes; once with 0. */
export async function measureLag(
  store: Store,
  options: {
    readonly sampleMs: number
    readonly names?: readonly string[] | undefined
    readonly signal: AbortSignal
  },
): Promise<readonly MeasuredLag[]> {
  const { sampleMs, names, signal } = options
  const first = await consumerLag(store, { names, signal })
  const idle = { ratePerSecond: undefined, etaMs: undefined }
  if (sampleMs === 0 || first.length === 0) return first.map((one) => ({ ...one, ...idle }))
  const begun = performance.now()
  await sleep(sampleMs, undefined, { signal })
  const second = await consumerLag(store, { names, signal })
  return withRates(first, second, performance.now() - begun)
}

/** What the second of two looks shows, with the speed between them. */
export function withRates(
  first: readonly ConsumerLag[],
  second: readonly ConsumerLag[],
  elapsedMs: number,
): readonly MeasuredLag[] {
  const before = new Map(first.map((one) => [one.name, one]))
  return second.map((now) => {
    const was = before.get(now.name)
    if (was === undefined) return { ...now, ratePerSecond: undefined, etaMs: undefined }
    const ratePerSecond = (1000 * (now.position - was.position)) / elapsedMs
    // What comes in meanwhile has to be caught up with as well.
    const closingPerMs = (was.lag - now.lag) / elapsedMs
    const etaMs = now.lag === 0 ? 0 : closingPerMs > 0 ? now.lag / closingPerMs : undefined
    return { ...now, ratePerSecond, etaMs }
  })
}

/** One word for what it is doing. */
export function stateOf({ stopped, paused, owned, live, isForeign }: ConsumerLag): string {
  if (isForeign) return 'foreign'
  if (stopped.length > 0) return 'stopped'
  if (paused !== undefined) return 'paused'
  if (!live) return 'kept'
  return owned > 0 ? 'running' : 'idle'
}

export const rateText = (rate: number | undefined): string =>
  rate === undefined ? '' : `${count(rate)}/s`

export const etaText = (etaMs: number | undefined): string =>
  etaMs === undefined ? '' : etaMs === 0 ? 'now' : durationText(etaMs)
