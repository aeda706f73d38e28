import type { Clock } from '../kernel/index.ts'
import { evolveOne, InvalidArgumentError, type RecordedEvent } from '../model/index.ts'
import type {
  AnyAggregate,
  CallOptions,
  FoundSnapshot,
  HeldState,
  LoadedState,
  SnapshotSource,
  StreamAccess,
} from '../ports/index.ts'
import { BoundedEntries } from './bounded-entries.ts'
import { frozenSize } from './frozen.ts'

/** Settings of the cache of a store. */
export interface CacheOptions {
  /** Bytes that the states in memory may take, about; those used last stay. */
  readonly bytes?: number | undefined
  /** Bytes that the events of streams in memory may take, about; those used last stay. */
  readonly streamBytes?: number | undefined
  /**
   * With `streamBytes`: milliseconds for which the head of a stream is believed while no append is
   * known of, 60,000 at most. Left out: each read asks for it, and is never behind.
   */
  readonly headMs?: number | undefined
}

/** What has happened since the store was opened. */
export interface CacheStats {
  /** Loads, commands or reads that found something in memory, and those that did not. */
  readonly hits: number
  readonly misses: number
  /** States, or streams, that had to go for others. */
  readonly evicted: number
  /** States, or streams, that are in memory, and about how many bytes they take. */
  readonly entries: number
  readonly bytes: number
}

/** A state in memory. */
class Cached implements FoundSnapshot {
  readonly state: unknown
  readonly version: number
  readonly position: number
  readonly takenAt: number
  readonly bytes: number
  /** What has come since the kept state that was read or written last, for the rules of these. */
  readonly eventCount: number
  readonly byteCount: number
  /** When that one was kept; undefined while there is none. */
  readonly keptAt: number | undefined

  constructor(load: LoadedState, bytes: number, nowMs: number, isKept: boolean) {
    const { state, version, position, from, eventCount, byteCount } = load
    this.state = state
    this.version = version
    this.position = position
    this.takenAt = nowMs
    this.bytes = bytes
    this.eventCount = isKept ? 0 : eventCount
    this.byteCount = isKept ? 0 : byteCount
    this.keptAt = isKept ? nowMs : from?.takenAt
  }
}

/**
 * Holds the newest known states of aggregates in memory. A load reads only the events after its
 * state; a command decides on it without reading, and the expected version of its append tells
 * whether it was the newest: it may be old, and is never believed where that matters. A decorator
 * of kept states (`SnapshotSource`), with or without such a source behind it.
 *
 * @example
 * ```ts
 * import { type AggregateCache, openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:', { cache: { bytes: 16 * 1024 * 1024 } })
 * const cache: AggregateCache = store.cache
 * console.log(cache.stats.hits) // 0
 * ```
 */
export class AggregateCache implements SnapshotSource {
  readonly clock: Clock
  readonly countsBytes: boolean
  /** The kept states behind it, where the store has any. */
  readonly inner: SnapshotSource | undefined
  readonly readOnly: SnapshotSource
  readonly #cached: BoundedEntries<Cached>
  // A program may define an aggregate for each request: its states go by themselves.
  readonly #numbers = new WeakMap<AnyAggregate, number>()
  #lastNumber = 0
  #hits = 0
  #misses = 0

  /** @internal Use `openStore(url, { cache })`. Throws InvalidArgumentError. */
  constructor(inner: SnapshotSource | undefined, clock: Clock, bytes: number) {
    if (!Number.isSafeInteger(bytes) || bytes < 1) {
      throw new InvalidArgumentError('cache.bytes', 'must be a number of bytes, 1 or more')
    }
    this.inner = inner
    this.clock = clock
    this.countsBytes = inner?.countsBytes ?? false
    this.#cached = new BoundedEntries(bytes)
    // What a transaction sees may never be committed: nothing of it is held.
    this.readOnly = inner?.readOnly ?? {
      clock,
      countsBytes: false,
      find: () => Promise.resolve(undefined),
      loaded: () => false,
      foreign: () => {},
      get readOnly() {
        return this
      },
    }
  }

