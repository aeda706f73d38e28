import { AssertionError } from 'node:assert/strict'
import { type Clock, type Random, seededRandom, sleep } from '../../kernel/index.ts'
import type { EventStore } from '../../ports/index.ts'
import { type MemoryStoreOptions, openMemoryStore } from '../../stores/memory/index.ts'
import { type FaultCounts, FaultModel, type FaultOptions } from './fault-model.ts'
import { type Machine, type MachineParts, SimulatedMachine } from './machine.ts'
import { Trace } from './trace.ts'
import { type Owner, type Standstill, VirtualTime } from './virtual-time.ts'

/** Options of `simulate`. */
export interface SimulationOptions {
  /** Decides everything that is left to chance: the same seed, the same run. */
  readonly seed: number
  /** What goes wrong and how often; moderate when left out. */
  readonly faults?: Partial<FaultOptions> | undefined
  /** Simulated milliseconds after which a scenario that has not ended counts as hung; an hour. */
  readonly limitMs?: number | undefined
  /** The store that all machines share; a memory store when left out. */
  readonly open?: ((sources: MemoryStoreOptions) => Promise<EventStore>) | undefined
}

/** What came of a run. */
export interface SimulationReport {
  readonly seed: number
  /** Of all that happened, in order: equal for equal runs. */
  readonly hash: string
  /** Happenings: timers, calls and replies that came. */
  readonly steps: number
  /** Calls of the store by machines; those within a transaction count as one with it. */
  readonly calls: number
  /** Simulated milliseconds. */
  readonly passedMs: number
  readonly faults: FaultCounts
  /** The last lines of what happened. */
  readonly lastLines: readonly string[]
}

/** The world of a scenario. */
export interface Simulation {
  readonly seed: number
  readonly random: Random
  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number
  pick<T>(items: readonly T[]): T
  /** True for a share of the calls. */
  chance(share: number): boolean
  /** A clock that nobody is wrong about. */
  readonly clock: Clock
  sleep(ms: number): Promise<void>
  /** The store itself, without faults: for audits, which are never in doubt. */
  readonly storage: EventStore
  /** Starts a machine, with a wall clock that is up to a second wrong. */
  machine(name: string): Machine
  /** From now on nothing goes wrong by itself: for the end, when all must come right. */
  calm(): void
  /** A line of the trace, and so a part of its hash. */
  note(text: string): void
  /** Ends the run with a broken promise, wherever it is called, also where errors are swallowed. */
  check(holds: boolean, promise: string): void
  /** Goes on beside the scenario; when it fails, so does the run. */
  beside(what: string, work: () => Promise<void>): Promise<void>
  /** Waits for a call that has to end, one way or the other, within so many milliseconds. */
  bounded<T>(what: string, withinMs: number, work: Promise<T>): Promise<T>
}

/**
 * A promise that did not hold: with the seed, and what happened last.
 *
 * @example
 * ```ts run
 * import { SimulationError, simulate } from 'eventuali/testing'
 *
 * try {
 *   await simulate({ seed: 7 }, async (world) => world.check(1 > 2, 'one is more than two'))
 * } catch (error) {
 *   if (!(error instanceof SimulationError)) throw error
 *   console.log(error.report.seed) // 7: the same run again
 * }
 * ```
 */
export class SimulationError extends AssertionError {
  readonly report: SimulationReport

  constructor(promise: string, report: SimulationReport, cause: unknown) {
    const lines = report.lastLines.map((line) => `  ${line}`).join('\n')
    super({ message: `seed ${report.seed}: ${promise}\nwhat happened last:\n${lines}` })
    this.name = 'SimulationError'
    this.report = report
    if (cause !== undefined) this.cause = cause
  }
}

const LIMIT_MS = 3_600_000
const LAST_LINE_COUNT = 40
/** 2026-01-01, so that moments in a trace are easy to read. */
const START_MS = Date.UTC(2026, 0, 1)
const WALL_DRIFT_MS = 1000

const standstills: Readonly<Record<Standstill, string>> = {
  'nothing-left': 'the scenario waits for something that never happens',
  'out-of-time': 'the scenario has not ended within its time',
  'too-much': 'something goes round in a circle',
}

/**
 * Runs a scenario of one or more programs on one store in virtual time: all clocks, all chance, the
 * order of replies and what goes wrong come from the seed, so that a failure can be had again. Time
 * passes only while everything waits: an hour takes as long as what happens in it.
 *
 * The scenario must take time and chance from its machines and from the simulation, and wait for
 * nothing else. Throws SimulationError for the first `check` that does not hold, for a scenario
 * that hangs, and with the scenario's own error as its cause.
 *
 * @example
 * ```ts
 * import { openStore } from 'eventuali'
 * import { simulate } from 'eventuali/testing'
 *
 * const report = await simulate({ seed: 7 }, async (world) => {
 *   const { port, clock, random, ids } = world.machine('shop')
 *   const store = await openStore(port, { clock, random, ids, schemas: false })
 *   const placed = { id: 'order-1-placed', type: 'OrderPlaced', data: {} }
 *   for (let tries = 0; tries < 50; tries++) {
 *     const result = await store.append('order-1', placed).catch(() => undefined)
 *     if (result !== undefined) break
 *     await world.sleep(100)
 *   }
 *   world.calm()
 *   const stored = await store.readStream('order-1').toArray()
 *   world.check(stored.length === 1, 'an order is placed once, whatever was tried again')
 * })
 * console.log(report.hash.length) // 16
 * ```
 */
