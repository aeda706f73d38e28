import { createHash } from 'node:crypto'
import { InvalidArgumentError, isSystemType, type RecordedEvent } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { migrationSource } from './migrate.ts'
import { Migration, type MigrationPlan } from './migration-plan.ts'
import { type PortOrStore, portOf } from './port-or-store.ts'
import { firstPlace, mappedPages, type ReplayPages, replayPages } from './replay-source.ts'

/** Options of `verifyMigration`: those of the migration. */
export interface VerifyMigrationOptions extends MigrationPlan {
  readonly into: PortOrStore<EventStore>
  /** The last position of the source that was migrated; its safe position when left out. */
  readonly upTo?: number | undefined
  /**
   * What is compared of data, where the plan gives other data each time: decrypts what it has
   * encrypted with a random nonce, for instance. The data itself when left out.
   */
  readonly comparable?: ((event: RecordedEvent) => unknown) | undefined
  /** Streams that are held in memory at a time; both logs are read once more for so many. */
  readonly streamsAtOnce?: number | undefined
  readonly onProgress?: ((events: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** A place where the target is not what the plan makes of the source. */
export interface MigrationDifference {
  readonly stream: string
  /** In the target. */
  readonly version: number
  readonly reason: string
}

/** What `verifyMigration` found. */
export interface MigrationReport {
  readonly ok: boolean
  /** Events that the plan gives, by type, and their streams. */
  readonly expected: MigrationSum
  /** What the target's streams of these names have. */
  readonly found: MigrationSum
  /** The first differing event of each differing stream; at most 50. */
  readonly differences: readonly MigrationDifference[]
  readonly differenceCount: number
  /** Events of the target in streams that the plan does not give. */
  readonly others: number
}

/** Counts, and one checksum over the events of all streams. */
export interface MigrationSum {
  readonly events: number
  readonly streams: number
  readonly types: Readonly<Record<string, number>>
  /** SHA-256 of every stream's events in order, joined without regard to the streams' order. */
  readonly checksum: string
}

const STREAMS_AT_ONCE = 200_000
const PAGE_COUNT = 1000
const DIFFERENCES_SHOWN = 50
const HASH_BITS = 256n

interface Chain {
  expected: number
  found: number
  expectedHash: string
  foundHash: string
}

class Sum {
  events = 0
  streams = 0
  readonly #types = new Map<string, number>()
  #total = 0n

  count(type: string): void {
    this.events++
    this.#types.set(type, (this.#types.get(type) ?? 0) + 1)
  }

  add(stream: string, hash: string): void {
    this.streams++
    const digest = createHash('sha256').update(`${stream}\n${hash}`).digest('hex')
    this.#total = (this.#total + BigInt(`0x${digest}`)) % (1n << HASH_BITS)
  }

  done(): MigrationSum {
    const { events, streams } = this
    const types = Object.fromEntries([...this.#types].sort())
    const checksum = this.#total.toString(16).padStart(Number(HASH_BITS / 4n), '0')
    return { events, streams, types, checksum }
  }
}

/** JSON with its keys in order: codecs and databases may keep them in another one. */
function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, one]) => [key, ordered(one)]))
}

/**
 * Runs the plan of a migration once more over the source and compares with what the target has:
 * counts by type, and for each stream the order and a checksum of ids, types, data, metadata,
 * times, tags and schema versions. Writes nothing. The streams of the target must hold nothing
 * else: verify before the new programs append.
 *
 * Memory grows with the streams that are held at a time (`streamsAtOnce`, 200,000), some 300 bytes
 * each, and not with the logs; with more streams both logs are read several times.
 *
 * Throws InvalidArgumentError, MigrationPlanError, and what the stores throw.
 *
 * @example
 * ```ts
 * import { migrateEvents, openStore, verifyMigration } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * await store.append('order-1', { type: 'Placed', data: { total: 3 } })
 * await using target = await openStore('memory:')
 * const plan = { into: target, rename: { Placed: 'OrderPlaced' } }
 * await migrateEvents(store, plan)
 * const { ok, expected, found } = await verifyMigration(store, plan)
 * console.log(ok, expected.checksum === found.checksum) // true true
 * ```
 */
