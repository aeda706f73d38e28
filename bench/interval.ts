/** 97.5 % of a normal distribution lie below it. */
const z = 1.959964

/**
 * Student's t for a two-sided 95 % interval, by the expansion around the normal distribution
 * (Abramowitz and Stegun 26.7.5): within 0.3 % of the tables from four degrees of freedom on.
 */
export function studentT95(degrees: number): number {
  const first = (z ** 3 + z) / 4
  const second = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96
  const third = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384
  return z + first / degrees + second / degrees ** 2 + third / degrees ** 3
}

/** The mean of at least five ratios and its 95 % interval, by their logarithms. */
export function ratioInterval(
  ratios: readonly number[],
): readonly [least: number, mean: number, most: number] {
  const logs = ratios.map(Math.log)
  const mean = logs.reduce((sum, value) => sum + value, 0) / logs.length
  const variance = logs.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (logs.length - 1)
  const half = studentT95(logs.length - 1) * Math.sqrt(variance / logs.length)
  return [Math.exp(mean - half), Math.exp(mean), Math.exp(mean + half)]
}
