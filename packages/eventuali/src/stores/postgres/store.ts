import {
  type Clock,
  type Deadline,
  deadlineIn,
  type IdSource,
  type Random,
} from '../../kernel/index.ts'
import {
  type BodyEncoder,
  bodyEncoder,
  CapabilityError,
  type CodecOptions,
  InvalidArgumentError,
  NotAReplicaError,
  OperationTimeoutError,
  ReadOnlyStoreError,
  type RecordedEvent,
  RestoreUnfinishedError,
  StoreClosedError,
  type StreamInfo,
} from '../../model/index.ts'
import type {
  AppendOutcome,
  AppendRequest,
  CallOptions,
  EventStore,
  ForkOutcome,
  ForkRequest,
  InlineProjection,
  LogPositions,
  LogQuery,
  ModelReads,
  PoolLaneName,
  PoolStatistics,
  PositionsOptions,
  ReadOptions,
  RecordReads,
  StorageFault,
  StorageState,
  StoreTransaction,
  StoreView,
  StreamQuery,
  StreamsQuery,
  TuneRequest,
  TuningAdvice,
} from '../../ports/index.ts'
import { Access } from './access.ts'
import { Appender } from './append.ts'
import { bounded, Connections, statement } from './connections.ts'
import { asClient, type DriverPool, loadDriver } from './driver.ts'
import { LostConnection, storageFailure } from './failures.ts'
import { findFaults } from './faults.ts'
import { forkSchema } from './fork.ts'
import { PostgresInline } from './inline.ts'
import { limitsDefault, type PostgresLimits } from './limits.ts'
import { LockKeys } from './lock-keys.ts'
import { manifest } from './manifest.ts'
import { migrate } from './migrations.ts'
import { PostgresModelReads } from './models.ts'
import { Notifications } from './notifications.ts'
import { type PoolSize, poolSizes } from './pool-sizes.ts'
import { Reads } from './reads.ts'
import { PostgresRecordReads } from './records.ts'
import { SafePosition } from './safe-position.ts'
import { assertSchemaName } from './schema-name.ts'
import { serverSettings, wantedSync } from './settings.ts'
import { Settling } from './settle.ts'
import { storageOf } from './storage.ts'
import { joinTransaction, runTransaction, type TransactionContext } from './transaction.ts'
import { tuneSchema } from './tune.ts'
import { TypeNames } from './type-names.ts'
import { viewSchema } from './view.ts'

/** How to open a PostgreSQL store. */
export interface PostgresStoreOptions {
  /** `postgres://user:password@host:port/database`; this or a `pool`. */
  readonly url?: string | undefined
  /** A `pg` Pool of the caller's, who ends it himself. */
  readonly pool?: unknown
  /** The database schema that holds the tables; `eventuali` when left out. */
  readonly schema?: string | undefined
  /** A direct url for LISTEN when `url` leads to a transaction pooler. */
  readonly listenUrl?: string | undefined
  /** Connections of the store's own pool, by what they serve. */
  readonly poolSize?: PoolSize | undefined
  /** Milliseconds that a call waits for a connection, at most; as long as it may when left out. */
  readonly acquireTimeoutMs?: number | undefined
  /** `durable`: a commit is on disk before it is acknowledged. `relaxed` may lose the last ones. */
  readonly profile?: 'durable' | 'relaxed' | undefined
  /**
   * The server has to be a replica: every read proves that it still is one, of the same log, and
   * a lost connection is said at once instead of waiting for the server. NotAReplicaError.
   */
  readonly standby?: boolean | undefined
  /** Writes nothing, and makes or migrates no tables either. ReadOnlyStoreError. */
  readonly readOnly?: boolean | undefined
  /** Opens a store whose restore is not finished, to go on with it. RestoreUnfinishedError. */
  readonly restoring?: boolean | undefined
  /** How the data of events is stored; JSON text when left out. */
  readonly codec?: CodecOptions | undefined
  readonly clock: Clock
  readonly random: Random
  readonly ids: IdSource
  readonly limits?: Partial<PostgresLimits> | undefined
}

const REPLICA = 'the server is a replica'
const wholeReason = 'use what the server has for it: pg_dump or pg_basebackup'

