import { AggregateCache, type CacheStats, type StreamCache } from '../caching/index.ts'
import {
  type AggregateRepository,
  type AppendAllEntry,
  type AppendAllOptions,
  type AppendOptions,
  type AppendResult,
  append,
  appendAll,
  type ClassRepository,
  type CommandRuntime,
  type DecideOptions,
  type DecideResult,
  runDecision,
} from '../commands/index.ts'
import {
  type Aggregate,
  type AggregateClass,
  type AggregateDefinition,
  CapabilityError,
  type Decision,
  type EventInput,
  InvalidArgumentError,
  type RecordedEvent,
  type RecordedFrom,
  type StreamInfo,
} from '../model/index.ts'
import type { EventStore, ReadOptions, StreamAccess } from '../ports/index.ts'
import {
  type OutboxDefinition,
  type Processes,
  type Schedules,
  startOutbox,
} from '../processes/index.ts'
import {
  type CollectionDefinitions,
  CollectionReader,
  type CollectionReads,
  type DocumentOf,
  type ProjectionDefinition,
  type Projections,
} from '../projections/index.ts'
import type { ReplicaStatus } from '../replicas/index.ts'
import type { Schemas } from '../schemas/index.ts'
import { Snapshots } from '../snapshots/index.ts'
import {
  type BatchHandler,
  type Consumer,
  type DeadLetters,
  type DurableHandler,
  type DurableOptions,
  DurableSubscription,
  type EventHandler,
  filterOf,
  type SubscribeOptions,
  Subscription,
  type SubscriptionControl,
} from '../subscriptions/index.ts'
import { repositoryFor } from './aggregates.ts'
import {
  type AppendManyEntry,
  type AppendManyOptions,
  type AppendManyProgress,
  appendMany,
} from './append-many.ts'
import {
  assertCall,
  type BoundedCall,
  type ReadAllOptions,
  type ReadStreamOptions,
} from './read-options.ts'
import type { ReadSide } from './read-side.ts'
import { freshPositions, logPages, storedFilter, streamPages } from './reads.ts'
import { EventSequence } from './sequence.ts'
import { openSession, ownRead, type Seen, type Session, type SessionOptions } from './session.ts'
import { noCallOptions, StoreBase } from './store-base.ts'
import type { StoredEvent, StoredOfTypes } from './store-events.ts'
import { Transaction } from './transaction.ts'

/** Joins a transaction that the caller began on a driver's connection. */
export interface WithinOption {
  /** A `pg` client on which the caller has sent BEGIN. The result is provisional until COMMIT. */
  readonly within?: unknown
}

const noOptions: AppendOptions & WithinOption = noCallOptions

/** What `openStore` has put together beside the port. */
interface StoreParts {
  readonly readSide: ReadSide
  readonly schemas: Schemas
  /** Bound of calls that name none. */
  readonly timeoutMs: number
  readonly replicas: (() => readonly ReplicaStatus[]) | undefined
  /** What was appended through this store, where replicas may not have it yet. */
  readonly seen: Seen | undefined
  /** The events in memory, where the store holds some. */
  readonly streams: StreamCache | undefined
}

/** Transactions end after this many milliseconds unless they say otherwise. */
const TRANSACTION_TIMEOUT_MS = 30_000

/**
 * An open event store: append, read, subscribe, decide. Made by `openStore`; close it when done.
 *
 * @example
 * ```ts
 * import { openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * const placed = { type: 'OrderPlaced', data: { total: 30 } }
 * await store.append('order-1', placed, { expectedVersion: 0 })
 * for await (const event of store.readStream('order-1')) console.log(event.version, event.type)
 * ```
 */
export class Store<E extends EventInput = EventInput> extends StoreBase implements AsyncDisposable {
  /** The types and versions of events that this store has seen, and whether code reads them. */
  readonly schemas: Schemas
  readonly #parts: StoreParts
  readonly #readSide: ReadSide
  readonly #subscriptions = new Set<{ stop(): Promise<void> }>()
  #closing: Promise<void> | undefined

