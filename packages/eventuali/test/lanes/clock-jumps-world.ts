import {
  appendTo,
  type Clock,
  isEventualiError,
  openStore,
  type RecordedEvent,
  type Store,
} from '../../src/index.ts'
import type { EventStore } from '../../src/ports/index.ts'
import {
  type Machine,
  openMemoryStore,
  type Simulation,
  type SimulationReport,
  simulate,
} from '../../src/testing/index.ts'
import { Fulfilment, orderEvents } from './process-orders.ts'
import { Sums } from './simulation-domain.ts'

const HOUR_MS = 3_600_000
const QUARTER_MS = HOUR_MS / 4
const LEASE_TTL_MS = 400
/** Looks at who owns what before the first jump. */
const SETTLING_MAX = 10
const REST_MS = 120_000
/** Wall clocks stay within so many hours of where they began. */
const HOURS_BACK_MAX = 4
const HOURS_AHEAD_MAX = 6

/** One run: clocks that jump around a moment, and nothing else that goes wrong, or all of it. */
export interface ClockRun {
  readonly seed: number
  /** Where the wall clocks begin, some hours before something happens to the calendar. */
  readonly moment: string
  /** A schedule by the calendar that has to come once in the night that follows. */
  readonly once: { readonly pattern: string; readonly timeZone: string }
  readonly jumpCount: number
  /** No fault, pause or crash: then no owner may change. */
  readonly isCalm: boolean
  /** Planted bugs. */
  readonly clock?: ((clock: Clock) => Clock) | undefined
  readonly store?: ((store: EventStore, wall: () => number) => EventStore) | undefined
}

/** What a run has shown. */
export interface ClockReport extends SimulationReport {
  /** Events whose `recordedAt` lies before that of their predecessor. */
  readonly backwards: number
  readonly owners: number
}

/** Runs it. Throws SimulationError for what does not hold. */
export async function runClocks(options: ClockRun): Promise<ClockReport> {
  const wall = { offsetMs: 0 }
  let raw: EventStore | undefined
  const none = { before: 0, after: 0, atCommit: 0, inside: 0, stalled: 0 }
  let result = { backwards: 0, owners: 0 }
  const report = await simulate(
    {
      seed: options.seed,
      faults: options.isCalm ? none : { stallMsMax: 2000 },
      open: async (sources) => {
        const { clock } = sources as { clock: Clock }
        // The store's own clock jumps like all the others.
        const jumping = { ...clock, now: () => clock.now() + wall.offsetMs }
        raw = await openMemoryStore({ ...sources, clock: jumping })
        return options.store?.(raw, jumping.now) ?? raw
      },
    },
    async (world) => {
      result = await new ClockWorld(world, options, raw as EventStore, wall).play()
    },
  )
  return { ...report, ...result }
}

interface Program {
  readonly machine: Machine
  readonly store: Store
}

class ClockWorld {
  readonly #world: Simulation
  readonly #options: ClockRun
  readonly #raw: EventStore
  readonly #storeWall: { offsetMs: number }
  readonly #programs: Program[] = []
  readonly #startMs: number
  /** When each bell is due. */
  readonly #bells = new Map<string, number>()
  readonly #orders: string[] = []
  readonly #epochs = new Map<string, number>()
  #setAtMs = 0
  #seen = 0
  #adds = 0

  constructor(
    world: Simulation,
    options: ClockRun,
    raw: EventStore,
    storeWall: { offsetMs: number },
  ) {
    this.#world = world
    this.#options = options
    this.#raw = raw
    this.#storeWall = storeWall
    this.#startMs = Date.parse(options.moment)
  }

  async play(): Promise<{ readonly backwards: number; readonly owners: number }> {
    const world = this.#world
    this.#storeWall.offsetMs = this.#startMs - world.clock.now()
    for (const name of ['a', 'b', 'c']) await this.#start(name)
    await this.#settle()
    await this.#schedule()
    await this.#checkOwners()
    for (let n = 0; n < this.#options.jumpCount; n++) {
      this.#jump()
      await this.#act(n)
      await world.sleep(world.random.next() * LEASE_TTL_MS)
      await this.#checkOwners()
    }
    world.calm()
    await this.#comeRight()
    await this.#checkOwners()
    return this.#checkLog()
  }

