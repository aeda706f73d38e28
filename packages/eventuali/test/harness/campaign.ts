import { appendFileSync } from 'node:fs'
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

/** What a campaign leaves in the file at $EVENTUALI_CAMPAIGNS, a line of JSON each. */
export interface CampaignRecord {
  readonly name: string
  /** The test file, from the root of the repository. */
  readonly file: string
  readonly seed: number
  readonly scale: number
  readonly seconds: number
  /** When it ended, in milliseconds since the epoch: two of one lane may run side by side. */
  readonly endedAtMs: number
  readonly notes: readonly string[]
  /** Of a planted bug: whether it was found. */
  readonly held: boolean
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
  let held = true
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
    held = false
    console.error(`${name} failed; again with: EVENTUALI_SEED=${seed} npx vitest run ${testFile()}`)
    throw error
  } finally {
    const seconds = (performance.now() - startedAt) / 1000
    console.log(`${name}: ${notes.join('; ')} (seed ${seed}, ${seconds.toFixed(1)} s)`)
    const endedAtMs = Date.now()
    record({ name, file: testFile(), seed, scale, seconds, endedAtMs, notes, held })
  }
}

function testFile(): string {
  return (expect.getState().testPath ?? '').replace(/^.*\/packages\//, 'packages/')
}

function record(campaign: CampaignRecord): void {
  const file = process.env.EVENTUALI_CAMPAIGNS
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(campaign)}\n`)
}

/** The value below which `share` of the values lie. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
