import {
  backoffMs,
  type Clock,
  isRetryable,
  type Random,
  type RetryPolicy,
  sleep,
} from '../kernel/index.ts'
import { type Freshness, InvalidArgumentError, type RecordedEvent } from '../model/index.ts'
import type { EventStore, LogQuery, PositionBlocker } from '../ports/index.ts'
import { WakeSignal } from './wake.ts'

/** Which events a feed delivers, and from where. */
export interface FeedFilter {
  /** Exclusive; 0 is the beginning of the log, `end` leaves out what is there at the first look. */
  readonly after?: number | 'end' | undefined
  readonly types?: readonly string[] | undefined
  readonly categories?: readonly string[] | undefined
  /** All of them. */
  readonly tags?: readonly string[] | undefined
  readonly includeArchived?: boolean | undefined
  /**
   * How fresh what is delivered has to be, where replicas may serve it; the store's own bound when
   * left out. `primary`: no replica is asked.
   */
  readonly fresh?: Freshness | undefined
}

/** The filter in short, for one of a kind. */
export interface FilterWords {
  /** One category: all streams of one kind of aggregate. Beside `categories`, one more. */
  readonly category?: string | undefined
  /** One event type. Beside `types`, one more. */
  readonly type?: string | undefined
}

/** The filter of options that may say it in short. */
export function filterOf(options: FeedFilter & FilterWords): Omit<FeedFilter, 'after'> {
  const { category, type, categories, types, tags, includeArchived, fresh } = options
  return {
    ...{ tags, includeArchived, fresh },
    categories: category === undefined ? categories : [...(categories ?? []), category],
    types: type === undefined ? types : [...(types ?? []), type],
  }
}

/** Where a delivered event lies in the log. */
export function positionOf(event: unknown): number | undefined {
  return (event as { readonly position?: number } | undefined)?.position
}

/** How a feed waits and how long it keeps trying. */
export interface FeedLimits {
  /** Events handed over at once, at most. */
  readonly batchCountMax: number
  /** A look at the log at least this often, hints or not. */
  readonly pollIntervalMs: number
  /**
   * Looks are at least this far apart once the end of the log is reached, so that a reader behind
   * busy writers takes many events at a time. An event after a quiet moment does not wait.
   */
  readonly lookIntervalMs: number
  /** While a gap holds the safe position back, a look this often. */
  readonly gapIntervalMs: number
  /** For reads that fail with a retryable error. */
  readonly retry: RetryPolicy
}

export const defaultFeedLimits: FeedLimits = {
  batchCountMax: 1000,
  pollIntervalMs: 1000,
  lookIntervalMs: 5,
  gapIntervalMs: 20,
  retry: { retryCountMax: 1000, firstDelayMs: 20, delayMaxMs: 5000 },
}

/** Where a feed stands. */
export type FeedState = 'catching-up' | 'live' | 'waiting'

/** Events in log order, and the position up to which everything has been seen. */
export interface FeedBatch {
  readonly events: readonly RecordedEvent[]
  readonly position: number
}

/** What a feed runs on. */
export interface FeedRuntime {
  readonly clock: Clock
  readonly random: Random
}

/**
 * The log as an endless sequence of batches: first what is there, then what comes. There is no
 * seam between the two: both are the same read from the last position up to the safe position,
 * repeated when a hint or the poll says so. Since no event can appear at or below a safe position,
 * nothing is skipped.
 */
export class LogFeed {
  readonly #store: Pick<EventStore, 'readLog' | 'positions' | 'watch'>
  readonly #filter: FeedFilter
  readonly #limits: FeedLimits
  readonly #runtime: FeedRuntime
  readonly #wake: WakeSignal
  readonly #fresh: Freshness
  #position: number
  #fromEnd: boolean
  #failures = 0
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #atEnd = false
  state: FeedState = 'catching-up'
  /** Why the feed waits, while it does. */
  lastError: unknown
  /** Who holds the safe position back, when somebody did at the last look. */
  blocker: PositionBlocker | undefined