  /** Until each of those who have just come owns its share: nothing has jumped yet. */
  async #settle(): Promise<void> {
    let before = ''
    for (let n = 0; n < SETTLING_MAX; n++) {
      await this.#world.sleep(3 * LEASE_TTL_MS)
      const partitions = await this.#raw.records.list({ kind: 'partition', limit: 100 })
      const epochs = partitions.map(({ key, value }) => [key, (value as { epoch: number }).epoch])
      const now = JSON.stringify(epochs)
      if (now === before) return
      before = now
    }
  }

  async #start(name: string): Promise<void> {
    const machine = this.#world.machine(name)
    machine.jump(this.#startMs - machine.clock.now())
    const { port, random, ids } = machine
    const clock = this.#options.clock?.(machine.clock) ?? machine.clock
    const store = await openStore(port, {
      ...{ clock, random, ids, schemas: false, unknown: 'allow', leaseTtlMs: LEASE_TTL_MS },
      ...{ processes: [Fulfilment], snapshots: { ageMs: 60_000, keep: 2, checkRate: 0 } },
      timeoutMs: 2000,
    })
    const options = { name: 'echo', types: ['Placed'], transactional: true, pollIntervalMs: 100 }
    store.subscribe(options, async ({ id }, { tx }) => {
      await tx?.append(`echo-${id}`, { type: 'Echoed', data: { of: id } })
    })
    await this.#again(() => store.processes.start())
    this.#programs.push({ machine, store })
  }

  /** Until the store has answered. */
  async #again<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work()
      } catch (error) {
        if (!isEventualiError(error)) throw error
        await this.#world.sleep(50)
      }
    }
  }

  async #schedule(): Promise<void> {
    const [{ store, machine }] = this.#programs as [Program]
    const { pattern, timeZone } = this.#options.once
    this.#setAtMs = machine.clock.now()
    const quarter = appendTo('quarter-1', { type: 'Quarter', data: null })
    const once = appendTo('once-1', { type: 'Once', data: null })
    await this.#again(() => store.schedules.every('quarter', '*/15 * * * *', quarter))
    await this.#again(() => store.schedules.every('once', pattern, once, { timeZone }))
  }

  /** One wall clock, or the store's own, goes an hour ahead or back. */
  #jump(): void {
    const world = this.#world
    const who = world.between(0, this.#programs.length)
    const program = this.#programs[who]
    const now = program?.machine.clock.now() ?? world.clock.now() + this.#storeWall.offsetMs
    const hours = (now - this.#startMs) / HOUR_MS
    const isAhead =
      hours < HOURS_BACK_MAX * -1 + 1 || (hours < HOURS_AHEAD_MAX && world.chance(0.6))
    const ms = isAhead ? HOUR_MS : -HOUR_MS
    if (program === undefined) {
      world.note(`the store's clock jumps by ${ms}`)
      this.#storeWall.offsetMs += ms
    } else program.machine.jump(ms)
    if (!this.#options.isCalm && world.chance(0.4)) {
      world.pick(this.#programs).machine.pause(world.random.next() * 3 * LEASE_TTL_MS)
    }
  }

  async #act(n: number): Promise<void> {
    const world = this.#world
    const { store, machine } = world.pick(this.#programs)
    const order = String(n)
    const placed = { ...orderEvents.Placed({ order }), id: `placed-${n}` }
    await this.#again(() => store.append(`order-${n}`, placed))
    this.#orders.push(order)
    const due = machine.clock.now() + world.between(-10, 30) * 60_000
    const bell = appendTo(`bell-${n}`, { type: 'Rang', data: null })
    await store.schedules.at(`bell-${n}`, new Date(due), bell).then(
      () => this.#bells.set(`bell-${n}`, due),
      () => undefined,
    )
    const sums = store.aggregate(Sums)
    await this.#again(() => sums.execute('1', 'add', 1, { commandId: `add-${n}` }))
    this.#adds += 1
    const { state, version } = await this.#again(() => sums.load('1'))
    const isRefold = state.sum === version && version === this.#adds
    world.check(isRefold, `a load of version ${version} of ${this.#adds} has the sum ${state.sum}`)
  }

  /** Only the highest epoch writes; while nothing but clocks goes wrong, it stays the first one. */
  async #checkOwners(): Promise<void> {
    const { check } = this.#world
    for (const { key, value } of await this.#raw.records.list({ kind: 'partition', limit: 100 })) {
      const { epoch } = value as { epoch: number }
      const before = this.#epochs.get(key)
      this.#epochs.set(key, epoch)
      if (before === undefined) continue
      check(epoch >= before, `${key} went from epoch ${before} to ${epoch}`)
      const stays = !this.#options.isCalm || epoch === before
      check(stays, `${key} changed its owner although only wall clocks have moved`)
    }
  }

  /** All clocks show the same, later than any did, and everything that is due happens. */
  async #comeRight(): Promise<void> {
    const world = this.#world
    const latest = this.#startMs + (HOURS_AHEAD_MAX + 3) * HOUR_MS
    this.#seen = latest - (latest % QUARTER_MS) + QUARTER_MS / 3
    for (const { machine } of this.#programs) machine.jump(this.#seen - machine.clock.now())
    const endMs = world.clock.monotonic() + REST_MS
    for (;;) {
      await world.sleep(200)
      const wrong = await this.#waitsFor()
      if (wrong === undefined) return
      world.check(world.clock.monotonic() < endMs, `all is done in time, and not: ${wrong}`)
    }
  }

  async #waitsFor(): Promise<string | undefined> {
    const log = await this.#log()
    const has = (type: string, stream: string) =>
      log.some((event) => event.type === type && event.stream === stream)
    for (const order of this.#orders) {
      if (!has('Echoed', `echo-placed-${order}`)) return `order ${order} has no echo`
      if (!has('Shipped', `shipping-${order}`)) return `order ${order} is not shipped`
      if (!has('Reminded', `reminder-${order}`)) return `order ${order} has no reminder`
    }
    for (const bell of this.#bells.keys()) if (!has('Rang', bell)) return `${bell} does not ring`
    const quarters = log.filter(({ type }) => type === 'Quarter').length
    if (quarters < this.#quarters().length) return `${quarters} quarters have struck`
    return has('Once', 'once-1') ? undefined : 'the night has not come'
  }

  #quarters(): readonly number[] {
    const all: number[] = []
    const first = this.#setAtMs - (this.#setAtMs % QUARTER_MS) + QUARTER_MS
    for (let due = first; due <= this.#seen; due += QUARTER_MS) all.push(due)
    return all
  }

  async #log(): Promise<readonly RecordedEvent[]> {
    const { newest: upTo } = await this.#raw.positions()
    const log: RecordedEvent[] = []
    for await (const page of this.#raw.readLog({ direction: 'forward', upTo })) log.push(...page)
    return log
  }

  async #checkLog(): Promise<{ readonly backwards: number; readonly owners: number }> {
    const { check } = this.#world
    const log = await this.#log()
    const versions = new Map<string, number>()
    let backwards = 0
    log.forEach(({ stream, version, position, recordedAt }, i) => {
      check(position > (log[i - 1]?.position ?? 0), `position ${position} is out of order`)
      check(version === (versions.get(stream) ?? 0) + 1, `${stream} ${version} is out of order`)
      versions.set(stream, version)
      if (recordedAt < (log[i - 1]?.recordedAt ?? recordedAt)) backwards += 1
    })
    for (const [stream, version] of versions) {
      const isSingle = /^(echo|bell|shipping|reminder|once)-/.test(stream)
      check(!isSingle || version === 1, `what comes once came ${version} times: ${stream}`)
    }
    for (const [bell, due] of this.#bells) {
      const rang = log.find(({ stream }) => stream === bell)?.time.getTime() ?? 0
      check(rang >= due, `${bell} rang ${due - rang} ms too early`)
    }
    const struck = log.filter(({ type }) => type === 'Quarter')
    const quarters = this.#quarters()
    check(
      struck.length === quarters.length,
      `${struck.length} of ${quarters.length} quarters struck`,
    )
    struck.forEach(({ time }, i) => {
      check(time.getTime() >= (quarters[i] ?? 0), `quarter ${i} struck too early`)
    })
    await this.#checkSubscriber(log)
    const owners = [...this.#epochs.values()].reduce((sum, epoch) => sum + epoch, 0)
    return { backwards, owners }
  }

  /** A reader that begins now sees the order of the positions, whatever the times say. */
  async #checkSubscriber(log: readonly RecordedEvent[]): Promise<void> {
    const [{ store }] = this.#programs as [Program]
    const seen = await this.#again(() => store.readAll().toArray())
    const isSame = seen.every(({ position }, i) => position === log[i]?.position)
    this.#world.check(isSame && seen.length === log.length, 'a reader sees the order of positions')
  }
}
