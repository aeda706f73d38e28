import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** One way of doing the work of a case. */
export interface Contender {
  readonly name: string
  /** What it does, for the reader of a ratio. */
  readonly what: string
  /** Does `calls` calls. */
  run(calls: number): Promise<void> | void
  readonly eventsPerCall: number
  /** Fewer calls than this say nothing: callers that would stand idle. */
  readonly callsMin?: number
}

/** A ratio of two contenders' rates. */
export interface Ratio {
  readonly of: string
  readonly to: string
  /** The median to reach. */
  readonly goal?: number
}

/** Contenders, ready to run. */
export interface OpenCase {
  readonly contenders: readonly Contender[]
  readonly ratios: readonly Ratio[]
  close(): Promise<void> | void
}

/** Something to measure; it is opened only when its turn has come. */
export interface BenchCase {
  readonly name: string
  /** Turns within a round, where it takes too long otherwise. */
  readonly turns?: number
  open(): Promise<OpenCase>
}

/** Least, middle and greatest of the rounds. */
export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

/** A contender's events per second. */
export interface Rate {
  readonly name: string
  readonly what: string
  readonly eventsPerSecond: Spread
}

/** What the rounds gave for one ratio, formed pair by pair within each round. */
export interface RatioResult extends Spread {
  readonly of: string
  readonly to: string
  readonly goal?: number
}

/** The outcome of one case. */
export interface CaseResult {
  readonly name: string
  readonly rounds: number
  readonly rates: readonly Rate[]
  readonly ratios: readonly RatioResult[]
}

/** How long to measure. */
export interface Pace {
  readonly rounds: number
  /** How often the contenders take turns within a round. */
  readonly turns: number
  /** Milliseconds of one turn, about. */
  readonly turnMs: number
}

/** Turns that each contender runs before it counts. */
const warmTurns = 16

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as (how: { readonly type: 'minor' }) => void

async function timed(contender: Contender, calls: number): Promise<number> {
  // Nobody pays for what the one before has left behind. Only the young: a full collection would
  // also drop the shapes that compiled code relies on, and so measure the compiler.
  collectGarbage({ type: 'minor' })
  const started = performance.now()
  await contender.run(calls)
  return performance.now() - started
}

/** How many calls fill a turn, once everything is warm: caches, plans, compiled code. */
async function callsFor(contender: Contender, turnMs: number): Promise<number> {
  const least = contender.callsMin ?? 1
  let calls = least
  let spentMs = 0
  for (;;) {
    const ms = await timed(contender, calls)
    spentMs += ms
    const filling = Math.max(least, Math.round((calls * turnMs) / Math.max(ms, 0.01)))
    if (ms >= turnMs / 2 && spentMs >= turnMs * warmTurns) return filling
    calls = Math.min(calls * 4, filling)
  }
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (i: number): number => sorted[i] ?? Number.NaN
  const half = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? at(half) : (at(half - 1) + at(half)) / 2
  return { min: at(0), median, max: at(sorted.length - 1) }
}

/** The results of rounds that were measured already: rates of each contender, round by round. */
export function resultOf(
  name: string,
  contenders: readonly Pick<Contender, 'name' | 'what'>[],
  wanted: readonly Ratio[],
  rates: ReadonlyMap<string, readonly number[]>,
): CaseResult {
  const of = (contender: string): readonly number[] => rates.get(contender) ?? []
  const ratios = wanted.map((ratio): RatioResult => {
    const below = of(ratio.to)
    return { ...ratio, ...spreadOf(of(ratio.of).map((rate, i) => rate / (below[i] ?? Number.NaN))) }
  })
  return {
    name,
    rounds: of(contenders[0]?.name ?? '').length,
    rates: contenders.map((c) => ({
      name: c.name,
      what: c.what,
      eventsPerSecond: spreadOf(of(c.name)),
    })),
    ratios,
  }
}

/** Rates of one round: contenders take turns, A B A B, so that a slow moment meets them all. */
async function runRound(
  contenders: readonly Contender[],
  calls: ReadonlyMap<string, number>,
  turns: number,
): Promise<Map<string, number>> {
  const spent = new Map<string, number>()
  for (let turn = 0; turn < turns; turn++) {
    for (const contender of contenders) {
      const ms = await timed(contender, calls.get(contender.name) ?? 1)
      spent.set(contender.name, (spent.get(contender.name) ?? 0) + ms)
    }
  }
  return new Map(
    contenders.map(({ name, eventsPerCall }) => {
      const events = (calls.get(name) ?? 1) * eventsPerCall * turns
      return [name, (events * 1000) / (spent.get(name) ?? Number.NaN)]
    }),
  )
}

/** Runs all rounds of a case. */
export async function runPaired(bench: BenchCase, pace: Pace): Promise<CaseResult> {
  const open = await bench.open()
  try {
    const { contenders, ratios } = open
    const calls = new Map<string, number>()
    for (const contender of contenders) {
      calls.set(contender.name, await callsFor(contender, pace.turnMs))
    }
    const rates = new Map<string, number[]>(contenders.map(({ name }) => [name, []]))
    for (let round = 0; round < pace.rounds; round++) {
      const measured = await runRound(contenders, calls, bench.turns ?? pace.turns)
      for (const [name, rate] of measured) rates.get(name)?.push(rate)
    }
    return resultOf(bench.name, contenders, ratios, rates)
  } finally {
    await open.close()
  }
}
