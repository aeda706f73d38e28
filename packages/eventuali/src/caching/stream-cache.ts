import type { Clock } from '../kernel/index.ts'
import { InvalidArgumentError, type RecordedEvent, type StreamInfo } from '../model/index.ts'
import { type EventStore, overStore, type ReadOptions, type StreamQuery } from '../ports/index.ts'
import type { CacheStats } from './aggregate-cache.ts'
import { BoundedEntries } from './bounded-entries.ts'
import { StreamHeads } from './stream-heads.ts'

/** A page of events from memory. */
const PAGE_COUNT = 1000
/** Longer streams pass by: a few of them would take all the room. */
const EVENT_COUNT_MAX = 10_000
const EVENT_BYTES = 160
/** Longest time that a head may be believed. */
const HEAD_MS_MAX = 60_000

/** What a cache of streams is made with. */
interface StreamCacheOptions {
  readonly streamBytes: number
  readonly headMs?: number | undefined
}

/** All events of a stream as it was, from its first kept version on. */
interface Cached {
  readonly first: number
  readonly events: readonly RecordedEvent[]
  readonly bytes: number
}

/**
 * Holds the events of streams in memory. A read asks the store for the stream's head, one row, and
 * is answered from memory as far as that proves it right: versions are never used twice, so what
 * was read between the first kept version and the newest one cannot have become something else.
 * Only what came since is read. A decorator of the port.
 *
 * @example
 * ```ts
 * import { openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:', { cache: { streamBytes: 16 * 1024 * 1024 } })
 * console.log(store.streamCache.stats.hits) // 0
 * ```
 */
export class StreamCache {
  readonly port: EventStore
  /** Undefined where heads are always asked for. */
  readonly #heads: StreamHeads | undefined
  readonly #inner: EventStore
  readonly #cached: BoundedEntries<Cached>
  #hits = 0
  #misses = 0

  /** @internal Use `openStore(url, { cache: { streamBytes } })`. Throws InvalidArgumentError. */
  constructor(inner: EventStore, clock: Clock, { streamBytes, headMs }: StreamCacheOptions) {
    if (!Number.isSafeInteger(streamBytes) || streamBytes < 1) {
      throw new InvalidArgumentError('cache.streamBytes', 'must be a number of bytes, 1 or more')
    }
    if (headMs !== undefined && !(headMs > 0 && headMs <= HEAD_MS_MAX)) {
      const most = `${HEAD_MS_MAX} at most`
      throw new InvalidArgumentError('cache.headMs', `must be above 0 milliseconds, ${most}`)
    }
    this.#inner = inner
    this.#cached = new BoundedEntries(streamBytes)
    const heads = headMs === undefined ? undefined : new StreamHeads(inner, clock, headMs)
    this.#heads = heads
    this.port = overStore(inner, {
      readStream: (query, options) => this.#readStream(query, options),
      ...(heads === undefined ? {} : whatChanges(inner, heads)),
    })
  }

  /** Reads of events: hits, misses, and what is held. */
  get stats(): CacheStats {
    return { hits: this.#hits, misses: this.#misses, ...this.#cached.counts }
  }

  /** The same of heads; undefined unless opened with `headMs`. */
  get headStats(): CacheStats | undefined {
    return this.#heads?.stats
  }

  /** @internal What is known of a stream. */
  head(name: string, options?: ReadOptions): Promise<StreamInfo | undefined> {
    // Whoever says how fresh it has to be is told by the store.
    if (this.#heads === undefined || options?.fresh !== undefined) {
      return this.#inner.stream(name, options)
    }
    return this.#heads.of(name, options)
  }

  /** Forgets all events and heads. */
  clear(): void {
    this.#cached.clear()
    this.#heads?.forget()
  }

  async *#readStream(
    query: StreamQuery,
    options: ReadOptions | undefined,
  ): AsyncGenerator<readonly RecordedEvent[]> {
    const all = query.asOf === undefined ? await this.#all(query, options) : undefined
    if (all === undefined) {
      yield* this.#inner.readStream(query, options)
      return
    }
    const { from = 1, to = Number.POSITIVE_INFINITY, limit = Number.POSITIVE_INFINITY } = query
    const wanted = all.filter(({ version }) => version >= from && version <= to)
    if (query.direction === 'backward') wanted.reverse()
    if (limit < wanted.length) wanted.length = Math.max(0, limit)
    for (let at = 0; at < wanted.length; at += PAGE_COUNT) {
      options?.signal?.throwIfAborted()
      yield wanted.slice(at, at + PAGE_COUNT).map(ownCopy)
    }
  }