export async function simulate(
  options: SimulationOptions,
  scenario: (world: Simulation) => Promise<void>,
): Promise<SimulationReport> {
  const run = new Run(options)
  const storage = await run.open(options.open ?? openMemoryStore)
  return run.play(scenario, storage)
}

class Run {
  readonly #seed: number
  readonly #limitMs: number
  readonly #random: Random
  readonly #time: VirtualTime
  readonly #trace = new Trace()
  readonly #faults: FaultModel
  readonly #machines: SimulatedMachine[] = []
  readonly #outside: Owner = { isGone: false, pausedUntilMs: 0 }
  readonly #clock: Clock
  #broken: { readonly promise: string; readonly cause: unknown } | undefined

  constructor({ seed, faults = {}, limitMs = LIMIT_MS }: SimulationOptions) {
    this.#seed = seed
    this.#limitMs = limitMs
    this.#random = this.#stream('scenario')
    this.#time = new VirtualTime(this.#stream('order'))
    this.#faults = new FaultModel(this.#stream('faults'), faults)
    const time = this.#time
    this.#clock = {
      now: () => Math.trunc(START_MS + time.nowMs),
      monotonic: () => time.nowMs,
      timer: (ms, callback) => time.in(ms, this.#outside, callback),
    }
  }

  open(make: (sources: MemoryStoreOptions) => Promise<EventStore>): Promise<EventStore> {
    return make({ clock: this.#clock, random: this.#stream('storage') })
  }

  async play(
    scenario: (world: Simulation) => Promise<void>,
    storage: EventStore,
  ): Promise<SimulationReport> {
    let isOver = false
    const end = (cause?: { readonly error: unknown }): void => {
      isOver = true
      if (cause !== undefined) this.#break('the scenario failed', cause.error)
    }
    scenario(this.#world(storage)).then(
      () => end(),
      (error: unknown) => end({ error }),
    )
    const over = () => isOver || this.#broken !== undefined
    const standstill = await this.#time.pass(over, this.#limitMs)
    if (standstill !== undefined) this.#break(standstills[standstill], undefined)
    const report = this.#report()
    for (const machine of this.#machines) machine.crash()
    if (this.#broken === undefined) return report
    throw new SimulationError(this.#broken.promise, report, this.#broken.cause)
  }

  /** A source of chance of its own for each use: one more draw here changes nothing there. */
  #stream(name: string): Random {
    let mixed = this.#seed >>> 0
    for (const char of name) {
      mixed = Math.imul(mixed ^ (char.codePointAt(0) ?? 0), 0x21f0aaad)
      mixed ^= mixed >>> 15
    }
    return seededRandom(mixed)
  }

  #world(storage: EventStore): Simulation {
    const random = this.#random
    const parts = { time: this.#time, trace: this.#trace, faults: this.#faults, storage }
    const between = (low: number, high: number): number =>
      low + Math.floor(random.next() * (high - low + 1))
    return {
      ...{ seed: this.#seed, random, clock: this.#clock, storage, between },
      pick: (items) => items[between(0, items.length - 1)] as (typeof items)[number],
      chance: (share) => random.next() < share,
      sleep: (ms) => sleep(this.#clock, ms),
      machine: (name) => this.#machine(name, parts),
      calm: () => this.#faults.calm(),
      note: (text) => this.#note(text),
      check: (holds, promise) => {
        if (!holds) throw this.#break(promise, undefined)
      },
      beside: async (what, work) => {
        try {
          await work()
        } catch (error) {
          this.#break(`${what} failed`, error)
        }
      },
      bounded: (what, withinMs, work) => this.#bounded(what, withinMs, work),
    }
  }

  #machine(name: string, parts: Omit<MachineParts, 'wallMs'>): Machine {
    const life = this.#machines.filter((machine) => machine.name.startsWith(`${name}.`)).length + 1
    const draw = this.#stream(`${name}.${life}`)
    const wallMs = START_MS + Math.trunc((draw.next() * 2 - 1) * WALL_DRIFT_MS)
    const seed = Math.floor(draw.next() * 2 ** 32)
    const machine = new SimulatedMachine(`${name}.${life}`, seed, { ...parts, wallMs })
    this.#machines.push(machine)
    return machine
  }

  #note(text: string): void {
    this.#trace.add(`${this.#time.nowMs.toFixed(3)} ${text}`)
  }

  async #bounded<T>(what: string, withinMs: number, work: Promise<T>): Promise<T> {
    const stop = this.#clock.timer(withinMs, () => {
      this.#break(`${what} has not ended within ${withinMs} ms`, undefined)
    })
    try {
      return await work
    } finally {
      stop()
    }
  }

  /** The first one counts: what comes after it may follow from it. */
  #break(promise: string, cause: unknown): Error {
    this.#note(`BROKEN: ${promise}`)
    this.#broken ??= { promise, cause }
    return new Error(promise)
  }

  #report(): SimulationReport {
    const { hash } = this.#trace
    const { steps, nowMs: passedMs } = this.#time
    const lastLines = this.#trace.last(LAST_LINE_COUNT)
    const { calls, counts: faults } = this.#faults
    return { seed: this.#seed, hash, steps, calls, passedMs, faults, lastLines }
  }
}