  constructor(
    store: Pick<EventStore, 'readLog' | 'positions' | 'watch'>,
    filter: FeedFilter,
    limits: FeedLimits,
    runtime: FeedRuntime,
  ) {
    const { after = 0 } = filter
    if (after !== 'end' && (!Number.isSafeInteger(after) || after < 0)) {
      throw new InvalidArgumentError(
        'after',
        "must be a position (0 or a positive integer) or 'end'",
      )
    }
    if (!Number.isSafeInteger(limits.batchCountMax) || limits.batchCountMax < 1) {
      throw new InvalidArgumentError('maxBatch', 'must be a positive integer')
    }
    this.#store = store
    this.#filter = filter
    this.#limits = limits
    this.#runtime = runtime
    this.#wake = new WakeSignal(runtime.clock)
    this.#fresh = filter.fresh ?? {}
    this.#position = after === 'end' ? 0 : after
    this.#fromEnd = after === 'end'
  }

  /** Everything at or below it was handed over and came back for more. */
  get position(): number {
    return this.#position
  }

  /** Batches until `signal` is aborted. An empty batch tells of progress past filtered events. */
  async *batches(signal: AbortSignal): AsyncGenerator<FeedBatch, void, void> {
    const unwatch = this.#store.watch(() => this.#wake.hint())
    const onAbort = () => this.#wake.hint()
    signal.addEventListener('abort', onAbort)
    try {
      while (!signal.aborted) {
        try {
          yield* this.#round(signal)
        } catch (error) {
          if (signal.aborted) return
          await this.#recover(error)
        }
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
      unwatch()
    }
  }

  async *#round(signal: AbortSignal): AsyncGenerator<FeedBatch, void, void> {
    if (this.#atEnd) await this.#rest(signal)
    this.#lookedAtMs = this.#runtime.clock.monotonic()
    // The end of the log is where the primary is; what a replica lacks is not new.
    const fresh = this.#fromEnd ? 'primary' : this.#fresh
    const { safe, newest, blocker } = await this.#store.positions({ signal, fresh })
    this.#failures = 0
    this.lastError = undefined
    this.blocker = blocker
    if (this.#fromEnd) {
      this.#fromEnd = false
      yield { events: [], position: safe }
      this.#position = safe
      return
    }
    if (safe > this.#position) {
      yield* this.#read(safe, signal)
      return
    }
    this.state = newest > safe ? 'catching-up' : 'live'
    const { gapIntervalMs, pollIntervalMs } = this.#limits
    await this.#wake.sleep(newest > safe ? gapIntervalMs : pollIntervalMs)
  }

  async #rest(signal: AbortSignal): Promise<void> {
    const { clock } = this.#runtime
    const leftMs = this.#lookedAtMs + this.#limits.lookIntervalMs - clock.monotonic()
    // An aborted rest is no failure: the loop above sees the signal.
    if (leftMs > 0) await sleep(clock, leftMs, signal).catch(() => {})
  }

  async *#read(upTo: number, signal: AbortSignal): AsyncGenerator<FeedBatch, void, void> {
    const { types, categories, tags, includeArchived } = this.#filter
    const query: LogQuery = {
      ...{ types, categories, tags, includeArchived },
      after: this.#position,
      upTo,
      direction: 'forward',
      pageSize: this.#limits.batchCountMax,
      isFollowing: true,
    }
    let count = 0
    for await (const page of this.#store.readLog(query, { signal, fresh: this.#fresh })) {
      count += page.length
      for (let start = 0; start < page.length; start += this.#limits.batchCountMax) {
        const events =
          page.length <= this.#limits.batchCountMax
            ? page
            : page.slice(start, start + this.#limits.batchCountMax)
        const position = events.at(-1)?.position ?? upTo
        yield { events, position }
        this.#position = position
        if (signal.aborted) return
      }
    }
    this.#atEnd = count < this.#limits.batchCountMax
    if (upTo > this.#position) {
      yield { events: [], position: upTo }
      this.#position = upTo
    }
  }

  async #recover(error: unknown): Promise<void> {
    this.lastError = error
    if (!isRetryable(error) || this.#failures >= this.#limits.retry.retryCountMax) {
      throw error
    }
    this.state = 'waiting'
    await this.#wake.sleep(
      Math.max(1, backoffMs(this.#limits.retry, this.#failures++, this.#runtime.random)),
    )
  }
}
