import {
  type Clock,
  type IdSource,
  isEventualiError,
  type Random,
  retry,
  sleep,
} from '../kernel/index.ts'
import { ProjectionBuildLostError, type RecordedEvent } from '../model/index.ts'
import type { EventStore, LogQuery, StoreTransaction } from '../ports/index.ts'
import { letterPrefix, recordKinds } from '../subscriptions/index.ts'
import { HandlerFailure, handleEvents, wantedEvents } from './build.ts'
import { type CompareReport, compareGenerations } from './compare.ts'
import { type AnyProjection, tablesOf } from './define.ts'
import { qualifierOf } from './inline.ts'
import {
  consumerName,
  type Generation,
  liveOf,
  lockRegistered,
  readRegistered,
} from './registry.ts'
import { isStorageTrouble } from './run.ts'
import { freezeConsumer } from './switch.ts'

/** The kind of the record that says whose the tables are, and which. */
const KIND = 'projection-refold'
/** Generations count from 1: these tables are nobody's read model. */
const REFOLDED = 0
const BATCH_COUNT = 1000
const BATCH_TIMEOUT_MS = 60_000
const COMPARE_TIMEOUT_MS = 600_000
/** Rows without a partner that are remembered; a difference is found long before. */
const UNMATCHED_COUNT_MAX = 10_000
const TURN_COUNT_MAX = 10
const TURN_INTERVAL_MS = 100
const policy = { retryCountMax: 8, firstDelayMs: 20, delayMaxMs: 2000 }

/** What a refold runs on. */
export interface RefoldRuntime {
  readonly clock: Clock
  readonly random: Random
  readonly ids: IdSource
  readonly signal: AbortSignal | undefined
  /** Folds archived streams too, which the live one may have handled before they were archived. */
  readonly includeArchived: boolean
  /** Told how far it is. */
  readonly onProgress: (position: number, upTo: number) => void
}

/** What came of it. */
export type Refolded =
  | { readonly kind: 'compared'; readonly report: CompareReport; readonly parked: number }
  /** Nothing of the name is live. */
  | { readonly kind: 'none' }
  /** What is live was filled by code of another version. */
  | { readonly kind: 'other-version'; readonly version: number }
  | { readonly kind: 'failed'; readonly position: number; readonly error: unknown }
  /** It was rebuilt, switched or set back again and again meanwhile. */
  | { readonly kind: 'moved' }

type Live = Generation & { readonly generation: number }

/**
 * Folds the events of a projection again, into tables that nobody reads, and compares them with
 * the live ones where both have seen the same events. The tables are dropped in the end; those of
 * a process that died are dropped by the next one. Throws ProjectionBuildLostError when another
 * process begins the same, and what storage cannot help.
 */
export async function refold(
  port: EventStore,
  projection: AnyProjection,
  runtime: RefoldRuntime,
): Promise<Refolded> {
  const work = new Refold(port, projection, await qualifierOf(port), runtime)
  for (let turn = 1; turn <= TURN_COUNT_MAX; turn++) {
    const live = liveOf((await readRegistered(port.records, projection.name))?.value)
    if (live === undefined) return { kind: 'none' }
    if (live.version !== projection.version) return { kind: 'other-version', version: live.version }
    try {
      const done = await work.run(live)
      if (done !== undefined) return done
    } finally {
      await work.drop().catch(() => {})
    }
    await sleep(runtime.clock, TURN_INTERVAL_MS, runtime.signal)
  }
  return { kind: 'moved' }
}

interface RefoldValue {
  readonly owner: string
  readonly tables: readonly string[]
  readonly position: number
}

class Refold {
  readonly #port: EventStore
  readonly #projection: AnyProjection
  readonly #qualifier: string
  readonly #runtime: RefoldRuntime
  readonly #owner: string
  #position = 0

  constructor(
    port: EventStore,
    projection: AnyProjection,
    qualifier: string,
    runtime: RefoldRuntime,
  ) {
    this.#port = port
    this.#projection = projection
    this.#qualifier = qualifier
    this.#runtime = runtime
    this.#owner = runtime.ids.next()
  }

