import {
  type Clock,
  type Random,
  retry,
  sleep,
  systemClock,
  systemRandom,
  uuidV7Source,
} from '../kernel/index.ts'
import type { Json, RecordedEvent } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { type AnyProjection, projectLive } from '../projections/index.ts'
import { type PortOrStore, portOf } from './port-or-store.ts'
import { isPassing, ReplayCheckpoint } from './replay-checkpoint.ts'
import { type ReplaySink, replaySink } from './replay-into.ts'
import {
  assertReplayOptions,
  type ProjectedResult,
  type ReplayOptions,
  type ReplayProjectionTarget,
  type ReplayResult,
  ReplayTally,
  replayBatchCount,
} from './replay-options.ts'
import {
  firstPlace,
  mappedPages,
  type ReplayPages,
  type ReplayPlace,
  replayPages,
} from './replay-source.ts'
import { storageRetryPolicy } from './store-batch.ts'

const TRANSACTION_TIMEOUT_MS = 30_000

type Page = Awaited<ReturnType<ReplayPages['next']>>

/**
 * Hands events of the log over once more: from a position, a moment or a stream on, filtered, to
 * a handler, another store or a projection in memory, at most so many a second. It ends at the
 * safe position as it was at the beginning. Two pages of events are in memory at a time. Nothing
 * else runs because of it: no projection's effects, no subscriptions.
 *
 * With `resume` it may be broken off at any moment and goes on where it stopped: into another
 * store and into a transactional handler exactly once, into other handlers at least once.
 *
 * Throws InvalidArgumentError, LogChangedError, RecordConflictError (the same name is replayed
 * twice at a time), ReplayTargetError, and what the handler or the stores throw.
 *
 * @example
 * ```ts
 * import { openStore, replay } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * await store.append('order-1', { type: 'OrderPlaced', data: { total: 30 } })
 * await using copy = await openStore('memory:')
 * const { events } = await replay(store, { into: { store: copy }, resume: { name: 'copy' } })
 * console.log(events) // 1
 * ```
 */
export function replay<C>(
  store: PortOrStore<EventStore>,
  options: ReplayOptions & { readonly into: ReplayProjectionTarget<C> },
): Promise<ProjectedResult<C>>
export function replay(
  store: PortOrStore<EventStore>,
  options: ReplayOptions,
): Promise<ReplayResult>
export async function replay(
  store: PortOrStore<EventStore>,
  options: ReplayOptions,
): Promise<ReplayResult> {
  assertReplayOptions(options)
  const { into } = options
  return typeof into === 'object' && 'projection' in into
    ? project(store, into.projection as unknown as AnyProjection, options)
    : run(store, options)
}

/** Into a projection in memory: its handlers, by way of a batch handler. */
async function project(
  store: PortOrStore<EventStore>,
  definition: AnyProjection,
  options: ReplayOptions,
): Promise<ProjectedResult<unknown>> {
  const { storedTypes: types, from, registry } = definition
  const projection = await projectLive(definition)
  const result = await run(store, {
    ...options,
    filter: { types, ...from, ...options.filter },
    into: {
      batch: (events) =>
        projection.apply(options.decode === undefined ? registry.read(events) : events),
    },
  })
  return { ...result, projection }
}

/** What happens to events between the store they come from and the one they go to. */
export interface ReplayMapping {
  /** In log order, a page at a time, outside of any transaction. May be asked again. */
  readonly map: (events: readonly RecordedEvent[]) => Promise<readonly RecordedEvent[]>
  /** What of it a checkpoint remembers. */
  readonly plan: Json
}

/** A replay whose events become others on the way. */
export function replayMapped(
  store: PortOrStore<EventStore>,
  options: ReplayOptions,
  mapping: ReplayMapping,
): Promise<ReplayResult> {
  assertReplayOptions(options)
  return run(store, options, mapping)
}

async function run(
  store: PortOrStore<EventStore>,
  options: ReplayOptions,
  mapping?: ReplayMapping,
): Promise<ReplayResult> {
  const source = portOf(store)
  const sink = replaySink(source, options.into, options, mapping !== undefined)
  const { resume } = options
  const { clock = systemClock, random = systemRandom } = options
  const runId = uuidV7Source(clock, random).next()
  const checkpoint =
    resume === undefined
      ? undefined
      : await ReplayCheckpoint.load(
          sink.home,
          source.incarnation,
          resume.name,
          runId,
          options,
          mapping?.plan,
        )
  const place = checkpoint?.place ?? firstPlace(options.from ?? { position: 0 })
  const stored = await replayPages(source, options, place)
  const pages = mapping === undefined ? stored : mappedPages(stored, mapping.map)
  return new ReplayRun(pages, sink, checkpoint, place, options).go()
}

class ReplayRun {
  readonly #pages: ReplayPages
  readonly #sink: ReplaySink
  readonly #checkpoint: ReplayCheckpoint | undefined
  readonly #options: ReplayOptions
  readonly #sources: { readonly clock: Clock; readonly random: Random }
  readonly #countMax: number
  readonly #tally = new ReplayTally()
  readonly #startedMs: number
  readonly #startPosition: number
  #nextMs: number
  #place: ReplayPlace
  #events = 0
  #duplicates = 0

  constructor(
    pages: ReplayPages,
    sink: ReplaySink,
    checkpoint: ReplayCheckpoint | undefined,
    place: ReplayPlace,
    options: ReplayOptions,
  ) {
    const clock = options.clock ?? systemClock
    this.#pages = pages
    this.#sink = sink
    this.#checkpoint = checkpoint
    this.#options = options
    this.#sources = { clock, random: options.random ?? systemRandom }
    this.#countMax = replayBatchCount(options)
    this.#startedMs = clock.monotonic()
    this.#nextMs = this.#startedMs
    this.#startPosition = place.position
    this.#place = place
  }