/** Opens (and creates or migrates) the store of a schema. */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<EventStore> {
  const schema = options.schema ?? 'eventuali'
  assertSchemaName('schema', schema)
  if (options.url === undefined && options.pool === undefined) {
    throw new InvalidArgumentError('url', 'is missing; give a url or a pool')
  }
  const encoder = bodyEncoder(options.codec)
  const limits = { ...limitsDefault, ...options.limits }
  const { clock, random } = options
  const driver =
    options.url === undefined && options.listenUrl === undefined ? undefined : await loadDriver()
  const connections = new Connections({
    driver,
    url: options.url,
    pool: options.pool as DriverPool | undefined,
    sizes: poolSizes(options, limits),
    clock,
    random,
    connectTimeoutMs: limits.connectTimeoutMs,
    patient: options.standby !== true,
  })
  try {
    const deadline = deadlineIn(clock, limits.timeoutMs)
    return await PostgresEventStore.open(
      { ...options, encoder },
      schema,
      limits,
      connections,
      deadline,
    )
  } catch (error) {
    await connections.close().catch(() => {})
    throw storageFailure('opening the store', limits.timeoutMs, error)
  }
}

type OpenedOptions = PostgresStoreOptions & { readonly encoder: BodyEncoder | undefined }

class PostgresEventStore implements EventStore {
  readonly adapter = manifest.name
  readonly capabilities = manifest.capabilities
  readonly incarnation: string
  readonly records: RecordReads
  readonly models: ModelReads
  readonly #inline: PostgresInline
  readonly #options: PostgresStoreOptions
  readonly #limits: PostgresLimits
  readonly #schema: string
  readonly #connections: Connections
  readonly #types: TypeNames
  readonly #reads: Reads
  /** The same, for those who follow the log. */
  readonly #following: Reads
  readonly #safe: SafePosition
  readonly #appender: Appender
  readonly #notifications: Notifications
  readonly #transactions: TransactionContext
  readonly #sync: string | null
  readonly #readOnly: string | undefined
  #open = 0
  #closing: Promise<void> | undefined
  #idle: (() => void) | undefined

  static async open(
    options: OpenedOptions,
    schema: string,
    limits: PostgresLimits,
    connections: Connections,
    deadline: Deadline,
  ): Promise<PostgresEventStore> {
    // The first connection must not be waited for: a wrong url is said at once.
    const session = await connections.acquire('reads', deadline, false)
    session.release()
    const look = statement(
      `SELECT current_setting('synchronous_commit'), pg_is_in_recovery()::text`,
    )
    const [row] = await connections.read(look, [], deadline)
    const replica = row?.[1] === 'true'
    if (options.standby === true && !replica) throw new NotAReplicaError('the server is a primary')
    const found = await migrate(connections, schema, options, deadline)
    const { incarnation } = found
    if (found.isRestoring && options.restoring !== true) throw new RestoreUnfinishedError()
    if (options.standby === true) connections.prove(sameReplica(schema, incarnation))
    const sync = wantedSync(options.profile ?? 'durable', String(row?.[0]), connections.pooled)
    const asked = options.readOnly === true ? 'it was opened so' : undefined
    const state = { incarnation, replica, readOnly: replica ? REPLICA : asked, sync }
    const store = new PostgresEventStore(options, schema, limits, connections, state)
    await store.#safe.start(deadline)
    await store.#types.refresh(deadline)
    return store
  }

