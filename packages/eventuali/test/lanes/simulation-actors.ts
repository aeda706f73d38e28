import {
  appendTo,
  isEventualiError,
  type RecordedEvent,
  type Store,
  uuidV5,
} from '../../src/index.ts'
import type { Machine, Simulation } from '../../src/testing/index.ts'
import { orderEvents } from './process-orders.ts'
import { Sums, takeSeat, worldEvents } from './simulation-domain.ts'
import type { TrueLog } from './simulation-log.ts'
import { CALL_TIMEOUT_MS, type Part } from './simulation-programs.ts'

/** What was acknowledged and has to have effects. */
export interface Causes {
  readonly orders: string[]
  readonly bells: string[]
}

/** A machine with its program. */
export interface Program {
  readonly machine: Machine
  readonly store: Store
}

/** No pause of a machine is longer. */
export const PAUSE_MS_MAX = 1000
/** Two bounds, since a read asks for the safe position first, and pauses in the midst of them. */
const CALL_MS_MAX = 2 * CALL_TIMEOUT_MS + 4 * PAUSE_MS_MAX
const TRY_COUNT = 3
const THINK_MS_MAX = 6
const NOTE_STREAM_COUNT = 12
const SUM_COUNT = 8
const READ_LIMIT = 40

/** How a call ended. */
type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'error'; readonly code: string }
  | { readonly kind: 'gone' }

/** Errors that a client has to expect: the domain, other clients, and the faults themselves. */
const expected = new Set([
  ...['VERSION_CONFLICT', 'CONDITION_FAILED', 'DOMAIN_REJECTED', 'CONNECTION_FAILED'],
  ...['OUTCOME_UNKNOWN', 'TIMEOUT', 'TRANSACTION_TIMEOUT', 'STREAM_ARCHIVED'],
  ...['STREAM_DELETED', 'STREAM_TRUNCATED', 'PROJECTION_MISSING', 'RECORD_CONFLICT'],
])

/** What clients do: one action after the other, each on some program, and what they were told. */
export class Actors {
  readonly #world: Simulation
  readonly #log: TrueLog
  readonly #programs: readonly Program[]
  readonly #actions: readonly (() => Promise<void>)[]
  /** What was acknowledged and has effects later on. */
  readonly causes: Causes = { orders: [], bells: [] }
  #serial = 0
  #left: number

  constructor(
    world: Simulation,
    log: TrueLog,
    programs: readonly Program[],
    parts: ReadonlySet<Part>,
    actionCount: number,
  ) {
    this.#world = world
    this.#log = log
    this.#programs = programs
    this.#left = actionCount
    const takesOrders = ['process', 'outbox', 'transactional'].some((p) => parts.has(p as Part))
    this.#actions = [
      ...[this.#note, this.#note, this.#note, this.#noteAt, this.#sum, this.#sum, this.#seat],
      ...[this.#read, this.#readLog, this.#loadSum, this.#lifecycle],
      ...(takesOrders ? [this.#order] : []),
      ...(parts.has('process') ? [this.#bell] : []),
    ]
  }

  /** Acts until the actions are used up. */
  async run(): Promise<void> {
    while (this.#left > 0) {
      this.#left -= 1
      await this.#world.pick(this.#actions)()
      await this.#world.sleep(this.#world.random.next() * THINK_MS_MAX)
    }
  }

  async #call<T>(what: string, work: (store: Store) => Promise<T>): Promise<Outcome<T>> {
    while (this.#programs.length === 0) await this.#world.sleep(20)
    const { machine, store } = this.#world.pick(this.#programs)
    const settled = work(store).then(
      (value): Outcome<T> => ({ kind: 'done', value }),
      (error: unknown): Outcome<T> => {
        const code = isEventualiError(error) ? error.code : String((error as Error).stack)
        this.#world.check(expected.has(code), `${what} failed with ${code}`)
        return { kind: 'error', code }
      },
    )
    const gone = machine.gone.then((): Outcome<T> => ({ kind: 'gone' }))
    const outcome = await this.#world.bounded(what, CALL_MS_MAX, Promise.race([settled, gone]))
    this.#world.note(`${what}: ${outcome.kind === 'error' ? outcome.code : outcome.kind}`)
    return outcome
  }

  /** Again until it is known what came of it, or the client gives up and never knows. */
  async #persist<T>(what: string, work: (store: Store) => Promise<T>): Promise<T | undefined> {
    for (let tries = 0; tries < TRY_COUNT; tries++) {
      const outcome = await this.#call(what, work)
      if (outcome.kind === 'done') return outcome.value
      if (outcome.kind === 'error' && outcome.code === 'DOMAIN_REJECTED') return undefined
    }
    return undefined
  }

  async #isStored(stream: string, id: string, version: number): Promise<void> {
    await this.#log.refresh()
    const found = this.#log.find(stream, id)
    const promise = `${stream} ${version} was acknowledged, and so it is stored`
    this.#world.check(found?.version === version, promise)
  }

  readonly #note = async (): Promise<void> => {
    const stream = `note-${this.#world.between(1, NOTE_STREAM_COUNT)}`
    const n = ++this.#serial
    const events = Array.from({ length: this.#world.between(1, 3) }, (_, i) => ({
      ...worldEvents.Noted({ n: n + i / 10 }),
      id: `n${n}-${i}`,
    }))
    const result = await this.#persist(`notes ${n} to ${stream}`, (store) =>
      store.append(stream, events),
    )
    if (result !== undefined)
      await this.#isStored(stream, `n${n}-${events.length - 1}`, result.version)
  }

