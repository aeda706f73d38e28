import { isEventualiError } from '../../src/index.ts'
import type { EventStore } from '../../src/ports/index.ts'
import {
  openMemoryStore,
  type Simulation,
  type SimulationReport,
  simulate,
} from '../../src/testing/index.ts'
import { Actors, type Causes, PAUSE_MS_MAX, type Program } from './simulation-actors.ts'
import { Audit } from './simulation-audit.ts'
import { TrueLog } from './simulation-log.ts'
import { Consumers, type Part, partNames, startProgram } from './simulation-programs.ts'

/** How a run differs from the lane's own. */
export interface RunOptions {
  readonly seed: number
  readonly actionCount?: number
  /** Parts that are there whatever the seed says. */
  readonly needs?: readonly Part[]
  /** A planted bug: between the store and everybody but the audit. */
  readonly bug?: ((store: EventStore) => EventStore) | undefined
}

/** Actions of clients in a run; with what their programs do, more than 500 calls of the store. */
export const ACTION_COUNT = 160
const ACTOR_COUNT = 6
const CHAOS_INTERVAL_MS_MAX = 200
const AUDIT_INTERVAL_MS_MAX = 500
/** Of the parts, in each run: rare meetings of some are not drowned by all the others. */
const PART_SHARE = 0.25
/** Simulated time, by which everything must have come to rest after the last fault. */
const REST_MS = 120_000

/** One seed of the whole library: clients, consumers, crashes, and what must hold. */
export function runSeed(options: RunOptions): Promise<SimulationReport> {
  let raw: EventStore | undefined
  const { seed, actionCount = ACTION_COUNT, needs = [], bug } = options
  return simulate(
    {
      seed,
      faults: { stalled: 0.0005, stallMsMax: 3000 },
      open: async (sources) => {
        raw = await openMemoryStore(sources)
        return bug === undefined ? raw : bug(raw)
      },
    },
    (world) => new Scenario(world, raw as EventStore, needs).run(actionCount),
  )
}

class Scenario {
  readonly #world: Simulation
  readonly #raw: EventStore
  readonly #parts: ReadonlySet<Part>
  readonly #log: TrueLog
  readonly #consumers: Consumers
  readonly #programs: Program[] = []
  #isOver = false

  constructor(world: Simulation, raw: EventStore, needs: readonly Part[]) {
    this.#world = world
    this.#raw = raw
    this.#parts = new Set(
      partNames.filter((part) => world.chance(PART_SHARE) || needs.includes(part)),
    )
    this.#log = new TrueLog(raw, world)
    this.#consumers = new Consumers(world, this.#log)
    world.note(`parts: ${[...this.#parts].join(' ')}`)
  }

  async run(actionCount: number): Promise<void> {
    const world = this.#world
    const parts = { world, log: this.#log, raw: this.#raw, parts: this.#parts }
    const audit = await Audit.open(parts)
    for (let n = world.between(1, 3); n > 0; n--) {
      void world.beside(`m${n}`, () => this.#live(`m${n}`))
    }
    const actors = new Actors(world, this.#log, this.#programs, this.#parts, actionCount)
    const chaos = world.beside('chaos', () => this.#chaos())
    const audits = world.beside('the audit', () => this.#audits(audit))
    await Promise.all(Array.from({ length: ACTOR_COUNT }, () => actors.run()))
    this.#isOver = true
    world.note('the actors are done')
    world.calm()
    await Promise.all([chaos, audits])
    await this.#settle(audit, actors.causes)
    await audit.atTheEnd(this.#consumers, actors.causes)
  }

  /** A machine with its lives. */
  async #live(name: string): Promise<void> {
    for (;;) {
      const machine = this.#world.machine(name)
      const starting = startProgram(machine, this.#parts, this.#consumers)
      const store = await starting.catch((error: unknown) => {
        this.#world.check(isEventualiError(error), `${name} starts: ${String(error)}`)
        machine.crash()
      })
      const program = store && { machine, store }
      if (program) this.#programs.push(program)
      await machine.gone
      if (program) this.#programs.splice(this.#programs.indexOf(program), 1)
      await this.#world.sleep(this.#world.random.next() * 200)
    }
  }

  /** What happens to machines. */
  async #chaos(): Promise<void> {
    const world = this.#world
    while (!this.#isOver) {
      await world.sleep(world.random.next() * CHAOS_INTERVAL_MS_MAX)
      if (this.#programs.length === 0 || this.#isOver) continue
      const { machine } = world.pick(this.#programs)
      const draw = world.random.next()
      if (draw < 0.3) machine.crash()
      else if (draw < 0.7) machine.pause(world.random.next() * PAUSE_MS_MAX)
      else machine.jump(world.between(-2000, 2000))
    }
  }

  async #audits(audit: Audit): Promise<void> {
    while (!this.#isOver) {
      await this.#world.sleep(20 + this.#world.random.next() * AUDIT_INTERVAL_MS_MAX)
      await audit.now()
    }
  }

  /** Until all that has to happen has happened; the poison is mended in the midst of it. */
  async #settle(audit: Audit, causes: Causes): Promise<void> {
    const consumers = this.#consumers
    await this.#until('all is done', () => audit.waitsFor(consumers, causes))
    if (!this.#parts.has('poison')) return
    await this.#until('all poison is parked', () => audit.lettersDiffer())
    consumers.isFixed = true
    await audit.retryLetters()
    await this.#until('no dead letter is left', () => audit.lettersLeft())
    await this.#until('all is handled after the mending', async () => {
      const [first] = consumers.poison.missing()
      return first && `position ${first.position} is missing`
    })
  }

  async #until(what: string, differs: () => Promise<string | undefined>): Promise<void> {
    const endMs = this.#world.clock.monotonic() + REST_MS
    for (;;) {
      const wrong = await differs()
      if (wrong === undefined) return
      const isInTime = this.#world.clock.monotonic() < endMs
      this.#world.check(isInTime, `${what} in time, and not: ${wrong}`)
      await this.#world.sleep(100)
    }
  }
}
