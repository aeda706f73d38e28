import type { ExpectedVersion, Json, RecordedEvent, StreamInfo } from '../model/index.ts'
import type { CallOptions, PositionsOptions, ReadOptions } from './call-options.ts'
import type { ForkOutcome, ForkRequest } from './fork.ts'
import type { InlineAccess, InlineProjection } from './inline.ts'
import type { PoolStatistics } from './pool.ts'
import type { ModelAccess, ModelReads } from './read-model.ts'
import type { RecodeRequest, RecodeStep } from './recode.ts'
import type { RecordAccess, RecordReads } from './records.ts'
import type { StorageState } from './storage.ts'
import type { TuneRequest, TuningAdvice } from './tuning.ts'
import type { RestoreRequest, StoreView } from './view.ts'

/** An event on its way into a store: checked, named, timed; data is the validator's output. */
export interface NewEvent {
  readonly id: string
  /** True when the caller gave the id, so that it takes part in idempotency. */
  readonly idGiven: boolean
  readonly type: string
  readonly data: Json
  readonly metadata: { readonly [key: string]: Json | undefined }
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly schemaVersion: number
  readonly tags: readonly string[]
}

/**
 * A change of a stream's state, made in the transaction that appends its system event. Unarchiving
 * a stream that is not archived is recorded like any other change; who calls it looks before.
 */
export type StreamChange =
  | { readonly kind: 'archive' | 'unarchive' | 'delete' }
  | { readonly kind: 'truncate'; readonly before: number }

/** Events for one stream. */
export interface AppendEntry {
  readonly stream: string
  readonly expectedVersion: ExpectedVersion
  readonly events: readonly NewEvent[]
  /** Goes on after a deletion instead of failing. */
  readonly recreate?: boolean
  /** With it, `events` is the one system event that tells of the change. */
  readonly change?: StreamChange
  /**
   * Place of each event in the request's log order, when that differs from entry by entry
   * (an import keeps the order of its lines). All entries of a request have it, or none.
   */
  readonly ordinals?: readonly number[]
}

/** Matches events of one of `types` that carry all of `tags` (no tags: any event of the types). */
export interface QueryItem {
  readonly types: readonly string[]
  readonly tags: readonly string[]
}

/** Fails the append when an event that matches any item has a position above `position`. */
export interface AppendCondition {
  readonly query: readonly QueryItem[]
  readonly position: number
}

/** One atomic unit: all entries or none. Each stream is named once. */
export interface AppendRequest {
  readonly entries: readonly AppendEntry[]
  readonly condition?: AppendCondition
  /**
   * Inline projections that the caller runs in the same transaction; only in transactions. An
   * event type that a registered inline projection handles and that is not covered by this list
   * refuses the append.
   */
  readonly inline?: readonly Pick<InlineProjection, 'name' | 'version'>[]
}

/** Where the events of one entry went. */
export interface AppendedEntry {
  readonly stream: string
  /** The stream's version after the entry. */
  readonly version: number
  /** One position for each event, in the entry's order. */
  readonly positions: readonly number[]
  /** Milliseconds since the epoch, by the store's clock. */
  readonly recordedAt: number
  /** The stored events, when all ids were known already; nothing new was stored. */
  readonly duplicate?: readonly RecordedEvent[]
}

/** Expected refusals are results; only what storage cannot help is thrown. */
export type AppendOutcome =
  | { readonly ok: true; readonly entries: readonly AppendedEntry[] }
  | {
      readonly ok: false
      readonly reason: 'version-conflict'
      readonly stream: string
      readonly expectedVersion: ExpectedVersion
      readonly actualVersion: number
    }
  | {
      readonly ok: false
      readonly reason: 'condition-failed'
      /** The first 100 events that arrived since, in log order. */
      readonly events: readonly RecordedEvent[]
      readonly position: number
    }
  | {
      readonly ok: false
      readonly reason: 'idempotency-conflict'
      readonly stream: string
      readonly ids: readonly string[]
    }
  | {
      readonly ok: false
      readonly reason: 'stream-deleted' | 'stream-archived'
      readonly stream: string
    }
  | {
      readonly ok: false
      readonly reason: 'projection-missing'
      /** The registered inline projections that the request did not name at their version. */
      readonly projections: readonly InlineProjection[]
    }

/** Which way a read goes: `forward` is oldest first. */
export type Direction = 'forward' | 'backward'

/** A moment to look back from; `by` says which of an event's two times is meant. */
export interface MomentQuery {
  /** Milliseconds since the epoch, inclusive. */
  readonly at: number
  readonly by: 'time' | 'recordedAt'
}

/** A read of one stream, `from` and `to` inclusive versions. */
export interface StreamQuery {
  readonly stream: string
  readonly from?: number | undefined
  readonly to?: number | undefined
  readonly limit?: number | undefined
  readonly direction: Direction
  readonly asOf?: MomentQuery | undefined
}