  /** With the version that is true now; what others append meanwhile is a conflict. */
  readonly #noteAt = async (): Promise<void> => {
    const stream = `note-${this.#world.between(1, 3)}`
    const id = `n${++this.#serial}`
    const event = { ...worldEvents.Noted({ n: this.#serial }), id }
    await this.#log.refresh()
    const expectedVersion = this.#log.version(stream)
    const result = await this.#persist(`${id} to ${stream} at ${expectedVersion}`, (store) =>
      store.append(stream, event, { expectedVersion }),
    )
    if (result === undefined) return
    await this.#isStored(stream, id, expectedVersion + 1)
  }

  readonly #sum = async (): Promise<void> => {
    const id = String(this.#world.between(1, SUM_COUNT))
    const n = ++this.#serial
    const result = await this.#persist(`adds ${n} to sums-${id}`, (store) =>
      store.aggregate(Sums).execute(id, 'add', n, { commandId: `add-${n}` }),
    )
    const stream = `sums-${id}`
    if (result !== undefined)
      await this.#isStored(stream, uuidV5(`add-${n}`, stream, 0), result.version)
  }

  readonly #loadSum = async (): Promise<void> => {
    const id = String(this.#world.between(1, SUM_COUNT))
    const loaded = await this.#persist(`loads sums-${id}`, (store) =>
      store.aggregate(Sums).load(id),
    )
    if (loaded === undefined) return
    await this.#log.refresh()
    const { state, version } = loaded
    const folded = this.#log.stream(`sums-${id}`).slice(0, version)
    const sum = folded.reduce((before, { data }) => before + (data as { n: number }).n, 0)
    const isRefold = state.sum === sum && state.count === version
    this.#world.check(isRefold, `the loaded state of sums-${id} at ${version} equals a refold`)
  }

  readonly #seat = async (): Promise<void> => {
    const guest = `guest-${++this.#serial}`
    const show = this.#world.between(1, 8)
    await this.#call(`${guest} takes a seat of show ${show}`, (store) =>
      store.decide(takeSeat, { show, guest }),
    )
  }

  readonly #order = async (): Promise<void> => {
    const order = String(++this.#serial)
    const event = { ...orderEvents.Placed({ order }), id: `placed-${order}` }
    const result = await this.#persist(`places order ${order}`, (store) =>
      store.append(`order-${order}`, event),
    )
    if (result === undefined) return
    await this.#isStored(`order-${order}`, `placed-${order}`, result.version)
    this.causes.orders.push(order)
  }

  /** Not tried again: the same name would set it anew, after it has rung perhaps. */
  readonly #bell = async (): Promise<void> => {
    const bell = `bell-${++this.#serial}`
    const moment = new Date(this.#world.clock.now() + this.#world.between(-100, 500))
    const ring = appendTo(bell, worldEvents.Echoed({ of: bell }))
    const outcome = await this.#call(`sets ${bell}`, (store) =>
      store.schedules.at(bell, moment, ring),
    )
    if (outcome.kind === 'done') this.causes.bells.push(bell)
  }

  /** A stream as a reader sees it: dense, and nothing that was acknowledged before is missing. */
  readonly #read = async (): Promise<void> => {
    const stream = `note-${this.#world.between(1, NOTE_STREAM_COUNT)}`
    await this.#log.refresh()
    const before = this.#log.version(stream)
    const events = await this.#persist(`reads ${stream}`, (store) =>
      store.readStream(stream).toArray(),
    )
    if (events === undefined) return
    const isDense = events.every(({ version }, i) => version === i + 1)
    this.#world.check(isDense, `a read of ${stream} gives its versions in order`)
    this.#world.check(events.length >= before, `a read of ${stream} gives what was there before`)
  }

  /** The end of the log by type, as a reader sees it. */
  readonly #readLog = async (): Promise<void> => {
    await this.#log.refresh()
    const { events } = this.#log
    const start = this.#world.between(0, events.length)
    const after = events[start - 1]?.position ?? 0
    const isNote = ({ type, stream }: RecordedEvent) =>
      type === 'Noted' && stream.startsWith('note-')
    const wanted = events.slice(start, start + READ_LIMIT).filter(isNote)
    const seen = await this.#persist('reads the log', (store) =>
      store.readAll({ after, types: ['Noted'], limit: READ_LIMIT }).toArray(),
    )
    if (seen === undefined) return
    const there = seen.filter(isNote)
    const isSame = wanted.every(({ position }, i) => there[i]?.position === position)
    this.#world.check(isSame, `a filtered read after ${after} gives all of the log, in order`)
  }

  /** Streams that come and go. What may not happen is refused; versions never go back. */
  readonly #lifecycle = async (): Promise<void> => {
    const stream = `temp-${this.#world.between(1, 2)}`
    const event = worldEvents.Noted({ n: ++this.#serial })
    const before = this.#log.version(stream)
    const action = this.#world.pick<(store: Store) => Promise<{ readonly version: number }>>([
      (store) => store.append(stream, event, { recreate: true }),
      (store) => store.append(stream, event, { recreate: true }),
      (store) => store.truncate(stream, { before: Math.max(1, before) }),
      (store) => store.archive(stream),
      (store) => store.archive(stream, { undo: true }),
      (store) => store.deleteStream(stream),
    ])
    const outcome = await this.#call(`changes ${stream}`, action)
    if (outcome.kind !== 'done') return
    const goesOn = outcome.value.version >= before
    this.#world.check(goesOn, `${stream} is at version ${before} or above, whatever was removed`)
  }
}