  get stats(): CacheStats {
    return { hits: this.#hits, misses: this.#misses, ...this.#cached.counts }
  }

  /** Forgets all states. */
  clear(): void {
    this.#cached.clear()
  }

  /** @internal */
  async find(
    access: StreamAccess,
    definition: AnyAggregate,
    stream: string,
    bounds: { readonly version?: number | undefined; readonly position?: number | undefined },
    options?: CallOptions,
  ): Promise<FoundSnapshot | undefined> {
    const { version = Number.POSITIVE_INFINITY, position = Number.POSITIVE_INFINITY } = bounds
    const cached = this.#cached.use(this.#keyOf(definition, stream))
    if (cached !== undefined && cached.version <= version && cached.position <= position) {
      this.#hits++
      return cached
    }
    this.#misses++
    return this.inner?.find(access, definition, stream, bounds, options)
  }

  /** @internal */
  async trusted(definition: AnyAggregate, options?: CallOptions): Promise<boolean> {
    return (await this.inner?.trusted?.(definition, options)) ?? false
  }

  /** @internal */
  loaded(definition: AnyAggregate, stream: string, load: LoadedState): boolean {
    const key = this.#keyOf(definition, stream)
    const before = this.#cached.get(key)
    // For the rules of kept states, a load from here goes on where the last one had begun.
    const whole = before !== undefined && load.from === before ? joined(before, load) : load
    const isKept = this.inner?.loaded(definition, stream, whole) ?? false
    this.#put(key, whole, isKept)
    return isKept
  }

  /** @internal */
  foreign(stream: string, found?: FoundSnapshot): void {
    if (!(found instanceof Cached)) this.inner?.foreign(stream, found)
    for (const key of this.#cached.keys()) if (key.endsWith(`\n${stream}`)) this.#cached.delete(key)
  }

  /** @internal */
  held(definition: AnyAggregate, stream: string): HeldState | undefined {
    const cached = this.#cached.use(this.#keyOf(definition, stream))
    if (cached !== undefined) this.#hits++
    return cached
  }

  /** @internal */
  appended(
    definition: AnyAggregate,
    stream: string,
    from: HeldState,
    events: readonly RecordedEvent[],
  ): void {
    const key = this.#keyOf(definition, stream)
    const last = events.at(-1)
    // Written beside a caller's own expectation, and so perhaps behind events that nobody folded.
    const isNext = events[0]?.version === from.version + 1
    // An instance of a class is the caller's, who has recorded the events on it already.
    if (last === undefined || !isNext || frozenSize(from.state) === undefined) {
      this.#cached.delete(key)
      return
    }
    let { state } = from
    try {
      for (const event of definition.registry.upcast(events)) {
        state = evolveOne(definition, state, event)
      }
    } catch {
      // The next load meets the same event, and says so.
      this.#cached.delete(key)
      return
    }
    const before = this.#cached.get(key)
    const isLoaded = before !== undefined && before.version === from.version
    const { version, position } = last
    const load: LoadedState = {
      ...{ state, version, position, elapsedMs: 0, from: isLoaded ? before : undefined },
      ...{ eventCount: events.length, byteCount: this.countsBytes ? bytesOf(events) : 0 },
    }
    // What was not loaded through here, a creation, begins its count with these events.
    if (isLoaded) this.loaded(definition, stream, load)
    else this.#put(key, load, false)
  }

  #keyOf(definition: AnyAggregate, stream: string): string {
    let number = this.#numbers.get(definition)
    if (number === undefined) {
      number = ++this.#lastNumber
      this.#numbers.set(definition, number)
    }
    return `${number}\n${stream}`
  }

  #put(key: string, load: LoadedState, isKept: boolean): void {
    const before = this.#cached.get(key)
    // Of two calls that overlap the older may come last.
    if (before !== undefined && before.version > load.version) return
    this.#cached.delete(key)
    const bytes = load.version === 0 ? undefined : frozenSize(load.state)
    if (bytes === undefined) return
    this.#cached.set(key, new Cached(load, bytes, this.clock.now(), isKept))
  }
}

function joined(before: Cached, load: LoadedState): LoadedState {
  const { keptAt, eventCount, byteCount } = before
  return {
    ...load,
    from: keptAt === undefined ? undefined : { ...(load.from ?? before), takenAt: keptAt },
    eventCount: eventCount + load.eventCount,
    byteCount: byteCount + load.byteCount,
  }
}

function bytesOf(events: readonly RecordedEvent[]): number {
  return events.reduce((sum, { data }) => sum + JSON.stringify(data).length, 0)
}
