import type { CacheOptions } from '../caching/index.ts'
import type { Clock, IdSource, Random } from '../kernel/index.ts'
import type { CodecOptions } from '../model/index.ts'
import type { PoolLaneName } from '../ports/index.ts'
import type { CommandTarget, ProcessDefinition } from '../processes/index.ts'
import type { AnyProjection } from '../projections/index.ts'
import type { ReplicaReads } from '../replicas/index.ts'
import type { SchemaOptions } from '../schemas/index.ts'
import type { SnapshotOptions } from '../snapshots/index.ts'

/** A streaming replica to read from. */
export interface ReplicaSettings {
  /** `postgres://user:password@host:port/database`. */
  readonly url: string
  /** Connections in its pool, at most; as many as the primary's when left out. */
  readonly poolSize?: number | undefined
}

/** Settings of `openStore`. Most stores need none of them. */
export interface OpenStoreSettings {
  /**
   * `durable` (default): an acknowledged append survives the power. `relaxed`: it survives the
   * process, a power cut may lose the last ones. By name only, never by accident.
   */
  readonly profile?: 'durable' | 'relaxed' | undefined
  /**
   * Opens the store for reading only: nothing is made, migrated or written. On Postgres the right
   * to SELECT is enough then.
   */
  readonly readOnly?: boolean | undefined
  /** SQLite: which driver. `node:sqlite` unless named otherwise. */
  readonly driver?: 'node:sqlite' | 'better-sqlite3' | undefined
  /** SQLite: an open connection of `node:sqlite` or better-sqlite3 to use instead of opening. */
  readonly connection?: unknown
  /**
   * SQLite: bytes of the file that reads may map into memory. Reads of many small streams are up to
   * 1.5 times as fast then, where the file fits into it; a disk that fails ends the process.
   */
  readonly mmapBytes?: number | undefined
  /**
   * HTTP: an API key or a JWT for the server, sent as a bearer token. A function is asked before
   * each request, and once more when the server refuses what it gave.
   */
  readonly token?: string | (() => string | Promise<string>) | undefined
  /** HTTP: what to send requests with, in the place of the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** Opens a store whose restore is not finished, so that `restoreBackup` can go on with it. */
  readonly restoring?: boolean | undefined
  /** Postgres: a `pg` Pool to use instead of making one; it stays yours to end. */
  readonly pool?: unknown
  /** Postgres: the schema with the tables, as `?schema=` in the url; `eventuali` when left out. */
  readonly schema?: string | undefined
  /** Postgres: a direct url for LISTEN, when `url` goes through a transaction pooler. */
  readonly listenUrl?: string | undefined
  /**
   * Postgres: connections at most, by what they serve, so that none keeps another waiting; those
   * not named keep their own sizes (8 for reads, 4 for subscriptions, 6 for transactions, 6 for
   * appends). A number: so many for reads and for transactions each, half of it for subscriptions.
   */
  readonly poolSize?: number | Partial<Readonly<Record<PoolLaneName, number>>> | undefined
  /** Postgres: milliseconds that a call waits for a connection; its own `timeoutMs` otherwise. */
  readonly acquireTimeoutMs?: number | undefined
  /**
   * Postgres: streaming replicas of the primary, that reads may go to. One that is dead, lags or
   * is none is skipped until it is well; it never keeps the store from opening or a read from
   * being served.
   */
  readonly replicas?: readonly (string | ReplicaSettings)[] | undefined
  /** How old what replicas show may be, in reads that do not say it themselves. */
  readonly replicaReads?: ReplicaReads | undefined
  /**
   * How the data of new events is stored: plain JSON text when left out. Events that are there
   * stay as they are, and every store reads all of them, whatever is set here.
   */
  readonly codec?: CodecOptions | undefined
  /** Keeps states of aggregates, so that long streams load fast. Nothing is kept when left out. */
  readonly snapshots?: SnapshotOptions | undefined
  /**
   * Holds in memory, as far as each is given bytes, the newest known states of aggregates (loads
   * read what came after, commands read nothing) and the events of streams (reads ask for the
   * stream's head and read what came since). States are frozen then. Nothing is held when left out.
   */
  readonly cache?: CacheOptions | undefined
  /**
   * What happens with the schemas of `events` when the store opens: they are registered, and
   * checked against those that are registered already when a `compatibility` is asked for.
   * `false`: neither.
   */
  readonly schemas?: SchemaOptions | false | undefined
  /** Milliseconds after which a call that has no `timeoutMs` of its own gives up; 30,000. */
  readonly timeoutMs?: number | undefined
  /** Tries after a conflict, for commands and decisions; 32. */
  readonly conflictRetryCountMax?: number | undefined
  /** Projections of this program: `store.projections`, and what inline ones need at appends. */
  readonly projections?: readonly AnyProjection[] | undefined
  /** Processes of this program: `store.processes`. */
  readonly processes?: readonly ProcessDefinition[] | undefined
  /** Aggregates that schedules send commands to, beside those that the processes name. */
  readonly scheduleTargets?: readonly CommandTarget[] | undefined
  /**
   * Milliseconds after which other programs take over from this one when it has died, at least
   * 100; 10,000. Shorter is more writing: a lease is renewed twice in that time.
   */
  readonly leaseTtlMs?: number | undefined
  /** For repeatable runs: the source of time. */
  readonly clock?: Clock | undefined
  /** For repeatable runs: the source of chance. */
  readonly random?: Random | undefined
  /** For repeatable runs: the source of event ids. */
  readonly ids?: IdSource | undefined
}