  /** All events of the stream as its head was a moment ago; undefined where it is read as ever. */
  async #all(
    { stream, from = 1, to }: StreamQuery,
    options: ReadOptions | undefined,
  ): Promise<readonly RecordedEvent[] | undefined> {
    const cached = this.#cached.get(stream)
    // A part of a stream that nothing is known of is not worth the whole.
    if (cached === undefined && (from > 1 || to !== undefined)) return undefined
    const head = await this.head(stream, options)
    const held = head === undefined ? undefined : this.#holding(stream, head)
    if (held === undefined || head === undefined) {
      this.#misses++
      this.#cached.delete(stream)
      return undefined
    }
    const known = held.length
    const events = await this.#grown(stream, held, head, options)
    // Truncated or deleted between the two looks: read it as ever.
    if (events === undefined) {
      this.#misses++
      this.#cached.delete(stream)
      return undefined
    }
    if (known > 0) this.#hits++
    else this.#misses++
    this.#put(stream, head.firstVersion, events)
    return events
  }

  /** What is held of the stream and still right; nothing at first, undefined when it may not be. */
  #holding(stream: string, head: StreamInfo): readonly RecordedEvent[] | undefined {
    if (head.state !== 'active' || head.count > EVENT_COUNT_MAX) return undefined
    const cached = this.#cached.get(stream)
    return cached?.first === head.firstVersion ? cached.events : []
  }

  async #grown(
    stream: string,
    held: readonly RecordedEvent[],
    head: StreamInfo,
    options: ReadOptions | undefined,
  ): Promise<readonly RecordedEvent[] | undefined> {
    const next = head.firstVersion + held.length
    if (next > head.version) return held.slice(0, head.count)
    const events = [...held]
    const rest: StreamQuery = { stream, from: next, to: head.version, direction: 'forward' }
    for await (const page of this.#inner.readStream(rest, options)) events.push(...page)
    const isWhole = events.length === head.count && events.at(-1)?.version === head.version
    return isWhole ? events : undefined
  }

  #put(stream: string, first: number, events: readonly RecordedEvent[]): void {
    const before = this.#cached.get(stream)
    // Of two reads that overlap the older may come last.
    if (before?.first === first && before.events.length >= events.length) {
      this.#cached.use(stream)
      return
    }
    this.#cached.delete(stream)
    let bytes = 0
    for (const { data, metadata, tags } of events) {
      bytes += EVENT_BYTES + sizeOf(data) + sizeOf(metadata) + sizeOf(tags)
    }
    if (events.length > 0) this.#cached.set(stream, { first, events, bytes })
  }
}

/** The calls after which no head is believed any more. */
function whatChanges(inner: EventStore, heads: StreamHeads): Partial<EventStore> {
  const after = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work
    } finally {
      // Whatever came of it: a failed call may have been stored.
      heads.forget()
    }
  }
  return {
    append: (request, options) => after(inner.append(request, options)),
    transaction: (work, options) => after(inner.transaction(work, options)),
    close: () => {
      heads.close()
      return inner.close()
    },
  }
}

/** About how many bytes a value from JSON takes. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return 8 + value.length
  if (typeof value !== 'object' || value === null) return 8
  let bytes = 40
  for (const part of Object.values(value)) bytes += 8 + sizeOf(part)
  return bytes
}

/** A value from JSON once more. */
function copied<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copied) as T
  const copy: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    const part = copied((value as Record<string, unknown>)[key])
    // An own property of that name, which a plain assignment would not make.
    if (key !== '__proto__') copy[key] = part
    else Object.defineProperty(copy, key, { value: part, enumerable: true, writable: true })
  }
  return copy as T
}

/** Each reader may do with it what he likes. */
function ownCopy(event: RecordedEvent): RecordedEvent {
  return {
    ...event,
    data: copied(event.data),
    metadata: copied(event.metadata),
    tags: [...event.tags],
    time: new Date(event.time),
    recordedAt: new Date(event.recordedAt),
  }
}
