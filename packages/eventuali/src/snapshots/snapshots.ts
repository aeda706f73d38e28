import { type Clock, type Random, sleep } from '../kernel/index.ts'
import {
  type Aggregate,
  type AggregateClass,
  type AggregateDefinition,
  assertJson,
  type BodyEncoder,
  bodyEncoder,
  definitionOfClass,
  type EventInput,
  isAggregateClass,
  streamOf,
} from '../model/index.ts'
import type {
  AnyAggregate,
  CallOptions,
  EventStore,
  FoundSnapshot,
  LoadedState,
  RecordReads,
  SnapshotSource,
  StreamAccess,
} from '../ports/index.ts'
import {
  type Entry,
  entryOf,
  isNewest,
  isUnreadable,
  keysOf,
  readEntry,
  SNAPSHOT,
  slotCount,
  textOf,
  worthKeeping,
} from './entry.ts'
import { HeldStates } from './held-states.ts'
import { type KeptQuery, streamsKept } from './kept-streams.ts'
import { policyOf, type SnapshotOptions, type SnapshotPolicy } from './options.ts'
import { type Check, checkEntry, comesBack, decoded, encoded, type Refold, Trust } from './trust.ts'

/** Loads a stream as every load does, with a source that says what is kept. */
type Load = (definition: AnyAggregate, stream: string, source: SnapshotSource) => Promise<unknown>

/** States that wait to be written, at most; more are left out until a later load. */
const WAITING_COUNT_MAX = 1000
const LIST_PAGE_COUNT = 500
const BOUNDS = { timeoutMs: 30_000 }

/** The definition behind what `defineAggregate` gave, or behind a class. */
export function definitionOf(aggregate: object): AnyAggregate {
  const found = isAggregateClass(aggregate) ? definitionOfClass(aggregate) : aggregate
  return found as AnyAggregate
}

/** What has happened in this program. */
export interface SnapshotStats {
  /** Loads that began with a kept state, and those that found none they could use. */
  readonly used: number
  readonly missed: number
  readonly taken: number
  /** Kept states that could not be read: their events were used. */
  readonly damaged: number
  /** States that were not kept: JSON does not carry them, or the queue was full, or it failed. */
  readonly refused: number
  /** Kept states that were compared with their events, after a load. */
  readonly checked: number
  /** Fingerprints that were retired, since their states were not what the events give. */
  readonly retired: number
  /** The last thing that was wrong. */
  readonly problem: unknown
}

/** A kept state, without the state. */
export interface SnapshotInfo {
  readonly stream: string
  readonly version: number
  readonly position: number
  readonly takenAt: Date
  readonly codec: string
  /** Characters of its record's body. */
  readonly size: number
  readonly fingerprint: string
}

/** What `verify` found. */
export interface SnapshotReport {
  readonly same: number
  /** Written by other code, or of streams whose events were removed: nothing to compare with. */
  readonly passed: number
  readonly wrong: readonly (SnapshotInfo & { readonly reason: Exclude<Check, 'same'> })[]
}

function infoOf(entry: Entry): SnapshotInfo {
  const { stream, version, position, takenAt, codec, body, fingerprint } = entry
  const at = new Date(takenAt)
  return { stream, version, position, takenAt: at, codec, size: body.length, fingerprint }
}

/**
 * The kept states of a store. Loads use them and write them by themselves; what is here looks at
 * them. All of them may be dropped at any time: loads take longer then, and nothing else changes.
 *
 * @example
 * ```ts
 * import { openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:', { snapshots: { every: 100 } })
 * console.log(store.snapshots.stats.used) // 0
 * console.log(await store.snapshots.list('order-1')) // []
 * ```
 */