/** A read of the log. Filters are joined by AND, the values of one filter by OR, tags by AND. */
export interface LogQuery {
  /** Exclusive. */
  readonly after?: number | undefined
  /** Exclusive. */
  readonly before?: number | undefined
  /** Inclusive, milliseconds since the epoch. */
  readonly since?: number | undefined
  /** Exclusive, milliseconds since the epoch. */
  readonly until?: number | undefined
  /** Which of the two times `since` and `until` go by. */
  readonly by?: 'time' | 'recordedAt' | undefined
  readonly types?: readonly string[] | undefined
  readonly categories?: readonly string[] | undefined
  readonly tags?: readonly string[] | undefined
  /** Any item of a query; takes the place of `types` and `tags`. */
  readonly query?: readonly QueryItem[] | undefined
  readonly limit?: number | undefined
  readonly direction: Direction
  /** Events of archived streams are left out otherwise, but for the `$archived` event itself. */
  readonly includeArchived?: boolean | undefined
  /** Inclusive upper bound that the caller has from `positions()`; reads stop there. */
  readonly upTo: number
  /** Events in one page; the adapter's own choice when left out. */
  readonly pageSize?: number | undefined
  /** A hint: a follower of the log asks. A store with a pool keeps such reads apart from others. */
  readonly isFollowing?: boolean | undefined
}

/** Who keeps the safe position from moving. */
export interface PositionBlocker {
  /** The first position that may still appear. */
  readonly position: number
  /** The store's own words for the holder: a backend's pid and application name. */
  readonly holders: readonly string[]
  /** Milliseconds for which this gap has been seen. */
  readonly sinceMs: number
}

/** How far the log goes. */
export interface LogPositions {
  /** No event at or below it will ever appear any more. */
  readonly safe: number
  /** The highest committed position; 0 for an empty log. */
  readonly newest: number
  readonly blocker?: PositionBlocker | undefined
}

/** Reads and appends of one stream: what commands need, inside a transaction or outside. */
export interface StreamAccess {
  /**
   * Appends atomically, durably (when outside a transaction) before it resolves.
   *
   * Law: entries' streams are checked in order. All caller-given ids of the request are looked up
   * first: all known with the same order, type and data gives the first result, marked
   * `duplicate`; some known or other content is `idempotency-conflict`. Then streams' states and
   * expected versions, then the condition. On any refusal nothing is stored.
   * Positions of a stream grow with its versions. Concurrent calls share commits; whatever goes
   * wrong with one call touches that call only.
   *
   * Throws StorageBusyError, StorageFullError, ConnectionError, OperationTimeoutError: nothing
   * was stored. OutcomeUnknownError: it may have been. The signal's reason when aborted before
   * the call joined a commit.
   */
  append(request: AppendRequest, options?: CallOptions): Promise<AppendOutcome>

  /**
   * Pages of one stream's events in version order (or reverse), never empty pages. Sees every
   * committed event (in a transaction its own too), not bound by the safe position.
   */
  readStream(query: StreamQuery, options?: ReadOptions): AsyncIterable<readonly RecordedEvent[]>

  /** The event of the stream with this caller-given id, if there is one. */
  eventById(stream: string, id: string, options?: CallOptions): Promise<RecordedEvent | undefined>

  /** The stream's head, or undefined for a stream that never was. */
  stream(name: string, options?: ReadOptions): Promise<StreamInfo | undefined>

  /** Pages of the log in position order (or reverse), filtered; never empty pages. */
  readLog(query: LogQuery, options?: ReadOptions): AsyncIterable<readonly RecordedEvent[]>
}

/** An open transaction. Everything it returns is provisional until it commits. */
export interface StoreTransaction extends StreamAccess {
  /** The store's own connection, for SQL in the same transaction; undefined in memory. */
  readonly sql: unknown
  readonly records: RecordAccess
  readonly models: ModelAccess
  readonly inline: InlineAccess
  /** The newest position that this transaction sees, its own included. */
  newestPosition(options?: CallOptions): Promise<number>
  /**
   * Waits for every append under way in the store and holds new ones back until this transaction
   * ends. After it, `newestPosition` and `readLog` miss no event that any position below has.
   */
  barrier(options?: CallOptions): Promise<void>
  /**
   * Runs a part of the transaction: when `work` rejects, what it did (appends, records, models,
   * SQL) is undone, its rejection passes on, and the transaction may continue. Not nested, and
   * nothing else of the transaction runs meanwhile.
   */
  savepoint<T>(work: () => Promise<T>): Promise<T>
  /**
   * Stores the data of a part of the log in another way. Nothing that a reader sees changes, and
   * no position, version, id or checksum. What the codec would not give back exactly stays JSON.
   * Rows that are removed meanwhile are left alone.
   */
  recode(request: RecodeRequest, options?: CallOptions): Promise<RecodeStep>
  /**
   * Puts rows of a log back as they were: same positions, versions, ids, times, metadata, tags and
   * stored data. Streams come into the state that they had after these rows; what `$deleted` events
   * and `$truncated` ones (`before` in their data) remove is removed, and so is what lies below a
   * gap of versions. Until the part that is the `last`, the store cannot be opened but to go on.
   *
   * Throws InvalidArgumentError for rows that cannot follow what is there.
   */
  restore(request: RestoreRequest, options?: CallOptions): Promise<void>
}

