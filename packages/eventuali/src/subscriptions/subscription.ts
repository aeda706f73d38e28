import { type RetryPolicy, retry } from '../kernel/index.ts'
import { InvalidArgumentError, type RecordedEvent } from '../model/index.ts'
import type { EventStore, PositionBlocker } from '../ports/index.ts'
import {
  defaultFeedLimits,
  type FeedBatch,
  type FeedFilter,
  type FeedLimits,
  type FeedRuntime,
  type FilterWords,
  filterOf,
  LogFeed,
  positionOf,
} from './feed.ts'

/** What a handler gets beside the events. */
export interface SubscriptionContext {
  /** Aborted when the subscription stops; hand it to whatever you wait for. */
  readonly signal: AbortSignal
  /** Position of the (last) event at hand. */
  readonly position: number
}

/** Gets every event once the one before is done. */
export type EventHandler<E> = (event: E, context: SubscriptionContext) => unknown

/** Gets many events at once: the shape to use when the effect is worth batching. */
export interface BatchHandler<E> {
  readonly batch: (events: readonly E[], context: SubscriptionContext) => unknown
  /** Events in one call, at most; 1,000 when left out. */
  readonly maxBatch?: number
}

/** Options of `store.subscribe`. */
export interface SubscribeOptions extends FeedFilter, FilterWords {
  /**
   * Tries a handler that throws again, from the event it failed at, instead of ending at once.
   * For a subscription without a name: one with a name does so by itself.
   */
  readonly retry?: RetryPolicy | undefined
  /** Stops the subscription when aborted. */
  readonly signal?: AbortSignal | undefined
  /** A look at the log at least this often, in milliseconds; 1,000 when left out. */
  readonly pollIntervalMs?: number | undefined
}

/** `stopped` after `stop()`, an aborted signal or a closed store; `failed` with a reason. */
export type SubscriptionState = 'catching-up' | 'live' | 'waiting' | 'paused' | 'stopped' | 'failed'

/**
 * A running delivery of the log: catch-up, then live, in order, every committed event, at least
 * once. With a handler it runs by itself; without one, iterate over it.
 *
 * A handler that throws ends the subscription: `state` is `failed`, `done` rejects with the
 * handler's error and `position` is the last event that was handled. A read that fails with a
 * retryable error (a lost connection, a busy database) is tried again by itself meanwhile
 * (`state` is `waiting`).
 *
 * @example
 * ```ts
 * import { openStore } from 'eventuali'
 *
 * const store = await openStore('memory:')
 * await store.append('order-1', { type: 'OrderPlaced', data: {} })
 * for await (const event of store.subscribe()) {
 *   console.log(event.type)
 *   break // leaving the loop stops the subscription
 * }
 * await store.close()
 * ```
 */
export class Subscription<E = RecordedEvent> implements AsyncIterable<E>, AsyncDisposable {
  readonly #feed: LogFeed
  readonly #abort = new AbortController()
  readonly #handler: BatchHandler<E> | undefined
  readonly #map: (events: readonly RecordedEvent[]) => readonly E[]
  readonly #onEnd: () => void
  readonly #outer: AbortSignal | undefined
  #resume: PromiseWithResolvers<void> | undefined
  #ended: 'stopped' | 'failed' | undefined
  #failure: unknown
  #handled: number
  #iterating = false
  /** Settles when the subscription has ended: resolves after a stop, rejects after a failure. */
  readonly done: Promise<void>
  #settle: PromiseWithResolvers<void> = Promise.withResolvers<void>()

