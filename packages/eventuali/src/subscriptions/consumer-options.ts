import type { Clock, IdSource, Random, RetryPolicy } from '../kernel/index.ts'
import type { RecordedEvent } from '../model/index.ts'
import type { CallOptions, StoreTransaction } from '../ports/index.ts'
import type { FeedFilter } from './feed.ts'

/**
 * What becomes of an event whose handler fails after its retries. `park-key` puts it and all
 * later events of its key into the dead letters, so that order is kept; `park` only itself;
 * `stop` stops the partition with a visible reason until somebody resumes it.
 */
export type PoisonMode = 'park-key' | 'park' | 'stop'

/** What one call of a handler gets. */
export interface ConsumerBatch {
  /** In log order, all of one partition; never empty. */
  readonly events: readonly RecordedEvent[]
  /** Number of the partition, from 0. */
  readonly partition: number
  /** Position of the last event: the partition's checkpoint once the call is through. */
  readonly position: number
  /** 0 at first; grows with every try of the same event. */
  readonly attempt: number
  /** True when dead letters are handled again: their positions lie below the checkpoint. */
  readonly retried: boolean
  /** Aborted when the consumer stops or the partition is lost; reject with its reason then. */
  readonly signal: AbortSignal
  /**
   * The transaction that also moves the checkpoint; there if and only if the consumer is
   * `transactional`. It is rolled back when the call rejects or the partition was lost meanwhile.
   */
  readonly tx: StoreTransaction | undefined
  /**
   * Tells that all events up to this position are done, so that a failure or a stop in the midst
   * hands over only the rest again. Without meaning in a transaction, which undoes everything.
   */
  progress(position: number): void
}

/** What a durable consumer of the log does. The same name in many processes is one consumer. */
export interface ConsumerOptions {
  /** At most 200 characters. */
  readonly name: string
  /** Without `after`: a consumer goes on where its checkpoint stands. */
  readonly filter: Omit<FeedFilter, 'after'>
  /** Where one that is new starts: after a position (exclusive), or with what comes from now. */
  readonly after: number | 'end'
  /** Partitions of one that is new; later the recorded count counts, see `repartition`. */
  readonly partitions: number
  /** Events of one key are handled in order, by one owner at a time; the stream when left out. */
  readonly keyOf?: ((event: RecordedEvent) => string) | undefined
  /** Names the kind of key; recorded, and a consumer with another one is refused. */
  readonly keyLabel: string
  /** Events in one call of `handle`, at most. */
  readonly maxBatch: number
  /** Whether `handle` runs in the transaction that moves the checkpoint. */
  readonly transactional: boolean
  /** Resolves when all events are done; rejects to have them again. */
  handle(batch: ConsumerBatch): Promise<void>
  /** For failures of `handle`; trouble with the storage is never counted. */
  readonly retry: RetryPolicy
  readonly onPoison: PoisonMode
  /** Partitions handled at the same time in this process. */
  readonly concurrency: number
  /** A look at the log, the leases and the dead letters at least this often. */
  readonly pollIntervalMs: number
  /** Bound of each transaction. */
  readonly timeoutMs: number
  /** A plain handler's progress is saved at most this often; 250 when left out. */
  readonly checkpointIntervalMs?: number | undefined
  /** Bounds of what waits in memory for the handler: events, and bytes (estimated). */
  readonly bufferCountMax?: number | undefined
  readonly bufferBytesMax?: number | undefined
}

/** What consumers and workers run on. */
export interface ConsumerRuntime {
  readonly clock: Clock
  readonly random: Random
  readonly ids: IdSource
}

/**
 * `standby`: no partition is left for this process, it takes over when an owner goes. `waiting`:
 * for storage that does not answer, see `error`. `failed`: ended for a reason that waiting does not
 * mend, or all partitions are stopped by poison.
 */
export type ConsumerState =
  | 'catching-up'
  | 'live'
  | 'waiting'
  | 'paused'
  | 'standby'
  | 'stopped'
  | 'failed'

/** One partition as this process knows it. */
export interface PartitionInfo {
  readonly partition: number
  /** Id of the worker that owns it. */
  readonly owner: string | undefined
  /** Grows with every change of owner. */
  readonly epoch: number
  /** Everything of this partition at or below it is done. */
  readonly position: number
  /** Events in memory that wait for the handler; 0 unless owned here. */
  readonly buffered: number
  /** Why the partition is stopped, when it is. */
  readonly stopped: string | undefined
}

/** A running durable consumer. */
export interface Consumer {
  readonly name: string
  readonly state: ConsumerState
  /** What it waits for or failed with; undefined when all is well. */
  readonly error: unknown
  /** The same in words, with why it is paused or stopped. */
  readonly reason: string | undefined
  /** Everything at or below it is done, in all partitions, as far as this process knows. */
  readonly position: number
  /** All partitions; owned here are those with this worker's id as `owner`. */
  partitions(): readonly PartitionInfo[]
  /** Resolves once `position` has reached the given one; OperationTimeoutError otherwise. */
  reached(position: number, options?: CallOptions): Promise<void>
  /**
   * Holds this process's deliveries; its partitions stay with it. `pauseSubscription` holds all
   * processes.
   */
  pause(): void
  resume(): void
  /** Looks at the records now instead of at the next poll. */
  look(): void
  /** Waits for the handlers at work, saves the checkpoints and gives the partitions back. */
  stop(): Promise<void>
  /** Resolves after a stop, rejects after a failure that ended it. */
  readonly done: Promise<void>
}