  private constructor(
    options: OpenedOptions,
    schema: string,
    limits: PostgresLimits,
    connections: Connections,
    state: {
      readonly incarnation: string
      readonly replica: boolean
      readonly readOnly: string | undefined
      readonly sync: string | null
    },
  ) {
    const { clock, random } = options
    this.#options = options
    this.#limits = limits
    this.#schema = schema
    this.#connections = connections
    this.#sync = state.sync
    this.#readOnly = state.readOnly
    this.incarnation = state.incarnation
    const { timeoutMs } = limits
    this.#types = new TypeNames(connections, schema)
    const types = this.#types
    this.#safe = new SafePosition(connections, clock, schema, state)
    const readsOn = (lane: PoolLaneName): Reads =>
      new Reads({
        run: (sql, values, deadline) => connections.read(sql, values, deadline, lane),
        ...{ types, clock, schema, timeoutMs },
      })
    this.#reads = readsOn('reads')
    this.#following = readsOn('subscriptions')
    this.#notifications = new Notifications({
      connections,
      clock,
      channel: `${schema}_events`,
      listenUrl: options.listenUrl,
      positions: () => this.#safe.read(deadlineIn(clock, timeoutMs)),
    })
    const settling = new Settling(connections, clock, types, schema)
    const onStored = (): void => this.#notifications.stored()
    this.#appender = new Appender({
      ...{ connections, settling, types, schema, clock, random, timeoutMs, onStored },
      keys: new LockKeys(schema),
      sync: state.sync,
      statementTimeoutMs: limits.statementTimeoutMs,
      laneCountMax: limits.laneCountMax,
      groupCountMax: limits.groupCountMax,
      limits: limits.group,
      readOnly: state.readOnly,
      encoder: options.encoder,
      // What a refused append tells of is read where readers cannot keep it waiting.
      reads: readsOn('appends'),
    })
    const appender = this.#appender
    const shared = { connections, appender, settling, types, clock, schema, timeoutMs, onStored }
    this.#transactions = { ...shared, onRestored: (position) => this.#safe.reached(position) }
    const access = new Access({
      run: (sql, values, deadline) =>
        this.#during(() => connections.read(sql, values, deadline), { signal: deadline.signal }),
      ...{ clock, schema, timeoutMs, leftMs: () => Number.POSITIVE_INFINITY },
    })
    this.records = new PostgresRecordReads(access)
    this.models = new PostgresModelReads(access)
    this.#inline = new PostgresInline(access)
  }

  inlineProjections(options?: CallOptions): Promise<readonly InlineProjection[]> {
    return this.#inline.list(options)
  }

  /** What `#during` does, without its promises: every event passes here. */
  async append(request: AppendRequest, options: CallOptions = {}): Promise<AppendOutcome> {
    if (this.#closing !== undefined) throw new StoreClosedError()
    this.#open++
    try {
      return await this.#appender.append(request, options)
    } catch (error) {
      throw this.#failure('a call', error, options)
    } finally {
      this.#leave()
    }
  }

  readStream(query: StreamQuery, options?: ReadOptions): AsyncIterable<readonly RecordedEvent[]> {
    return this.#pages('a read', () => this.#reads.readStream(query, options), options)
  }

  readLog(query: LogQuery, options?: ReadOptions): AsyncIterable<readonly RecordedEvent[]> {
    const reads = query.isFollowing === true ? this.#following : this.#reads
    return this.#pages('a read', () => reads.readLog(query, options), options)
  }

  streams(query: StreamsQuery, options?: ReadOptions): AsyncIterable<readonly StreamInfo[]> {
    return this.#pages('a read', () => this.#reads.streams(query, options), options)
  }

  eventById(stream: string, id: string, options?: CallOptions): Promise<RecordedEvent | undefined> {
    return this.#during(() => this.#reads.eventById(stream, id, options), options)
  }

  stream(name: string, options?: ReadOptions): Promise<StreamInfo | undefined> {
    return this.#during(() => this.#reads.stream(name, options), options)
  }

  async transaction<T>(
    work: (tx: StoreTransaction) => Promise<T>,
    options: CallOptions = {},
  ): Promise<T> {
    this.#assertWritable()
    return this.#entered(() => runTransaction(this.#transactions, work, options))
  }

  join(client: unknown): StoreTransaction {
    if (this.#closing !== undefined) throw new StoreClosedError()
    return joinTransaction(this.#transactions, asClient(client), () => this.#notifications.expect())
  }

  positions(options: PositionsOptions = {}): Promise<LogPositions> {
    return this.#during(() => {
      options.signal?.throwIfAborted()
      const { clock, standby } = this.#options
      const timeoutMs = options.timeoutMs ?? this.#limits.timeoutMs
      // Callers share a look, so that it goes by the store's own bound, not by that of one of them.
      // Of a replica one program asks, and a connection that is silent has to be given up with it.
      const boundMs = standby === true ? timeoutMs : this.#limits.timeoutMs
      const safe = this.#safe.read(deadlineIn(clock, boundMs))
      const look = options.publish === true ? this.#publish(safe) : safe
      return bounded(clock, look, timeoutMs).catch((error) => {
        if (error instanceof LostConnection) throw new OperationTimeoutError('a look', timeoutMs)
        throw error
      })
    }, options)
  }

  async #publish(look: Promise<LogPositions>): Promise<LogPositions> {
    const positions = await look
    await this.#safe.save()
    return positions
  }

  watch(listener: () => void): () => void {
    if (this.#closing !== undefined) throw new StoreClosedError()
    return this.#notifications.watch(listener)
  }

  settings(): Promise<Readonly<Record<string, string>>> {
    return this.#during(async () => {
      const deadline = deadlineIn(this.#options.clock, this.#limits.timeoutMs)
      return {
        ...(await serverSettings(this.#connections, deadline)),
        ...(this.#sync === null ? {} : { synchronous_commit: this.#sync }),
        listen: this.#notifications.listening ? 'on' : 'off',
        schema: this.#schema,
      }
    })
  }

  async tune(request: TuneRequest, options: CallOptions = {}): Promise<readonly TuningAdvice[]> {
    this.#assertWritable()
    const { timeoutMs = this.#limits.timeoutMs, signal } = options
    const deadline = deadlineIn(this.#options.clock, timeoutMs, signal)
    return this.#during(
      () => tuneSchema(this.#connections, this.#schema, request, deadline),
      options,
    )
  }

  storage(options: CallOptions = {}): Promise<StorageState> {
    const { timeoutMs = this.#limits.timeoutMs, signal } = options
    const deadline = deadlineIn(this.#options.clock, timeoutMs, signal)
    return this.#during(() => storageOf(this.#connections, this.#schema, deadline), options)
  }

  pool(): PoolStatistics {
    return this.#connections.statistics()
  }

  faults(options: CallOptions = {}): AsyncIterable<StorageFault> {
    const { clock } = this.#options
    return this.#pages('a check', () =>
      findFaults(
        this.#connections,
        this.#types,
        clock,
        this.#schema,
        this.#limits.timeoutMs,
        options,
      ),
    )
  }

  fork(request: ForkRequest, options: CallOptions = {}): Promise<ForkOutcome> {
    return this.#during(async () => {
      if (request.whole === true) throw new CapabilityError('postgres', 'whole fork', wholeReason)
      assertSchemaName('into', request.into)
      this.#assertWritable()
      const { clock, ids } = this.#options
      const { timeoutMs = this.#limits.timeoutMs, signal } = options
      const deadline = deadlineIn(clock, timeoutMs, signal)
      const parts = { connections: this.#connections, schema: this.#schema }
      const assertOpen = this.#assertOpen
      return forkSchema(
        { ...parts, incarnation: ids.next(), clock, deadline, timeoutMs, assertOpen },
        request,
      )
    }, options)
  }

  view<T>(work: (view: StoreView) => Promise<T>, options: CallOptions = {}): Promise<T> {
    // Not through `#during`: what `work` throws is its own.
    return this.#entered(async () => {
      const { timeoutMs = this.#limits.timeoutMs, signal } = options
      const { safe } = await this.positions({ timeoutMs, signal })
      const deadline = deadlineIn(this.#options.clock, timeoutMs, signal)
      const parts = { connections: this.#connections, types: this.#types, schema: this.#schema }
      const assertOpen = this.#assertOpen
      return viewSchema({ ...parts, safe, deadline, timeoutMs, assertOpen }, work)
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#end()
    return this.#closing
  }

  async #end(): Promise<void> {
    // What is in flight may have steps ahead that the appender would refuse once it is closed.
    if (this.#open > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve
      })
    }
    await this.#appender.close()
    await this.#notifications.close()
    await this.#safe.save()
    await this.#connections.close()
  }

  async #entered<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw new StoreClosedError()
    this.#open++
    try {
      return await work()
    } finally {
      this.#leave()
    }
  }

  readonly #assertOpen = (): void => {
    if (this.#closing !== undefined) throw new StoreClosedError()
  }

  #assertWritable(): void {
    if (this.#readOnly !== undefined) throw new ReadOnlyStoreError(this.#readOnly)
  }

  #leave(): void {
    this.#open--
    if (this.#open === 0) this.#idle?.()
  }

  async #during<T>(work: () => Promise<T>, options: CallOptions = {}): Promise<T> {
    try {
      return await this.#entered(work)
    } catch (error) {
      throw this.#failure('a call', error, options)
    }
  }

  async *#pages<T>(
    what: string,
    pages: () => AsyncIterable<T>,
    options: CallOptions = {},
  ): AsyncGenerator<T> {
    if (this.#closing !== undefined) throw new StoreClosedError()
    try {
      for await (const page of pages()) {
        yield page
        if (this.#closing !== undefined) throw new StoreClosedError()
      }
    } catch (error) {
      throw this.#failure(what, error, options)
    }
  }

  /** Errors of the driver and the server become the library's; reasons of signals stay. */
  #failure(what: string, error: unknown, { signal }: CallOptions): unknown {
    if (signal?.aborted === true && error === signal.reason) return error
    return storageFailure(what, this.#limits.timeoutMs, error)
  }
}

/** The condition under which a server is still the replica that it was, of the same log. */
function sameReplica(schema: string, incarnation: string): string {
  const id = `'${incarnation.replaceAll("'", "''")}'`
  return `pg_is_in_recovery()
    AND EXISTS (SELECT FROM ${schema}.meta WHERE key = 'incarnation' AND value = ${id})`
}