  async go(): Promise<ReplayResult> {
    let page = this.#read(this.#place)
    try {
      while (!this.#isStopped()) {
        const { events, place } = await page
        if (events.length === 0) {
          await this.#finish(place)
          return this.#result()
        }
        // Read while this page is worked on. A failure is met when its turn has come.
        page = this.#read(place)
        page.catch(() => {})
        if (!(await this.#waitForRate(events.length))) break
        if (this.#options.dryRun === true) this.#count(events, place)
        else await this.#handOver(events, place)
        this.#report()
      }
    } catch (error) {
      // The signal ends a read or a wait by an error.
      if (!this.#isStopped() || error !== this.#options.signal?.reason) throw error
    } finally {
      // The look ahead must not outlive the replay.
      await page.catch(() => {})
    }
    return { ...this.#result(), stopped: true }
  }

  #isStopped(): boolean {
    return this.#options.signal?.aborted === true
  }

  /** Several tries, so that a connection lost for a moment does not end a long replay. */
  #read(place: ReplayPlace): Promise<Page> {
    const { signal } = this.#options
    return this.#patiently(() => this.#pages.next(place, this.#countMax, { signal }))
  }

  #patiently<T>(work: () => Promise<T>): Promise<T> {
    return retry(work, { policy: storageRetryPolicy, retryable: isPassing, ...this.#sources })
  }

  /** False when the replay was stopped meanwhile. */
  async #waitForRate(count: number): Promise<boolean> {
    const { ratePerSecond, signal } = this.#options
    if (ratePerSecond === undefined) return true
    const { clock } = this.#sources
    const leftMs = this.#nextMs - clock.monotonic()
    if (leftMs > 0) await sleep(clock, leftMs, signal).catch(() => {})
    // What was missed is not made up for: that would be a burst.
    this.#nextMs = Math.max(this.#nextMs, clock.monotonic()) + (count * 1000) / ratePerSecond
    return !this.#isStopped()
  }

  #count(events: readonly RecordedEvent[], place: ReplayPlace): void {
    this.#tally.add(events)
    this.#advance(place, events.length)
  }

  #advance(place: ReplayPlace, count: number): void {
    this.#place = place
    this.#events += count
  }

  async #handOver(events: readonly RecordedEvent[], place: ReplayPlace): Promise<void> {
    if (this.#sink.transactional) await this.#inTransaction(events, place)
    else await this.#thenCheckpoint(events, place)
  }

  async #inTransaction(events: readonly RecordedEvent[], place: ReplayPlace): Promise<void> {
    const { position } = place
    let duplicates = 0
    const effect = async (tx: Parameters<Parameters<EventStore['transaction']>[0]>[0]) => {
      duplicates = await this.#sink.deliver({ events, position, tx, onDone: () => {} })
    }
    await this.#patiently(() =>
      this.#checkpoint === undefined
        ? this.#sink.home.transaction(effect, { timeoutMs: this.#timeoutMs })
        : this.#checkpoint.commit(place, events.length, this.#timeoutMs, effect),
    )
    this.#duplicates += duplicates
    this.#advance(place, events.length)
  }

  async #thenCheckpoint(events: readonly RecordedEvent[], place: ReplayPlace): Promise<void> {
    const { position } = place
    let done = 0
    let reached = this.#place
    const onDone = (event: RecordedEvent): void => {
      done++
      reached = { position: event.position, version: place.version === 0 ? 0 : event.version }
    }
    const deliver = () => this.#sink.deliver({ events, position, tx: undefined, onDone })
    try {
      this.#duplicates += await (this.#sink.repeatable ? this.#patiently(deliver) : deliver())
    } catch (error) {
      // What came before the event that failed is done; its own error is the one to tell.
      if (done > 0) await this.#save(reached, done).catch(() => {})
      throw error
    }
    if (!this.#sink.oneByOne || done === events.length) await this.#save(place, events.length)
    else if (done > 0) await this.#save(reached, done)
  }

  async #save(place: ReplayPlace, count: number): Promise<void> {
    await this.#patiently(async () => this.#checkpoint?.commit(place, count, this.#timeoutMs))
    this.#advance(place, count)
  }

  /** The rest holds no event of this replay. */
  async #finish(place: ReplayPlace): Promise<void> {
    if (place.position === this.#place.position) return
    if (this.#options.dryRun === true) this.#place = place
    else await this.#save(place, 0)
  }

  get #timeoutMs(): number {
    return this.#options.timeoutMs ?? TRANSACTION_TIMEOUT_MS
  }

  #report(): void {
    this.#options.onProgress?.({
      done: this.#events,
      total: this.#pages.total,
      position: this.#place.position,
      etaMs: this.#etaMs(),
    })
  }

  #etaMs(): number | undefined {
    const spentMs = this.#sources.clock.monotonic() - this.#startedMs
    const { total, upTo } = this.#pages
    const done = total === undefined ? this.#place.position - this.#startPosition : this.#events
    const left = total === undefined ? upTo - this.#place.position : total - this.#events
    return spentMs > 0 && done > 0 ? (spentMs / done) * Math.max(0, left) : undefined
  }

  #result(): ReplayResult {
    const { into, dryRun } = this.#options
    const toStore = typeof into === 'object' && 'store' in into && dryRun !== true
    return {
      events: this.#events,
      ...(toStore ? { duplicates: this.#duplicates } : {}),
      position: this.#place.position,
      seconds: (this.#sources.clock.monotonic() - this.#startedMs) / 1000,
      ...(dryRun === true ? { counts: this.#tally.counts() } : {}),
    }
  }
}
