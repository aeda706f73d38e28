import type { Clock } from '../kernel/index.ts'
import type { AggregateDefinition, EventInput, RecordedEvent } from '../model/index.ts'
import type { CallOptions } from './call-options.ts'
import type { StreamAccess } from './event-store.ts'

/** An aggregate, whatever its state. */
export type AnyAggregate = AggregateDefinition<unknown, unknown, EventInput>

/** A state that was kept. */
export interface FoundSnapshot {
  readonly state: unknown
  /** The stream's version that it was folded up to, and the position of that event. */
  readonly version: number
  readonly position: number
  /** Milliseconds since the epoch. */
  readonly takenAt: number
}

/** A state in memory, and the stream's version that it was folded up to. */
export interface HeldState {
  readonly state: unknown
  readonly version: number
}

/** What a load has gone through. */
export interface LoadedState {
  readonly state: unknown
  readonly version: number
  readonly position: number
  /** Stored events that were folded, and the bytes of their data where somebody wants to know. */
  readonly eventCount: number
  readonly byteCount: number
  readonly elapsedMs: number
  readonly from: FoundSnapshot | undefined
}

/**
 * Kept states, for whoever folds streams. Law: what `find` gives is what a fold of the stream up to
 * that version gives; when in doubt it gives nothing. It may be asked at any time and costs one
 * read; `loaded` costs no read and never throws.
 */
export interface SnapshotSource {
  readonly clock: Clock
  /** Whether `byteCount` is wanted. */
  readonly countsBytes: boolean
  /** The same, for reads only: of a state that may never be committed nothing is kept. */
  readonly readOnly: SnapshotSource
  /** The newest state up to the bounds (inclusive), or undefined. */
  find(
    access: StreamAccess,
    definition: AnyAggregate,
    stream: string,
    bounds: { readonly version?: number | undefined; readonly position?: number | undefined },
    options?: CallOptions,
  ): Promise<FoundSnapshot | undefined>
  /**
   * Waits until it is known which states may be used, for a load that cannot do without; gives
   * whether it is known then. Left out where waiting might hold up what it waits for.
   */
  trusted?(definition: AnyAggregate, options?: CallOptions): Promise<boolean>
  /** Told of a load of the newest state; gives whether one is kept of it. */
  loaded(definition: AnyAggregate, stream: string, load: LoadedState): boolean
  /** Told of a state that is of another history than the stream's. */
  foreign(stream: string, found?: FoundSnapshot): void
  /**
   * A state that a command may decide on without a look at the stream. It may be old: only an
   * append that expects its version tells. Left out by sources that ask the store.
   */
  held?(definition: AnyAggregate, stream: string): HeldState | undefined
  /** Told of the events that a command has appended to a state, as they are stored. */
  appended?(
    definition: AnyAggregate,
    stream: string,
    from: HeldState,
    events: readonly RecordedEvent[],
  ): void
}
