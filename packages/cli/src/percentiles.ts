/** How long something took, of many times, in milliseconds. */
export interface Latencies {
  readonly count: number
  readonly meanMs: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** Nearest-rank percentiles; undefined of nothing. */
export function latenciesOf(samplesMs: readonly number[]): Latencies | undefined {
  if (samplesMs.length === 0) return undefined
  const sorted = Float64Array.from(samplesMs).sort()
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? 0
  const sum = sorted.reduce((total, ms) => total + ms, 0)
  return {
    count: sorted.length,
    meanMs: sum / sorted.length,
    p50Ms: at(0.5),
    p95Ms: at(0.95),
    p99Ms: at(0.99),
    maxMs: at(1),
  }
}