  /** Undefined when the live generation has moved in a way that makes no comparison. */
  async run(live: Live): Promise<Refolded | undefined> {
    this.#position = 0
    await this.#begin()
    try {
      // Most is done before the live tables are held: they are held for the rest of it only.
      while ((await this.#fill(await this.#ceiling(live))) >= BATCH_COUNT);
      return await this.#compare(live)
    } catch (error) {
      // At one of the last events: the next turn comes by it one event at a time.
      if (error instanceof HandlerFailure) return undefined
      if (!(error instanceof FoldFailure)) throw error
      return { kind: 'failed', position: error.position, error: error.cause }
    }
  }

  /** Removes the tables, if they are still this one's. */
  async drop(): Promise<void> {
    await this.#transaction(async (tx) => {
      const [found] = await tx.records.lock(KIND, [this.#projection.name])
      const value = found?.value as RefoldValue | undefined
      if (value?.owner === this.#owner) await this.#dropIn(tx, value)
    })
  }

  async #dropIn(tx: StoreTransaction, value: RefoldValue): Promise<void> {
    for (const table of value.tables) await tx.models.drop(table)
    await tx.records.write([{ kind: KIND, key: this.#projection.name, expected: 'any' }])
  }

  async #begin(): Promise<void> {
    const { name } = this.#projection
    await this.#transaction(async (tx) => {
      const [found] = await tx.records.lock(KIND, [name])
      if (found !== undefined) await this.#dropIn(tx, found.value as unknown as RefoldValue)
      const tables = [...tablesOf(this.#projection, REFOLDED).values()]
      for (const table of tables) await tx.models.create(table)
      await this.#write(tx, { tables: tables.map((table) => table.name), position: 0 })
    })
  }

  async #write(tx: StoreTransaction, value: Omit<RefoldValue, 'owner'>): Promise<void> {
    const written = { ...value, owner: this.#owner }
    const key = this.#projection.name
    await tx.records.write([{ kind: KIND, key, expected: 'any', value: written }])
  }

  async #held(tx: StoreTransaction): Promise<RefoldValue> {
    const { name } = this.#projection
    const [found] = await tx.records.lock(KIND, [name])
    const value = found?.value as RefoldValue | undefined
    if (value?.owner === this.#owner) return value
    throw new ProjectionBuildLostError(name)
  }

  #transaction<T>(work: (tx: StoreTransaction) => Promise<T>): Promise<T> {
    const { clock, random } = this.#runtime
    // All of them may be done twice: what was done is in the record.
    const retryable = (error: unknown) =>
      isStorageTrouble(error) || isEventualiError(error, 'OUTCOME_UNKNOWN')
    return retry(() => this.#port.transaction(work, { timeoutMs: BATCH_TIMEOUT_MS }), {
      ...{ policy, retryable, clock, random },
    })
  }

  /** How far the live one is at least: no further than it, so that both can meet. */
  async #ceiling({ mode, generation, position }: Live): Promise<number> {
    const { safe } = await this.#port.positions({ signal: this.#runtime.signal })
    if (mode === 'inline') return safe
    const { name } = this.#projection
    const saved = await this.#transaction((tx) => freezeConsumer(tx, name, generation))
    return Math.min(safe, saved ?? position)
  }

  #query(after: number, upTo: number): LogQuery {
    const wanted = wantedEvents(this.#projection)
    const includeArchived = wanted.includeArchived === true || this.#runtime.includeArchived
    const bounds = { after, upTo, direction: 'forward', pageSize: BATCH_COUNT } as const
    return { ...wanted, includeArchived, ...bounds }
  }

  /** Number of events that there were. */
  async #fill(ceiling: number): Promise<number> {
    const { signal, onProgress } = this.#runtime
    let count = 0
    for await (const page of this.#port.readLog(this.#query(this.#position, ceiling), { signal })) {
      await this.#commit(page)
      count += page.length
      onProgress(this.#position, ceiling)
      signal?.throwIfAborted()
    }
    return count
  }

  /** Handles a page in one transaction, or one by one to find the event that fails. */
  async #commit(page: readonly RecordedEvent[]): Promise<void> {
    try {
      await this.#commitOnce(page)
    } catch (error) {
      if (!(error instanceof HandlerFailure)) throw error
      for (const event of page) {
        await this.#commitOnce([event]).catch((failure: unknown) => {
          if (!(failure instanceof HandlerFailure)) throw failure
          throw new FoldFailure(event.position, failure.cause)
        })
      }
    }
  }

  async #commitOnce(events: readonly RecordedEvent[]): Promise<void> {
    const { position } = events.at(-1) as RecordedEvent
    await this.#transaction(async (tx) => {
      const value = await this.#held(tx)
      if (value.position >= position) return
      await this.#handle(tx, events)
      await this.#write(tx, { ...value, position })
    })
    this.#position = position
  }

  #handle(tx: StoreTransaction, events: readonly RecordedEvent[]): Promise<void> {
    const { clock } = this.#runtime
    const runtime = { clock, qualifier: this.#qualifier }
    return handleEvents(tx, this.#projection, REFOLDED, events, runtime)
  }

  /** Holds the live tables where they are, brings these to the same place, and compares. */
  async #compare(live: Live): Promise<Refolded | undefined> {
    const { name } = this.#projection
    const { signal } = this.#runtime
    const work = async (tx: StoreTransaction): Promise<Refolded | undefined> => {
      const { value } = await lockRegistered(tx.records, name)
      const now = liveOf(value)
      if (now?.generation !== live.generation || now.mode !== live.mode) return undefined
      if (now.mode === 'inline') await tx.barrier()
      const held = await this.#held(tx)
      const newest = await tx.newestPosition()
      const stands =
        now.mode === 'inline'
          ? newest
          : ((await freezeConsumer(tx, name, now.generation)) ?? now.position)
      if (stands < held.position) return undefined
      const upTo = Math.min(stands, newest)
      for await (const page of tx.readLog(this.#query(held.position, upTo))) {
        await this.#handle(tx, page)
      }
      const { version } = this.#projection
      const tables = tablesOf(this.#projection, REFOLDED)
      const names = Object.fromEntries([...tables].map(([target, table]) => [target, table.name]))
      const folded = { generation: REFOLDED, version, position: upTo, tables: names }
      const before = { ...now, position: upTo }
      const report = await compareGenerations(tx.models, before, folded, true, UNMATCHED_COUNT_MAX)
      const parked = await parkedOf(tx, consumerName(name, now.generation))
      await this.#dropIn(tx, held)
      return { kind: 'compared', report, parked }
    }
    return this.#port.transaction(work, { timeoutMs: COMPARE_TIMEOUT_MS, signal })
  }
}

/** A handler has failed at an event. */
class FoldFailure extends Error {
  readonly position: number
  override readonly cause: unknown

  constructor(position: number, cause: unknown) {
    super('an event cannot be folded')
    this.position = position
    this.cause = cause
  }
}

const PARKED_COUNT_MAX = 1000

/** Events that the projection has put aside: a refold has them, or fails at them. */
async function parkedOf(tx: StoreTransaction, consumer: string): Promise<number> {
  const query = { kind: recordKinds.letter, prefix: letterPrefix(consumer), state: 'parked' }
  return (await tx.records.list({ ...query, limit: PARKED_COUNT_MAX })).length
}
