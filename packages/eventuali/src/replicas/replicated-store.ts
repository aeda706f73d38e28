import { type Clock, isEventualiError, type Random } from '../kernel/index.ts'
import {
  assertFreshness,
  type Freshness,
  InvalidArgumentError,
  type StreamInfo,
} from '../model/index.ts'
import {
  type EventStore,
  type LogPositions,
  overStore,
  type PositionsOptions,
  type ReadOptions,
} from '../ports/index.ts'
import { logRead, streamRead, streamsRead } from './continued.ts'
import { Monitor } from './monitor.ts'
import { type Continued, pagesOf, within } from './reading.ts'
import { Replica, type ReplicaPlace, type ReplicaState } from './replica.ts'

/** How old what a replica shows may be where nothing else is said. */
const WITHIN_MS = 2000
const LOOK_EVERY_MS_MIN = 25
const LOOK_EVERY_MS_MAX = 250

/** What reads from replicas have to see. */
export interface ReplicaReads {
  /**
   * A replica serves a read when it shows everything that there was this many milliseconds ago;
   * 2,000 when left out. It cannot be told finer than about a quarter of it.
   */
  readonly withinMs?: number | undefined
}

/** Where replicas are and what they may serve. */
export interface ReplicationOptions extends ReplicaReads {
  readonly replicas: readonly ReplicaPlace[]
  readonly clock: Clock
  readonly random: Random
}

/** How a replica is. */
export interface ReplicaStatus {
  /** Host, port and database. */
  readonly name: string
  /** `lagging`: it answers, and is older than the store's own bound. Only a `ready` one serves. */
  readonly state: ReplicaState | 'lagging'
  /** Everything up to this position is visible there. */
  readonly position: number
  /** How old what it shows is, at most, in milliseconds; undefined when that is not known. */
  readonly lagMs: number | undefined
  /** Why it is skipped. */
  readonly reason: string | undefined
  /** Reads that began there. */
  readonly readCount: number
  /** Those of them that it failed in; they went on at the primary. */
  readonly failedReadCount: number
}

/** A store that reads from replicas. */
export interface ReplicatedStore extends EventStore {
  /** How each replica is, now. */
  replicaStatus(): readonly ReplicaStatus[]
  /** Closes the replicas only; from then on the primary serves all. */
  closeReplicas(): Promise<void>
}

/**
 * A store whose reads may go to replicas: those that say how `fresh` they have to be. Everything
 * else stays on the primary, and so does a read for which no replica is fresh enough. A replica
 * that fails in the midst of a read costs nothing but time: the read goes on at the primary after
 * the last event that was delivered.
 *
 * @example
 * ```ts
 * import { systemClock, systemRandom, withReplicas } from 'eventuali'
 * import { openMemoryStore } from 'eventuali/testing'
 *
 * const primary = await openMemoryStore()
 * // A store of one process has no replicas; it stands in for one here.
 * const replica = { name: 'replica-1', open: async () => primary }
 * const sources = { clock: systemClock, random: systemRandom }
 * const port = withReplicas(primary, { replicas: [replica], ...sources, withinMs: 5000 })
 * console.log(port.replicaStatus().map(({ name }) => name)) // ['replica-1']
 * await port.close()
 * ```
 */
export function withReplicas(primary: EventStore, options: ReplicationOptions): ReplicatedStore {
  const { withinMs = WITHIN_MS } = options
  if (!(typeof withinMs === 'number' && withinMs > 0)) {
    throw new InvalidArgumentError('withinMs', 'must be a positive number of milliseconds')
  }
  return new Replication(primary, options, withinMs).store
}

/** `log`: up to a safe position; `all`: everything that was committed. */
type Scope = 'log' | 'all'

class Replication {
  readonly store: ReplicatedStore
  readonly #primary: EventStore
  readonly #replicas: readonly Replica[]
  readonly #monitor: Monitor
  readonly #clock: Clock
  readonly #withinMs: number
  #turn = 0
  #closing: Promise<void> | undefined

  constructor(primary: EventStore, options: ReplicationOptions, withinMs: number) {
    const { clock } = options
    this.#primary = primary
    this.#clock = clock
    this.#withinMs = withinMs
    this.#replicas = options.replicas.map((place) => new Replica(place, primary, options))
    const lookEveryMs = Math.max(LOOK_EVERY_MS_MIN, Math.min(LOOK_EVERY_MS_MAX, withinMs / 4))
    this.#monitor = new Monitor(primary, this.#replicas, { clock, lookEveryMs })
    this.store = this.#over(primary)
    this.#monitor.start()
  }