  /** @internal Use `openStore`. */
  constructor(port: EventStore, runtime: CommandRuntime, parts: StoreParts) {
    const { schemas, readSide, timeoutMs } = parts
    super(port, runtime, timeoutMs, parts.seen)
    this.schemas = schemas
    this.#parts = parts
    this.#readSide = readSide
  }

  /** How the replicas are that this store was opened with: lag, state, and why one is skipped. */
  get replicas(): readonly ReplicaStatus[] {
    return this.#parts.replicas?.() ?? []
  }

  /**
   * A view of this store for one caller, who reads his own writes: its reads may go to replicas,
   * single streams too, and see at least what was appended through it. Its `position` is a token
   * that may go out with a reply and come back with the next request.
   */
  session(options: SessionOptions = {}): Session<Store<E>> {
    return openSession(this.port, options, (port) => new Store<E>(port, this.runtime, this.#parts))
  }

  /**
   * Appends one event or many, atomically; resolves after the commit is durable.
   *
   * Throws EmptyAppendError, ValidationError, UnknownEventTypeError, InvalidNameError,
   * DataNotJsonError, EventTooLargeError, VersionConflictError, IdempotencyConflictError,
   * StreamDeletedError, StreamArchivedError; nothing was stored then.
   */
  append(
    stream: string,
    events: E | readonly E[],
    options: AppendOptions & WithinOption = noOptions,
  ): Promise<AppendResult<StoredEvent<E>>> {
    const bounded = this.bounded(options)
    const appended = append(this.#access(options), this.runtime, stream, events, bounded)
    return appended as Promise<AppendResult<StoredEvent<E>>>
  }

  /**
   * Appends to several streams, each named once, in one transaction; one result for each entry.
   * With a `condition`, throws AppendConditionError with the events that arrived since.
   */
  appendAll(
    entries: readonly AppendAllEntry[],
    options: AppendAllOptions & WithinOption = {},
  ): Promise<readonly AppendResult[]> {
    const bounded = this.bounded(options)
    return appendAll(this.#access(options), this.runtime, entries, bounded)
  }

  /**
   * Stores very many events of any streams, in their order, some transactions of a bounded size
   * one after another: what an import does for lines. Entries come from any iterable, and only a
   * batch of them is in memory. With ids of the caller's it may be run again: what is there
   * already is passed over.
   *
   * Throws AppendManyError, which says how many are stored; its cause is what `append` throws.
   */
  appendMany(
    entries: Iterable<AppendManyEntry> | AsyncIterable<AppendManyEntry>,
    options: AppendManyOptions = {},
  ): Promise<AppendManyProgress> {
    assertCall(options)
    return appendMany(this.port, this.runtime, entries, options)
  }

  /**
   * Runs `work` in one transaction: commits when it resolves, rolls back when it throws or takes
   * longer than `timeoutMs` (30,000; TransactionTimeoutError). On SQLite the writer is taken
   * until it ends. The outer store inside the callback is a NestedTransactionError.
   */
  transaction<T>(work: (tx: Transaction<E>) => Promise<T>, options: BoundedCall = {}): Promise<T> {
    assertCall(options)
    const { signal, timeoutMs = TRANSACTION_TIMEOUT_MS } = options
    return this.port.transaction((tx) => work(new Transaction<E>(tx, this.runtime)), {
      signal,
      timeoutMs,
    })
  }

  /** The events of one stream, every committed one, in version order unless said otherwise. */
  readStream(stream: string, options: ReadStreamOptions = {}): EventSequence<StoredEvent<E>> {
    assertCall(options)
    const pages = streamPages(this.port, this.runtime, stream, this.bounded(options))
    return new EventSequence(pages as () => AsyncIterable<readonly StoredEvent<E>[]>)
  }

  /** The log in position order, up to the safe position unless `upTo: 'newest'`. */
  readAll<Type extends E['type'] = E['type']>(
    options: ReadAllOptions<Type> = {},
  ): EventSequence<StoredOfTypes<E, Type>> {
    const bounded = this.bounded(ownRead(options, this.seen))
    const positions = () => freshPositions(this.port, this.runtime, bounded, options.fresh)
    const pages = logPages(this.port, positions, this.runtime, bounded)
    return new EventSequence(pages as () => AsyncIterable<readonly StoredOfTypes<E, Type>[]>)
  }

  /**
   * Delivers the log: what is there, then what comes, in order, nothing skipped. With a handler
   * (one event, or `{ batch, maxBatch }`) it runs by itself; without one, iterate over it. With a
   * `name` it is durable: it goes on where it was, and programs that use the name share the work.
   */
  subscribe(
    options: DurableOptions,
    handler?: DurableHandler<StoredEvent<E>, Transaction<E>>,
  ): DurableSubscription<StoredEvent<E>, Transaction<E>>
  subscribe(
    options?: SubscribeOptions & { readonly name?: undefined },
    handler?: EventHandler<StoredEvent<E>> | BatchHandler<StoredEvent<E>>,
  ): Subscription<StoredEvent<E>>
  subscribe(
    options: DurableOptions | (SubscribeOptions & { readonly name?: undefined }) = {},
    handler?: unknown,
  ): Subscription<StoredEvent<E>> | DurableSubscription<StoredEvent<E>, Transaction<E>> {
    assertCall(options)
    const { clock, random, ids, registry } = this.runtime
    const { types } = filterOf(options)
    const map = (events: readonly RecordedEvent[]) =>
      registry.read(events, types) as readonly StoredEvent<E>[]
    if (options.name === undefined) {
      const subscription: Subscription<StoredEvent<E>> = new Subscription(
        this.port,
        storedFilter(registry, options),
        handler as EventHandler<StoredEvent<E>> | BatchHandler<StoredEvent<E>> | undefined,
        { clock, random, map, onEnd: () => this.#subscriptions.delete(subscription) },
      )
      if (subscription.state !== 'stopped') this.#subscriptions.add(subscription)
      return subscription
    }
    const durable = new DurableSubscription<StoredEvent<E>, Transaction<E>>(
      this.port,
      this.#readSide.worker,
      storedFilter(registry, options),
      handler as DurableHandler<StoredEvent<E>, Transaction<E>> | undefined,
      {
        ...{ clock, random, ids, map, timeoutMs: this.timeoutMs },
        wrap: (tx) => new Transaction<E>(tx, this.runtime),
        onEnd: () => this.#subscriptions.delete(durable),
      },
    )
    if (durable.state !== 'stopped') this.#subscriptions.add(durable)
    return durable
  }

  /** The durable subscriptions of all programs: status, pause, resume, partitions, reset. */
  get subscriptions(): SubscriptionControl {
    return this.#readSide.subscriptions
  }

  /** Events that handlers could not cope with: list, retry, discard. */
  get deadLetters(): DeadLetters {
    return this.#readSide.deadLetters
  }

  /** The projections named at `openStore`: start, status, rebuild, compare, roll back. */
  get projections(): Projections {
    return this.#readSide.projections
  }

  /** The processes named at `openStore`: start, list, resume, cancel. */
  get processes(): Processes {
    return this.#readSide.processes
  }

  /** The states in memory. Throws CapabilityError unless opened with `cache`. */
  get cache(): AggregateCache {
    const { snapshots } = this.runtime
    if (snapshots instanceof AggregateCache) return snapshots
    throw new CapabilityError(this.adapter, 'cache', 'open the store with { cache: { bytes } }')
  }

  protected override headOf(name: string, options: ReadOptions): Promise<StreamInfo | undefined> {
    return this.#parts.streams?.head(name, options) ?? super.headOf(name, options)
  }

  /** How well the caches of this store do: of states, of streams and of their heads. */
  get cacheStats(): Readonly<Partial<Record<'states' | 'streams' | 'heads', CacheStats>>> {
    const { snapshots } = this.runtime
    const { streams } = this.#parts
    const states = snapshots instanceof AggregateCache ? snapshots.stats : undefined
    return {
      ...(states && { states }),
      ...(streams && { streams: streams.stats }),
      ...(streams?.headStats && { heads: streams.headStats }),
    }
  }

  /** The events in memory. Throws CapabilityError unless opened with `cache: { streamBytes }`. */
  get streamCache(): StreamCache {
    if (this.#parts.streams !== undefined) return this.#parts.streams
    throw new CapabilityError(this.adapter, 'stream cache', 'open it with cache: { streamBytes }')
  }

  #kept(): Snapshots | undefined {
    const { snapshots: source } = this.runtime
    const kept = source instanceof AggregateCache ? source.inner : source
    return kept instanceof Snapshots ? kept : undefined
  }

  /** The kept states of aggregates. Throws CapabilityError unless opened with `snapshots`. */
  get snapshots(): Snapshots {
    const snapshots = this.#kept()
    if (snapshots !== undefined) return snapshots
    throw new CapabilityError(this.adapter, 'snapshots', 'open the store with { snapshots: {} }')
  }

  /** What happens at a time: events and commands, once or again and again. */
  get schedules(): Schedules {
    return this.#readSide.processes.schedules
  }

  /** Sends events out, at least once each and in order, until it is stopped or the store closes. */
  async relay(outbox: OutboxDefinition): Promise<Consumer> {
    const consumer = await startOutbox(this.port, this.#readSide.worker, outbox, this.runtime)
    this.#subscriptions.add(consumer)
    const forget = () => this.#subscriptions.delete(consumer)
    consumer.done.then(forget, forget)
    return consumer
  }

  /** Resolves once a projection has handled everything up to a position: read your own writes. */
  projected(name: string, position: number, options: BoundedCall = {}): Promise<void> {
    return this.#readSide.projections.projected(name, position, this.bounded(options))
  }

  /** Reads a collection of a projection's live generation. */
  collection<C extends CollectionDefinitions, S, K extends keyof C & string>(
    projection: ProjectionDefinition<C, S>,
    name: K,
  ): CollectionReads<DocumentOf<C[K]>> {
    if (!Object.hasOwn(projection.collections, name)) {
      throw new InvalidArgumentError('name', `is no collection of projection ${projection.name}`)
    }
    return new CollectionReader<DocumentOf<C[K]>>(this.port, projection.name, name)
  }

  /**
   * Loads and commands the aggregates of a definition (`defineAggregate`) or of a class that
   * extends `Aggregate`.
   */
  aggregate<S, C, A extends EventInput>(
    definition: AggregateDefinition<S, C, A>,
  ): AggregateRepository<S, C, A>
  aggregate<A extends Aggregate>(aggregateClass: AggregateClass<A>): ClassRepository<A>
  aggregate(definition: unknown): unknown {
    return repositoryFor(this.port, this.runtime, definition)
  }

  /**
   * Runs a decision (`defineDecision`, `composeDecisions`): reads what its query asks for, decides,
   * appends under the condition that nothing of it has arrived since; otherwise once more.
   */
  decide<Input, S, D extends EventInput>(
    decision: Decision<Input, S, D>,
    input: Input,
    options: DecideOptions = {},
  ): Promise<DecideResult<RecordedFrom<D>>> {
    return runDecision(this.port, this.runtime, decision, input, this.bounded(options))
  }

  /** Stops the subscriptions, waits for what is in flight and releases everything. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#subscriptions].map((subscription) => subscription.stop()))
    await this.#readSide.stop()
    await this.#kept()?.stop()
    await this.port.close()
  }

  #access(options: WithinOption): StreamAccess {
    return options.within === undefined ? this.port : this.port.join(options.within)
  }
}