export async function verifyMigration(
  source: PortOrStore<EventStore>,
  options: VerifyMigrationOptions,
): Promise<MigrationReport> {
  const { streamsAtOnce = STREAMS_AT_ONCE } = options
  if (!Number.isSafeInteger(streamsAtOnce) || streamsAtOnce < 1) {
    throw new InvalidArgumentError('streamsAtOnce', 'must be an integer of 1 or more')
  }
  return new MigrationCheck(portOf(source), portOf(options.into), options).run(streamsAtOnce)
}

class MigrationCheck {
  readonly #source: EventStore
  readonly #target: EventStore
  readonly #options: VerifyMigrationOptions
  readonly #expected = new Sum()
  readonly #found = new Sum()
  readonly #differing: string[] = []
  #differences = 0
  #events = 0

  constructor(source: EventStore, target: EventStore, options: VerifyMigrationOptions) {
    this.#source = source
    this.#target = target
    this.#options = options
  }

  async run(streamsAtOnce: number): Promise<MigrationReport> {
    // Positions are taken once: what comes meanwhile is not compared on either side.
    const pages = await this.#pages()
    const { safe } = await this.#target.positions({ signal: this.#options.signal })
    let all = 0
    let ours = 0
    // By name, so many at a time, in the order of names.
    for (let after = ''; ; ) {
      const { chains, last } = await this.#expectedChains(pages, after, streamsAtOnce)
      all = await this.#foundChains(chains, safe)
      for (const [stream, chain] of chains) ours += this.#settle(stream, chain)
      if (last === undefined) break
      after = last
    }
    const differences = await this.#firstDifferences(pages)
    return {
      ok: this.#differences === 0,
      ...{ expected: this.#expected.done(), found: this.#found.done() },
      ...{ differences, differenceCount: this.#differences, others: all - ours },
    }
  }

  /** The source as the plan sees it. */
  async #pages(): Promise<ReplayPages> {
    const { upTo, signal } = this.#options
    const source = migrationSource(this.#options)
    const isSame = this.#source.incarnation === this.#target.incarnation
    const migration = new Migration(this.#options, isSame)
    const into = { store: this.#target }
    const options = { ...source, into, upTo, signal }
    return mappedPages(
      await replayPages(this.#source, options, firstPlace(source.from)),
      migration.map,
    )
  }

  async *#planned(pages: ReplayPages): AsyncGenerator<RecordedEvent, void, void> {
    const { signal, onProgress } = this.#options
    for (let place = firstPlace(migrationSource(this.#options).from); ; ) {
      const page = await pages.next(place, PAGE_COUNT, { signal })
      if (page.events.length === 0) return
      this.#events += page.events.length
      onProgress?.(this.#events)
      yield* page.events
      place = page.place
    }
  }

  #digest(event: RecordedEvent, before: string): string {
    const { comparable } = this.#options
    const { id, type, metadata, time, tags, schemaVersion } = event
    const data = comparable === undefined ? event.data : comparable(event)
    const parts = [id, type, ordered(data), ordered(metadata), time.getTime(), tags, schemaVersion]
    return createHash('sha256').update(before).update(JSON.stringify(parts)).digest('base64')
  }

  /** The first streams behind a name, and the last of them when there are more. */
  async #expectedChains(
    pages: ReplayPages,
    after: string,
    countMax: number,
  ): Promise<{ readonly chains: Map<string, Chain>; readonly last: string | undefined }> {
    const chains = new Map<string, Chain>()
    let last: string | undefined
    for await (const event of this.#planned(pages)) {
      const { stream } = event
      if (after === '') this.#expected.count(event.type)
      if (stream <= after || (last !== undefined && stream > last)) continue
      let chain = chains.get(stream)
      if (chain === undefined) {
        chain = { expected: 0, found: 0, expectedHash: '', foundHash: '' }
        chains.set(stream, chain)
        // Twice as many are held for a while, so that names are sorted seldom.
        if (chains.size >= 2 * countMax) last = keepFirst(chains, countMax)
      }
      chain.expected++
      chain.expectedHash = this.#digest(event, chain.expectedHash)
    }
    if (chains.size > countMax) last = keepFirst(chains, countMax)
    return { chains, last }
  }

  async #foundChains(chains: ReadonlyMap<string, Chain>, upTo: number): Promise<number> {
    const { signal } = this.#options
    let all = 0
    const query = { upTo, includeArchived: true, direction: 'forward' } as const
    for await (const page of this.#target.readLog(query, { signal })) {
      for (const event of page) {
        if (isSystemType(event.type)) continue
        all++
        const chain = chains.get(event.stream)
        if (chain === undefined) continue
        chain.found++
        chain.foundHash = this.#digest(event, chain.foundHash)
        this.#found.count(event.type)
      }
    }
    return all
  }

  #settle(stream: string, chain: Chain): number {
    this.#expected.add(stream, chain.expectedHash)
    if (chain.found > 0) this.#found.add(stream, chain.foundHash)
    if (chain.expectedHash !== chain.foundHash) {
      this.#differences++
      if (this.#differing.length < DIFFERENCES_SHOWN) this.#differing.push(stream)
    }
    return chain.found
  }

  /** Goes through the streams that differ on both sides, event by event, until they do. */
  async #firstDifferences(pages: ReplayPages): Promise<readonly MigrationDifference[]> {
    const found: MigrationDifference[] = []
    const open = new Map(this.#differing.map((stream) => [stream, this.#targetEvents(stream)]))
    if (open.size === 0) return found
    for await (const event of this.#planned(pages)) {
      const { stream } = event
      const events = open.get(stream)
      if (events === undefined) continue
      const { value: there } = await events.next()
      const reason = this.#reason(event, there ?? undefined)
      if (reason === undefined) continue
      found.push({ stream, version: there?.version ?? 0, reason })
      open.delete(stream)
      await events.return(undefined)
    }
    for (const [stream, events] of open) {
      const { value: there } = await events.next()
      await events.return(undefined)
      const reason = `the event ${there?.id} (${there?.type}) is there, and the plan gives none`
      found.push({ stream, version: there?.version ?? 0, reason })
    }
    return found.sort((a, b) => (a.stream < b.stream ? -1 : 1))
  }

  async *#targetEvents(stream: string): AsyncGenerator<RecordedEvent, undefined, void> {
    const { signal } = this.#options
    const info = await this.#target.stream(stream, { signal })
    if (info === undefined) return
    const query = { stream, from: info.firstVersion, direction: 'forward' } as const
    for await (const page of this.#target.readStream(query, { signal })) {
      for (const event of page) if (!isSystemType(event.type)) yield event
    }
  }

  #reason(expected: RecordedEvent, there: RecordedEvent | undefined): string | undefined {
    const name = `the event ${expected.id} (${expected.type})`
    if (there === undefined) return `${name} is missing`
    if (this.#digest(expected, '') === this.#digest(there, '')) return undefined
    if (expected.id !== there.id) return `${name} should be there, and ${there.id} is`
    const { comparable = ({ data }: RecordedEvent) => data } = this.#options
    const sides = {
      type: [expected.type, there.type],
      data: [comparable(expected), comparable(there)],
      metadata: [expected.metadata, there.metadata],
      time: [expected.time.getTime(), there.time.getTime()],
      tags: [expected.tags, there.tags],
      'schema version': [expected.schemaVersion, there.schemaVersion],
    }
    const differing = Object.entries(sides)
      .filter(([, [a, b]]) => JSON.stringify(ordered(a)) !== JSON.stringify(ordered(b)))
      .map(([field]) => field)
    return `${name} has another ${differing.join(', ')}`
  }
}

/** Drops all but the first names; gives the last that is kept. */
function keepFirst(chains: Map<string, Chain>, count: number): string {
  const names = [...chains.keys()].sort()
  for (const name of names.slice(count)) chains.delete(name)
  return names[count - 1] as string
}