  #over(primary: EventStore): ReplicatedStore {
    const store = overStore(primary, {
      append: (request, options) => this.#told(primary.append(request, options)),
      transaction: (work, options) => this.#told(primary.transaction(work, options)),
      readLog: (query, options) =>
        this.#pages(logRead, query, options, () => this.#choose(options, 'log', query.upTo)),
      readStream: (query, options) =>
        this.#pages(streamRead, query, options, () => this.#choose(options, 'all')),
      streams: (query, options) =>
        this.#pages(streamsRead, query, options, () => this.#choose(options, 'all')),
      stream: (name, options) => this.#stream(name, options),
      positions: (options) => this.#positions(options),
      watch: (listener) => this.#watch(listener),
      close: () => this.#close(),
    })
    return {
      ...store,
      closeReplicas: () => this.#closeReplicas(),
      replicaStatus: () => this.#replicas.map((replica) => this.#status(replica)),
    }
  }

  async #told<T>(stored: Promise<T>): Promise<T> {
    const outcome = await stored
    this.#monitor.hint()
    return outcome
  }

  /** The replicas that show what is asked for, if any replica may serve it at all. */
  #fit(options: ReadOptions | undefined, scope: Scope, upTo = 0): readonly Replica[] {
    const fresh: Freshness | undefined = options?.fresh
    assertFreshness(fresh)
    if (fresh === undefined || fresh === 'primary' || this.#closing !== undefined) return []
    this.#monitor.wanted()
    const { position = 0, withinMs = this.#withinMs } = fresh
    const least = Math.max(position, upTo)
    return this.#replicas.filter(
      (replica) =>
        replica.serving !== undefined &&
        replica.reached >= least &&
        (withinMs === Number.POSITIVE_INFINITY || this.#lagMs(replica, scope) <= withinMs),
    )
  }

  /** One of them, in turns. */
  #choose(options: ReadOptions | undefined, scope: Scope, upTo?: number): Replica | undefined {
    const fit = this.#fit(options, scope, upTo)
    return fit[this.#turn++ % fit.length]
  }

  #lagMs({ reached }: Replica, scope: Scope): number {
    const { marks } = this.#monitor
    const asOfMs = scope === 'log' ? marks.logAsOf(reached) : marks.allAsOf(reached)
    return this.#clock.monotonic() - asOfMs
  }

  async *#pages<Query, Item>(
    kind: Continued<Query, Item>,
    query: Query,
    options: ReadOptions | undefined = {},
    choose: () => Replica | undefined,
  ): AsyncGenerator<readonly Item[], void, void> {
    const replica = choose()
    let rest: Query | undefined = query
    let askedAtMs = this.#clock.monotonic()
    if (replica?.serving !== undefined) {
      const call = { ...replica.serving, clock: this.#clock }
      const read = (store: EventStore, own: ReadOptions) => kind.read(store, query, own)
      replica.readCount++
      try {
        for await (const page of pagesOf(call, read, options)) {
          rest = rest === undefined ? undefined : kind.rest(rest, page)
          yield page
          askedAtMs = this.#clock.monotonic()
        }
        return
      } catch (error) {
        this.#lose(replica, error, options)
      }
    }
    if (rest !== undefined) yield* kind.read(this.#primary, rest, this.#left(options, askedAtMs))
  }

  async #stream(name: string, options: ReadOptions = {}): Promise<StreamInfo | undefined> {
    const replica = this.#choose(options, 'all')
    const askedAtMs = this.#clock.monotonic()
    if (replica?.serving !== undefined) {
      const call = { ...replica.serving, clock: this.#clock }
      replica.readCount++
      try {
        return await within(call.store.stream(name, { signal: options.signal }), call, options)
      } catch (error) {
        this.#lose(replica, error, options)
      }
    }
    return this.#primary.stream(name, this.#left(options, askedAtMs))
  }

  /** Throws what is the caller's own end; everything else is for the primary to serve. */
  #lose(replica: Replica, error: unknown, { signal }: ReadOptions): void {
    if (signal?.aborted === true) throw signal.reason
    if (this.#closing !== undefined) throw error
    replica.failed(error)
    this.#monitor.recheck(replica)
  }

  /** The options for the primary, with what is left of the time since a page was asked for. */
  #left(options: ReadOptions, askedAtMs: number): ReadOptions {
    if (options.timeoutMs === undefined) return options
    const spentMs = this.#clock.monotonic() - askedAtMs
    return { ...options, timeoutMs: Math.max(1, options.timeoutMs - spentMs) }
  }

  async #positions(options: PositionsOptions = {}): Promise<LogPositions> {
    let reached = -1
    for (const replica of this.#fit(options, 'log')) reached = Math.max(reached, replica.reached)
    if (reached < 0) return this.#primary.positions(options)
    options.signal?.throwIfAborted()
    const { newest, safe, blocker } = this.#monitor.latest
    return {
      safe: reached,
      newest: Math.max(newest, reached),
      ...(blocker === undefined || safe > reached ? {} : { blocker }),
    }
  }

  #watch(listener: () => void): () => void {
    const stop = this.#primary.watch(() => {
      this.#monitor.hint()
      listener()
    })
    const stopProgress = this.#monitor.watch(listener)
    return () => {
      stop()
      stopProgress()
    }
  }

  #status(replica: Replica): ReplicaStatus {
    const { name, state, reached, error, readCount, failedReadCount } = replica
    const lagMs = this.#lagMs(replica, 'log')
    const isLagging = state === 'ready' && lagMs > this.#withinMs
    const why = error instanceof Error ? error.message : String(error)
    const whyFailing = isEventualiError(error) ? `${error.code}: ${why}` : why
    const whyLagging = `it is more than ${this.#withinMs} ms behind`
    return {
      name,
      state: isLagging ? 'lagging' : state,
      position: reached,
      lagMs: Number.isFinite(lagMs) ? Math.round(lagMs) : undefined,
      reason: error === undefined ? (isLagging ? whyLagging : undefined) : whyFailing,
      readCount,
      failedReadCount,
    }
  }

  #close(): Promise<void> {
    this.#closing ??= this.#end()
    return this.#closing
  }

  async #end(): Promise<void> {
    const closed = this.#closeReplicas()
    await this.#primary.close()
    await closed
  }

  async #closeReplicas(): Promise<void> {
    const stopped = this.#monitor.stop()
    await Promise.all([stopped, ...this.#replicas.map((replica) => replica.close())])
  }
}