/** What an adapter can do. A denied one carries the reason. */
export interface StoreCapabilities {
  /** Survives the process. */
  readonly durable: boolean
  /** `append(…, { within: client })` joins a transaction that the caller owns. */
  readonly within: boolean
  /** `tx.sql` is a connection. */
  readonly sql: boolean
  /** Other processes may open the same store. */
  readonly shared: boolean
  /** `fork` makes a copy of it. */
  readonly fork: boolean
  /** `view` shows it at one moment, and `restore` puts a log back. */
  readonly backup: boolean
}

/** A fault found in the storage itself, below the level of events. */
export interface StorageFault {
  /**
   * `checksum`: a row is not what was written; `index`: one of the store's own indexes does not
   * fit the rows; `head`: a stream's head row does not; `name`: its category is not that of its
   * name; `storage`: anything else, the default.
   */
  readonly kind?: 'storage' | 'checksum' | 'index' | 'head' | 'name' | undefined
  readonly position?: number | undefined
  readonly stream?: string | undefined
  readonly reason: string
}

/** One query for `streams`. */
export interface StreamsQuery {
  readonly prefix?: string | undefined
  readonly category?: string | undefined
  readonly limit?: number | undefined
  /** Names after this one only (exclusive), for paging. */
  readonly after?: string | undefined
}

/**
 * Where events live. Adapters implement it, decorators wrap it.
 *
 * Laws beyond those on the methods: an acknowledged append is durable in the default profile; a
 * position or a version is never used twice, not after delete, truncate, restore or VACUUM;
 * versions of a stream are dense from its first kept one; no committed event appears at or below
 * a safe position that was handed out before.
 */
export interface EventStore extends StreamAccess {
  readonly adapter: string
  readonly capabilities: StoreCapabilities
  /** Changed by restore, fork and promotion; positions of another incarnation mean nothing. */
  readonly incarnation: string
  /** Committed records; written in transactions. */
  readonly records: RecordReads
  /** Committed read models; written in transactions. */
  readonly models: ModelReads
  /** The inline projections that every writer must run. */
  inlineProjections(options?: CallOptions): Promise<readonly InlineProjection[]>

  /**
   * Runs `work` in one transaction: commits when it resolves, rolls back when it throws. Bounded
   * by `timeoutMs`, then TransactionTimeoutError. In stores with one writer it is exclusive.
   */
  transaction<T>(work: (tx: StoreTransaction) => Promise<T>, options?: CallOptions): Promise<T>

  /** Takes part in a transaction that the caller began on a driver's connection. */
  join(client: unknown): StoreTransaction

  /**
   * Fresh positions: every append that resolved before the call is at or below `newest`. With
   * `fresh`, those that a replica has reached within the bound.
   */
  positions(options?: PositionsOptions): Promise<LogPositions>

  /** Streams by name, in pages. */
  streams(query: StreamsQuery, options?: ReadOptions): AsyncIterable<readonly StreamInfo[]>

  /** Calls back when the log may have grown: a hint, at once for this process's own appends. */
  watch(listener: () => void): () => void

  /** The durability settings as read back from the store, for health pages and tests. */
  settings(): Promise<Readonly<Record<string, string>>>

  /**
   * Looks at the storage and says what would do it good, each with what would be run; carries out
   * what is asked for of it. Nothing that a reader of the log sees changes. Only of stores that
   * have something to set. What is applied may keep writers waiting, so it is bounded in time.
   */
  readonly tune?:
    | ((request: TuneRequest, options?: CallOptions) => Promise<readonly TuningAdvice[]>)
    | undefined

  /** What the storage is made of and takes: schema, bytes, room left. Not of stores in memory. */
  readonly storage?: ((options?: CallOptions) => Promise<StorageState>) | undefined

  /** The connections of this program; only of stores that keep some. */
  readonly pool?: (() => PoolStatistics) | undefined

  /** Checks the storage below the events (pages, indexes, head rows, checksums). */
  faults(options?: CallOptions): AsyncIterable<StorageFault>

  /**
   * Makes another store of the same kind that holds the events up to a position as they are here:
   * same positions, versions, ids and times, with each stream in the state that it had there. Its
   * incarnation is its own, its next position is `upTo + 1`, and it has no records, models or
   * inline projections. Appends go on meanwhile.
   *
   * All or nothing: what fails leaves nothing under the name. Throws ForkTargetExistsError,
   * InvalidArgumentError for a name that cannot be one, CapabilityError.
   */
  fork(request: ForkRequest, options?: CallOptions): Promise<ForkOutcome>

  /**
   * Runs `work` on the store as it stands at one moment, however long that takes; appends go on
   * (in a store with one connection they wait). Bounded by `timeoutMs`.
   *
   * Law: everything at or below `safe` that was not removed before is seen, and nothing that
   * happens later: no event, no removal, no record. Throws CapabilityError.
   */
  view<T>(work: (view: StoreView) => Promise<T>, options?: CallOptions): Promise<T>

  /** Refuses new calls, waits for those in flight, releases everything. */
  close(): Promise<void>
}