  constructor(
    store: Pick<EventStore, 'readLog' | 'positions' | 'watch'>,
    options: SubscribeOptions,
    handler: EventHandler<E> | BatchHandler<E> | undefined,
    runtime: FeedRuntime & {
      /** From recorded events to what the handler sees (decoding by definition). */
      readonly map: (events: readonly RecordedEvent[]) => readonly E[]
      readonly onEnd: () => void
    },
  ) {
    const again = retrying(options.retry, runtime, this.#abort.signal)
    this.#handler = handler === undefined ? undefined : tracked(handler, this.#track, again)
    const limits: FeedLimits = {
      ...defaultFeedLimits,
      ...(this.#handler?.maxBatch === undefined ? {} : { batchCountMax: this.#handler.maxBatch }),
      ...(options.pollIntervalMs === undefined ? {} : { pollIntervalMs: options.pollIntervalMs }),
    }
    this.#feed = new LogFeed(store, { ...filterOf(options), after: options.after }, limits, runtime)
    this.#handled = this.#feed.position
    this.#map = runtime.map
    this.#onEnd = runtime.onEnd
    this.#outer = options.signal
    this.done = this.#settle.promise
    // The failure is also in `state` and `error`: nobody has to look at `done`.
    this.done.catch(() => {})
    if (this.#outer?.aborted) this.#end('stopped')
    else this.#outer?.addEventListener('abort', this.#onOuterAbort)
    if (this.#handler !== undefined && this.#ended === undefined) void this.#run(this.#handler)
  }

  readonly #onOuterAbort = (): void => {
    void this.stop()
  }

  readonly #track = (position: number): void => {
    this.#handled = position
  }

  /** What it is doing now. */
  get state(): SubscriptionState {
    if (this.#ended !== undefined) return this.#ended
    if (this.#resume !== undefined) return 'paused'
    return this.#feed.state
  }

  /** The last position that was handled (or, filtered, passed over). */
  get position(): number {
    return this.#handled
  }

  /** Why it failed, or why it waits. */
  get error(): unknown {
    return this.#failure ?? this.#feed.lastError
  }

  /** Who keeps the log's safe position back, while somebody does. */
  get blocker(): PositionBlocker | undefined {
    return this.#feed.blocker
  }

  /** Holds delivery after the batch in hand. */
  pause(): void {
    if (this.#ended === undefined) this.#resume ??= Promise.withResolvers<void>()
  }

  /** Goes on after `pause`. */
  resume(): void {
    this.#resume?.resolve()
    this.#resume = undefined
  }

  /** Stops and waits until the handler has returned from the batch in hand. */
  async stop(): Promise<void> {
    this.#abort.abort()
    this.resume()
    if (this.#handler === undefined) this.#end('stopped')
    await this.done.catch(() => {})
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async *[Symbol.asyncIterator](): AsyncIterator<E> {
    if (this.#handler !== undefined || this.#iterating) {
      throw new InvalidArgumentError(
        'subscription',
        'is consumed already, by its handler or by another loop; subscribe again',
      )
    }
    this.#iterating = true
    try {
      for await (const batch of this.#batches()) {
        const events = this.#map(batch.events)
        for (let i = 0; i < events.length; i++) {
          yield events[i] as E
          this.#handled = positionOf(events[i]) ?? batch.position
          if (this.#resume !== undefined) await this.#resume.promise
          if (this.#abort.signal.aborted) return
        }
        this.#handled = batch.position
      }
      this.#end('stopped')
    } catch (error) {
      this.#fail(error)
      throw error
    } finally {
      this.#abort.abort()
      this.#end('stopped')
    }
  }

  async *#batches(): AsyncGenerator<FeedBatch, void, void> {
    for await (const batch of this.#feed.batches(this.#abort.signal)) {
      if (this.#resume !== undefined) await this.#resume.promise
      if (this.#abort.signal.aborted) return
      yield batch
    }
  }

  async #run(handler: BatchHandler<E>): Promise<void> {
    try {
      for await (const { events, position } of this.#batches()) {
        const seen = this.#map(events)
        if (seen.length === 0) this.#handled = position
        else await handler.batch(seen, { signal: this.#abort.signal, position })
      }
      this.#end('stopped')
    } catch (error) {
      const { aborted, reason } = this.#abort.signal
      // A retry that was waiting when the stop came.
      if (aborted && error === reason) this.#end('stopped')
      else this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    if (this.#ended !== undefined) return
    this.#failure = error
    this.#ended = 'failed'
    this.#release()
    this.#settle.reject(error)
  }

  #end(state: 'stopped'): void {
    if (this.#ended !== undefined) return
    this.#ended = state
    this.#release()
    this.#settle.resolve()
  }

  #release(): void {
    this.#outer?.removeEventListener('abort', this.#onOuterAbort)
    this.#onEnd()
  }
}

/** Does a piece of work, again when it fails and the options say so. */
type Again = (work: () => unknown) => unknown

function retrying(
  policy: RetryPolicy | undefined,
  { clock, random }: FeedRuntime,
  signal: AbortSignal,
): Again {
  if (policy === undefined) return (work) => work()
  return (work) =>
    retry(async () => work(), { policy, retryable: () => true, clock, random, signal })
}

/** The handler in its batch shape, telling after each step how far it has come. */
function tracked<E>(
  handler: EventHandler<E> | BatchHandler<E>,
  track: (position: number) => void,
  again: Again,
): BatchHandler<E> {
  if (typeof handler !== 'function') {
    return {
      ...handler,
      batch: async (events, context) => {
        await again(() => handler.batch(events, context))
        track(context.position)
      },
    }
  }
  return {
    batch: async (events, { signal }) => {
      for (const event of events) {
        if (signal.aborted) return
        const { position } = event as { position: number }
        const result = again(() => handler(event, { signal, position }))
        // A handler that returns no promise costs no turn of the event loop.
        if (result instanceof Promise) await result
        track(position)
      }
    },
  }
}