export class Snapshots implements SnapshotSource {
  readonly clock: Clock
  readonly countsBytes: boolean
  readonly readOnly: SnapshotSource
  readonly #port: EventStore
  readonly #random: Random
  readonly #policy: SnapshotPolicy
  readonly #encoder: BodyEncoder | undefined
  readonly #held: HeldStates
  readonly #refold: Refold
  readonly #load: Load
  // Some programs define an aggregate for each request: what is known of it goes with it.
  readonly #trusts = new WeakMap<AnyAggregate, Trust>()
  readonly #waiting = new Map<string, () => Promise<void>>()
  #working: Promise<void> | undefined
  #closed = false
  readonly #counts = {
    used: 0,
    missed: 0,
    taken: 0,
    damaged: 0,
    refused: 0,
    checked: 0,
    retired: 0,
  }
  #problem: unknown

  /** @internal Use `openStore(url, { snapshots })`. Throws InvalidArgumentError. */
  constructor(
    port: EventStore,
    runtime: { readonly clock: Clock; readonly random: Random },
    options: SnapshotOptions,
    ways: { readonly refold: Refold; readonly load: Load },
  ) {
    this.#port = port
    this.clock = runtime.clock
    this.#random = runtime.random
    this.#policy = policyOf(options)
    this.#encoder = bodyEncoder(this.#policy.codec)
    this.#held = new HeldStates(this.#policy.memoryBytes)
    this.#refold = ways.refold
    this.#load = ways.load
    this.countsBytes = Number.isFinite(this.#policy.bytes)
    this.readOnly = {
      clock: this.clock,
      countsBytes: false,
      find: (...args) => this.find(...args),
      loaded: () => false,
      foreign: (stream) => this.foreign(stream),
      get readOnly() {
        return this
      },
    }
  }

  /** What has happened in this program since the store was opened. */
  get stats(): SnapshotStats {
    return { ...this.#counts, problem: this.#problem }
  }

  /** @internal */
  async find(
    access: StreamAccess,
    definition: AnyAggregate,
    stream: string,
    bounds: { readonly version?: number | undefined; readonly position?: number | undefined },
    options?: CallOptions,
  ): Promise<FoundSnapshot | undefined> {
    if (definition.snapshot === false || !this.#policy.streams(stream)) return undefined
    const trust = this.#trustOf(definition)
    if (trust.fingerprint === undefined) {
      this.#enqueue(`probe\n${definition.name}`, () => trust.ask())
      this.#counts.missed++
      return undefined
    }
    // Within a transaction its own view of the records is asked.
    const { records = this.#port.records } = access as { readonly records?: RecordReads }
    const { version: most = Number.POSITIVE_INFINITY, position = Number.POSITIVE_INFINITY } = bounds
    const [newest, ...older] = keysOf(stream, slotCount(this.#policy.keep))
    for (const keys of [[newest as string], older]) {
      const rows = await records.get(SNAPSHOT, keys, options).catch((error: unknown) => {
        if (!isUnreadable(error)) throw error
        return this.#replaced(stream, error)
      })
      if (keys.length === 1 && rows[0] === undefined) break
      for (const row of rows) {
        const entry = readEntry(row)
        if (entry === undefined || entry.fingerprint !== trust.fingerprint) continue
        if (entry.version > most || entry.position > position) continue
        const found = this.#opened(definition, entry)
        if (found === undefined) continue
        this.#counts.used++
        this.#sample(trust, entry)
        return found
      }
    }
    this.#counts.missed++
    return undefined
  }

  /** @internal */
  async trusted(definition: AnyAggregate, options: CallOptions = {}): Promise<boolean> {
    const trust = this.#trustOf(definition)
    if (definition.snapshot === false) return false
    if (trust.fingerprint !== undefined) return true
    const { timeoutMs = BOUNDS.timeoutMs, signal } = options
    const over = new AbortController()
    const signals = signal === undefined ? [over.signal] : [over.signal, signal]
    const bound = sleep(this.clock, timeoutMs, AbortSignal.any(signals))
    await Promise.race([trust.ask(), bound]).finally(() => over.abort())
    return trust.fingerprint !== undefined
  }

  /** @internal */
  loaded(definition: AnyAggregate, stream: string, load: LoadedState): boolean {
    const { every, bytes, loadMs, ageMs, streams } = this.#policy
    const { eventCount, byteCount, elapsedMs, from } = load
    const age = from === undefined ? 0 : this.clock.now() - from.takenAt
    const isDue = eventCount >= every || byteCount >= bytes || elapsedMs >= loadMs || age >= ageMs
    const fingerprint = this.#trusts.get(definition)?.fingerprint
    if (!isDue || eventCount === 0 || fingerprint === undefined || !streams(stream)) return false
    // A store that is closing, or far behind, keeps it another time.
    const isFull = this.#waiting.size >= WAITING_COUNT_MAX && !this.#waiting.has(stream)
    if (this.#closed || isFull) {
      this.#counts.refused++
      return false
    }
    const json = this.#jsonOf(definition, stream, load.state)
    if (json === undefined) return false
    const { version, position } = load
    const state = { stream, version, position, takenAt: this.clock.now(), fingerprint }
    this.#enqueue(stream, () => this.#write(definition, state, json))
    return true
  }

  /** @internal */
  foreign(stream: string): void {
    this.#counts.damaged++
    this.#problem = new Error(`the kept state of ${JSON.stringify(stream)} is of another history`)
    this.#enqueue(stream, async () => void (await this.drop(stream)))
  }

  /** What is not even JSON is no reason to fail a load: its events are there. */
  #replaced(stream: string, problem: unknown): readonly undefined[] {
    this.#counts.damaged++
    this.#problem = problem
    const keys = keysOf(stream, slotCount(this.#policy.keep))
    const gone = keys.map((key) => ({ kind: SNAPSHOT, key, expected: 'any' as const }))
    this.#enqueue(`drop\n${stream}`, () =>
      // Without a look at them, which would fail again.
      this.#port.transaction(async (tx) => void (await tx.records.write(gone)), BOUNDS),
    )
    return [undefined]
  }

  /** The kept states of a stream, the one that loads try first in front. */
  async list(stream: string, options?: CallOptions): Promise<readonly SnapshotInfo[]> {
    const keys = keysOf(stream, slotCount(this.#policy.keep))
    const rows = await this.#port.records.get(SNAPSHOT, keys, options)
    return rows.map(readEntry).flatMap((entry) => (entry === undefined ? [] : [infoOf(entry)]))
  }

  /**
   * The kept states of all streams, by stream, in pages: of each stream all that are kept.
   */
  async page(query: KeptQuery = {}, options?: CallOptions): Promise<readonly SnapshotInfo[]> {
    const streams = await streamsKept(this.#port.records, query, options)
    const kept: SnapshotInfo[] = []
    for (const stream of streams) kept.push(...(await this.list(stream, options)))
    return kept
  }

  /**
   * Compares every newest kept state of an aggregate with a refold of its events. A wrong one
   * retires the fingerprint, as it would after a load.
   */
  async verify<S, C, A extends EventInput>(
    aggregate: AggregateDefinition<S, C, A> | AggregateClass<Aggregate>,
  ): Promise<SnapshotReport> {
    const definition = definitionOf(aggregate)
    const trust = this.#trustOf(definition)
    await trust.ask()
    let [same, passed] = [0, 0]
    const wrong: (SnapshotInfo & { readonly reason: Exclude<Check, 'same'> })[] = []
    const page = { kind: SNAPSHOT, prefix: `${definition.name}-`, limit: LIST_PAGE_COUNT }
    for (let after: string | undefined; ; ) {
      const rows = await this.#port.records.list({ ...page, after })
      after = rows.at(-1)?.key
      if (after === undefined) return { same, passed, wrong }
      for (const row of rows.filter(isNewest)) {
        const entry = readEntry(row)
        const isOwn = entry !== undefined && entry.fingerprint === trust.fingerprint
        const check = isOwn ? await checkEntry(definition, entry, this.#refold) : 'impossible'
        if (check === 'same') same++
        else if (entry === undefined || check === 'impossible') passed++
        else wrong.push({ ...infoOf(entry), reason: check })
        if (entry !== undefined && check === 'different') await trust.retire(entry.stream)
      }
    }
  }

  /**
   * Keeps the newest state of one stream now, whatever the rules say, and resolves once it is kept
   * (or was there). Undefined when there is nothing to keep: no events, an aggregate that keeps
   * none, or states that this program may not write yet (`stats.problem` says why).
   * Throws what a load throws, and DataNotJsonError or TypeError for a state that cannot be kept.
   */
  async take<S, C, A extends EventInput>(
    aggregate: AggregateDefinition<S, C, A> | AggregateClass<Aggregate>,
    id: string,
  ): Promise<SnapshotInfo | undefined> {
    const definition = definitionOf(aggregate)
    const stream = streamOf(definition, id)
    const trust = this.#trustOf(definition)
    if (definition.snapshot !== false) await trust.ask()
    const { fingerprint } = trust
    if (definition.snapshot === false || fingerprint === undefined) return undefined
    let found: LoadedState | undefined
    const loaded: SnapshotSource['loaded'] = (_definition, _stream, load) => {
      found = load
      return false
    }
    await this.#load(definition, stream, { ...this.readOnly, loaded, foreign: () => {} })
    if (found === undefined || found.version === 0) return undefined
    const { version, position } = found
    if (found.from?.version !== version) {
      const kept = encoded(definition, found.state)
      assertJson(kept, `the state of ${stream}`)
      const state = { stream, version, position, takenAt: this.clock.now(), fingerprint }
      await this.#write(definition, state, JSON.stringify(kept))
    }
    const all = await this.list(stream)
    return all.find((info) => info.fingerprint === fingerprint && info.version >= version)
  }

  /** Drops the kept states of a stream, or of all of them; gives how many records there were. */
  async drop(stream?: string): Promise<number> {
    if (stream !== undefined) {
      return this.#remove(keysOf(stream, slotCount(this.#policy.keep)))
    }
    for (let count = 0; ; ) {
      const rows = await this.#port.records.list({ kind: SNAPSHOT, limit: LIST_PAGE_COUNT })
      if (rows.length === 0) return count
      count += await this.#remove(rows.map(({ key }) => key))
    }
  }

  /** Resolves once everything that loads have set going is through. */
  async settled(): Promise<void> {
    while (this.#working !== undefined) await this.#working
  }

  /** @internal Finishes what has begun. */
  async stop(): Promise<void> {
    this.#closed = true
    await this.settled()
  }

  #trustOf(definition: AnyAggregate): Trust {
    const known = this.#trusts.get(definition)
    if (known !== undefined) return known
    const trust = new Trust(definition, {
      port: this.#port,
      refold: this.#refold,
      now: () => this.clock.now(),
      onProblem: (problem, isRetired) => {
        this.#problem = problem
        if (isRetired) this.#counts.retired++
      },
    })
    this.#trusts.set(definition, trust)
    return trust
  }

  #opened(definition: AnyAggregate, entry: Entry): FoundSnapshot | undefined {
    const { version, position, takenAt } = entry
    try {
      const state = this.#held.get(entry) ?? this.#read(definition, entry)
      return { state, version, position, takenAt }
    } catch (error) {
      this.#counts.damaged++
      this.#problem = error
      return undefined
    }
  }

  #read(definition: AnyAggregate, entry: Entry): unknown {
    const text = textOf(entry)
    const parsed: unknown = JSON.parse(text)
    const state = decoded(definition, parsed)
    // What a definition makes of the JSON itself cannot be frozen, or need not be its own.
    const isJson = state === parsed && this.#policy.memoryBytes > 0
    return isJson ? this.#held.set(entry, state, text.length) : state
  }

  #jsonOf(definition: AnyAggregate, stream: string, state: unknown): string | undefined {
    try {
      const kept = encoded(definition, state)
      assertJson(kept, `the state of ${stream}`)
      return JSON.stringify(kept)
    } catch (error) {
      this.#counts.refused++
      this.#problem = error
      return undefined
    }
  }

  #sample(trust: Trust, entry: Entry): void {
    if (this.#policy.checkRate === 0 || this.#random.next() >= this.#policy.checkRate) return
    this.#enqueue(`check\n${entry.stream}`, async () => {
      this.#counts.checked++
      const check = await checkEntry(trust.definition, entry, this.#refold)
      if (check === 'different') await trust.retire(entry.stream)
    })
  }

  /** Beside the loads, one after the other; the newest wish of a name counts. */
  #enqueue(name: string, work: () => Promise<void>): void {
    if (this.#closed || (this.#waiting.size >= WAITING_COUNT_MAX && !this.#waiting.has(name)))
      return
    this.#waiting.set(name, work)
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined
    })
  }

  async #work(): Promise<void> {
    // The load that asked for it goes first.
    await Promise.resolve()
    for (;;) {
      const [next] = this.#waiting
      if (next === undefined) return
      this.#waiting.delete(next[0])
      await next[1]().catch((error: unknown) => {
        this.#counts.refused++
        this.#problem = error
      })
    }
  }

  async #write(
    definition: AnyAggregate,
    state: Omit<Entry, 'codec' | 'checksum' | 'body'>,
    json: string,
  ): Promise<void> {
    const { stream, version, fingerprint } = state
    if (!comesBack(definition, json)) {
      throw new TypeError(`encode and decode of ${definition.name} lose a part of its state`)
    }
    const entry = entryOf(state, json, this.#encoder)
    const keys = keysOf(stream, slotCount(this.#policy.keep))
    await this.#port.transaction(async (tx) => {
      const rows = await tx.records.lock(SNAPSHOT, keys)
      const there = rows.map(readEntry).filter((one) => one !== undefined)
      const isKnown = (one: Entry) => one.fingerprint === fingerprint && one.version >= version
      if (there.some(isKnown)) return
      const kept = worthKeeping([entry, ...there], this.#policy.keep)
      const changes = keys.flatMap((key, slot) => {
        const value = kept[slot]
        if (value === undefined && rows[slot] === undefined) return []
        const written = value && { value: { ...value }, state: value.fingerprint }
        return [{ kind: SNAPSHOT, key, expected: 'any' as const, ...written }]
      })
      await tx.records.write(changes)
      this.#counts.taken++
    }, BOUNDS)
  }

  async #remove(keys: readonly string[]): Promise<number> {
    return this.#port.transaction(async (tx) => {
      const rows = await tx.records.lock(SNAPSHOT, keys)
      const there = rows.filter((row) => row !== undefined)
      const gone = there.map(({ key }) => ({ kind: SNAPSHOT, key, expected: 'any' as const }))
      if (gone.length > 0) await tx.records.write(gone)
      return gone.length
    }, BOUNDS)
  }
}
