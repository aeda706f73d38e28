import type { AppendResult, CommandRuntime } from '../commands/index.ts'
import {
  CapabilityError,
  InvalidArgumentError,
  InvalidNameError,
  type StreamInfo,
} from '../model/index.ts'
import type {
  CallOptions,
  EventStore,
  LogPositions,
  PoolStatistics,
  ReadOptions,
  StoreCapabilities,
  TuningAdvice,
} from '../ports/index.ts'
import { waitForPosition } from '../subscriptions/index.ts'
import { type ForkOptions, type ForkResult, forkStore } from './fork.ts'
import { changeStream, type LifecycleOptions, unarchiveStream } from './lifecycle.ts'
import {
  assertCall,
  assertStreams,
  type BoundedCall,
  type BoundedRead,
  type StreamsOptions,
} from './read-options.ts'
import { EventSequence } from './sequence.ts'
import { ownRead, type Seen } from './session.ts'
import { type TuneOptions, tuneStore } from './tune.ts'
import { type VerifyOptions, type VerifyReport, verifyStore } from './verify/index.ts'

/** What a call that names no options gets. */
export const noCallOptions: CallOptions = {}

/** What is asked of a store, and done to it, apart from its events. */
export abstract class StoreBase {
  /** The port underneath, for programs that build on it. */
  readonly port: EventStore
  /** @internal */
  protected readonly runtime: CommandRuntime
  /** @internal */
  protected readonly timeoutMs: number
  /** @internal What was appended through this store, where replicas may not have it yet. */
  protected readonly seen: Seen | undefined
  /** The options of a call that names none: most appends. */
  readonly #bounds: { readonly timeoutMs: number }

  /** @internal */
  constructor(
    port: EventStore,
    runtime: CommandRuntime,
    timeoutMs: number,
    seen: Seen | undefined,
  ) {
    this.port = port
    this.runtime = runtime
    this.timeoutMs = timeoutMs
    this.seen = seen
    this.#bounds = { timeoutMs }
  }

  /** Name of the adapter: `memory`, `sqlite` or `postgres`. */
  get adapter(): string {
    return this.port.adapter
  }

  /** What this store can do; see docs/adapters.md. */
  get capabilities(): StoreCapabilities {
    return this.port.capabilities
  }

  /** Identity of the log: changed by restore, fork and promotion. */
  get incarnation(): string {
    return this.port.incarnation
  }

  /**
   * Looks at the storage and says what would do it good: settings, upkeep, and why; carries out
   * what is asked for of it. The log stays as it is. On request it may keep appends waiting.
   *
   * Throws InvalidArgumentError for a name that is no advice now or that concerns the server,
   * ReadOnlyStoreError, CapabilityError for stores in memory, and what storage throws.
   */
  tune(options: TuneOptions = {}): Promise<readonly TuningAdvice[]> {
    return tuneStore(this.port, options)
  }

  /**
   * The connections of this program, lane by lane: how many are in use, who waits, and how long
   * they waited. Throws CapabilityError for stores that have no pool.
   */
  get pool(): PoolStatistics {
    const statistics = this.port.pool?.()
    if (statistics !== undefined) return statistics
    throw new CapabilityError(this.adapter, 'pool', 'it has one connection, or none')
  }

  /** Resolves once the safe position has reached `position`; OperationTimeoutError otherwise. */
  async caughtUp(position: number, options: BoundedCall = {}): Promise<void> {
    await waitForPosition(this.port, position, this.runtime.clock, this.bounded(options))
  }

  /** How far the log goes, and who holds the safe position back, if somebody does. */
  positions(options: BoundedCall = {}): Promise<LogPositions> {
    return this.port.positions(this.bounded(options))
  }

  /** The streams that exist, by name. */
  streams(options: StreamsOptions = {}): EventSequence<StreamInfo> {
    const bounded = this.bounded(ownRead(options, this.seen))
    assertStreams(options)
    return new EventSequence(() => this.port.streams(options, bounded))
  }

  /** The store's answer; an open store may have it in memory. */
  protected headOf(name: string, options: ReadOptions): Promise<StreamInfo | undefined> {
    return this.port.stream(name, options)
  }

  /** What is known of one stream, or undefined when it never was. */
  stream(name: string, options: BoundedRead = {}): Promise<StreamInfo | undefined> {
    if (typeof name !== 'string') throw new InvalidNameError('stream', name, 'is not a string')
    assertCall(options)
    return this.headOf(name, this.bounded(options))
  }

  /**
   * Makes a stream read-only and leaves it out of `readAll`; `{ undo: true }` takes it back. A
   * stream that is not archived stays as it is then: the result has no events.
   */
  archive(
    stream: string,
    options: LifecycleOptions & { readonly undo?: boolean } = {},
  ): Promise<AppendResult> {
    const bounded = this.bounded(options)
    if (bounded.undo === true) return unarchiveStream(this.port, this.runtime, stream, bounded)
    return changeStream(this.port, this.runtime, stream, { kind: 'archive' }, bounded)
  }

  /** Removes the versions below `before`; the numbers of the others stay. */
  truncate(
    stream: string,
    options: LifecycleOptions & { readonly before: number },
  ): Promise<AppendResult> {
    const bounded = this.bounded(options)
    const change = { kind: 'truncate', before: bounded.before } as const
    return changeStream(this.port, this.runtime, stream, change, bounded)
  }

  /** Removes all events of a stream; only `append(…, { recreate: true })` goes on with it. */
  deleteStream(stream: string, options: LifecycleOptions = {}): Promise<AppendResult> {
    return changeStream(this.port, this.runtime, stream, { kind: 'delete' }, this.bounded(options))
  }

  /** Proves the log's promises over all of it; see `VerifyReport`. */
  verify(options: VerifyOptions = {}): Promise<VerifyReport> {
    assertCall(options)
    return verifyStore(this.port, this.runtime, options)
  }

  /**
   * Makes another store that holds the log up to a position or moment, as it is here: for a preview
   * environment, a rehearsal, a look at what was. The store goes on meanwhile. What reads the log
   * (subscriptions, projections, processes, kept states) does not come along and begins anew there.
   *
   * Throws ForkTargetExistsError, InvalidArgumentError, CapabilityError (stores in memory); what
   * fails or is aborted leaves nothing behind.
   */
  fork(options: ForkOptions): Promise<ForkResult> {
    assertCall(options)
    return forkStore(this.port, options)
  }

  /** @internal The options with the store's own bound where the call names none. */
  protected bounded<O extends CallOptions>(options: O): O & { readonly timeoutMs: number } {
    if (options === noCallOptions && this.timeoutMs > 0)
      return this.#bounds as O & { readonly timeoutMs: number }
    assertCall(options)
    const { timeoutMs = this.timeoutMs } = options
    if (typeof timeoutMs !== 'number' || !(timeoutMs > 0)) {
      throw new InvalidArgumentError('timeoutMs', 'must be a positive number of milliseconds')
    }
    return options.timeoutMs === timeoutMs
      ? (options as O & { readonly timeoutMs: number })
      : { ...options, timeoutMs }
  }
}
