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
  /** A failure is a row of the result, not the end of the run: of libraries that are not ours. */
  readonly mayFail?: boolean
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
  /** Contenders that could not do it, with their errors. */
  readonly failed?: readonly Failure[]
}

/** A contender that may fail and did. */
export interface Failure {
  readonly name: string
  readonly what: string
  readonly error: string
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

/** Takes those out of the race that may fail and do; of all others an error is a defect. */
class Race {
  readonly failed = new Map<string, Failure>()
  readonly #contenders: readonly Contender[]

  constructor(contenders: readonly Contender[]) {
    this.#contenders = contenders
  }

  get running(): readonly Contender[] {
    return this.#contenders.filter(({ name }) => !this.failed.has(name))
  }

  /** What the work gives, or undefined when the contender is out by now. */
  async attempt<T>(contender: Contender, work: () => Promise<T>): Promise<T | undefined> {
    const { name, what, mayFail } = contender
    if (this.failed.has(name)) return undefined
    try {
      return await work()
    } catch (error) {
      if (mayFail !== true) throw error
      this.failed.set(name, { name, what, error: errorLine(error) })
      return undefined
    }
  }
}

/** The first line of what went wrong, short enough for a table. */
export function errorLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  const line = text.split('\n').find((candidate) => candidate.trim() !== '') ?? 'no reason given'
  const plain = line.replaceAll('|', '/').trim()
  return plain.length > 160 ? `${plain.slice(0, 157)}...` : plain
}

/** Rates of one round: contenders take turns, A B B A, so that a slow moment meets them all. */
async function runRound(
  race: Race,
  calls: ReadonlyMap<string, number>,
  turns: number,
  round: number,
): Promise<Map<string, number>> {
  const spent = new Map<string, number>()
  for (let turn = 0; turn < turns; turn++) {
    // There and back: whoever goes first meets what the last turn has left to the disk.
    const isBack = (turn + round) % 2 === 1
    for (const contender of isBack ? race.running.toReversed() : race.running) {
      const { name } = contender
      const ms = await race.attempt(contender, () => timed(contender, calls.get(name) ?? 1))
      spent.set(name, (spent.get(name) ?? 0) + (ms ?? 0))
    }
  }
  return new Map(
    race.running.map(({ name, eventsPerCall }) => {
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
    const race = new Race(contenders)
    const calls = new Map<string, number>()
    for (const contender of contenders) {
      const filling = await race.attempt(contender, () => callsFor(contender, pace.turnMs))
      if (filling !== undefined) calls.set(contender.name, filling)
    }
    const rates = new Map<string, number[]>(contenders.map(({ name }) => [name, []]))
    for (let round = 0; round < pace.rounds; round++) {
      const measured = await runRound(race, calls, bench.turns ?? pace.turns, round)
      for (const [name, rate] of measured) rates.get(name)?.push(rate)
    }
    const { failed, running } = race
    const lasting = ratios.filter(({ of, to }) => !failed.has(of) && !failed.has(to))
    const result = resultOf(bench.name, running, lasting, rates)
    return failed.size === 0 ? result : { ...result, failed: [...failed.values()] }
  } finally {
    await open.close()
  }
}
