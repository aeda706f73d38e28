import { expect } from 'vitest'
import { type Random, seededRandom } from '../../src/kernel/index.ts'

/** One run of a harness: its seed, how much of it to do, and what happened. */
export interface Campaign {
  readonly seed: number
  /** 1 in a pull request; more for a soak. */
  readonly scale: number
  readonly random: Random
  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number
  pick<T>(items: readonly T[]): T
  /** `count` times the scale. */
  scaled(count: number): number
  /** A line for the report. */
  note(text: string): void
}

const seedGiven = process.env.EVENTUALI_SEED
const scale = Number(process.env.EVENTUALI_SCALE ?? 1)

/**
 * Runs a harness with a seed of its own. Prints the seed and the figures; when it fails, also the
 * command that repeats it.
 */
export async function campaign<T>(
  name: string,
  body: (campaign: Campaign) => Promise<T>,
): Promise<T> {
  const seed = seedGiven === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(seedGiven)
  const random = seededRandom(seed)
  const startedAt = performance.now()
  const notes: string[] = []
  const between = (low: number, high: number): number =>
    low + Math.floor(random.next() * (high - low + 1))
  try {
    return await body({
      ...{ seed, scale, random, between },
      pick: (items) => items[between(0, items.length - 1)] as (typeof items)[number],
      scaled: (count) => Math.max(1, Math.round(count * scale)),
      note: (text) => notes.push(text),
    })
  } catch (error) {
    const file = (expect.getState().testPath ?? '').replace(/^.*\/packages\//, 'packages/')
    console.error(`${name} failed; again with: EVENTUALI_SEED=${seed} npx vitest run ${file}`)
    throw error
  } finally {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    console.log(`${name}: ${notes.join('; ')} (seed ${seed}, ${seconds} s)`)
  }
}

/** The value below which `share` of the values lie. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
