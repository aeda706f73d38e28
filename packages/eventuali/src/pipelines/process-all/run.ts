import {
  type Clock,
  type Random,
  retry,
  sleep,
  systemClock,
  systemRandom,
  uuidV7Source,
} from '../../kernel/index.ts'
import { jsonTextOf, type RecordedEvent } from '../../model/index.ts'
import type { EventStore, StoreTransaction } from '../../ports/index.ts'
import { keyBy, partitionOf } from '../../subscriptions/index.ts'
import { type PortOrStore, portOf } from '../port-or-store.ts'
import { isPassing, ReplayCheckpoint } from '../replay-checkpoint.ts'
import { assertReplayOptions, type ReplayOptions } from '../replay-options.ts'
import { firstPlace, type ReplayPages, type ReplayPlace, replayPages } from '../replay-source.ts'
import { storageRetryPolicy } from '../store-batch.ts'
import {
  isFold,
  type PartitionContext,
  type PartitionFold,
  type PartitionHandler,
  type ProcessOptions,
  type ProcessResult,
  type ProcessSettings,
  processSettings,
} from './options.ts'
import { type Partition, PartitionQueue, partitionHere } from './partition.ts'
import { ThreadPartition } from './thread-partition.ts'
import { importWork } from './work.ts'

const stateKind = 'fold'
const TRANSACTION_TIMEOUT_MS = 60_000
/** After a stop, what is under way has so long to end; then it counts as not done. */
const STOP_MS = 10_000
/** Pages are this many batches for each partition, so that one has work while others are behind. */
const BATCHES_OF_PAGE = 2
const PAGE_COUNT_MAX = 5000

const stateKeys = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${name}/${String(i).padStart(4, '0')}`)

type AnyOptions = ProcessOptions<unknown>

/** What the work is, where it comes from a module with that. */
interface Loaded {
  readonly work: PartitionHandler | PartitionFold
  readonly module: URL | undefined
}

async function loaded({ work }: AnyOptions): Promise<Loaded> {
  if (typeof work === 'function' || isFold(work)) return { work, module: undefined }
  // Here too: what is wrong with it is said before a thread is started, and `merge` runs here.
  return { work: await importWork(work.module.href), module: work.module }
}

/** The part of the options that a replay has as well. */
function replayOptions(options: AnyOptions): ReplayOptions {
  const { after = 0, upTo, filter, resume, signal } = options
  return { from: { position: after }, upTo, filter, resume, signal, into: () => {} }
}

/** Where a run begins, and with which states. */
interface Start {
  readonly checkpoint: ReplayCheckpoint | undefined
  readonly place: ReplayPlace
  readonly states: readonly { readonly state: unknown }[] | undefined
}

async function startOf(
  source: EventStore,
  options: AnyOptions,
  { partitions }: ProcessSettings,
  work: Loaded['work'],
): Promise<Start> {
  const { clock = systemClock, random = systemRandom, resume, signal } = options
  const asked = replayOptions(options)
  if (resume === undefined) {
    return { checkpoint: undefined, place: firstPlace(asked.from as never), states: undefined }
  }
  const { keyLabel } = keyBy(options.by ?? 'stream')
  const plan = { processAll: isFold(work) ? 'fold' : 'handle', partitions, by: keyLabel }
  const { incarnation } = source
  const runId = uuidV7Source(clock, random).next()
  const checkpoint = await ReplayCheckpoint.load(
    ...([source, incarnation, resume.name, runId, asked, plan] as const),
  )
  const place = checkpoint.place ?? firstPlace(asked.from as never)
  if (checkpoint.place === undefined || !isFold(work)) {
    return { checkpoint, place, states: undefined }
  }
  const keys = stateKeys(resume.name, partitions)
  const found = await source.records.get(stateKind, keys, { signal })
  return { checkpoint, place, states: found.map((record) => ({ state: record?.value })) }
}

function openPartition(
  n: number,
  { work, module }: Loaded,
  options: AnyOptions,
  { partitions }: ProcessSettings,
  before: { readonly state: unknown } | undefined,
): Partition {
  const { data, signal } = options
  const context: PartitionContext = { partition: n, partitions, data, signal }
  if (module === undefined) return partitionHere(work, context, before)
  const job = { module: module.href, partition: n, partitions, data, before }
  return new ThreadPartition(job)
}

/**
 * Works through the log in several partitions at a time: the events of a stream (or of another
 * key, as `by` says) go to one partition, in log order. The work is a handler, a fold that makes
 * a state, or a module with one of them, which then runs in threads of its own. It ends at the
 * safe position as it was at the beginning. A few pages of events are in memory at a time.
 *
 * With `resume` it may be broken off at any moment and goes on behind its last checkpoint: a fold
 * takes each event once, since its states are kept with the checkpoint; a handler gets each event
 * at least once.
 *
 * Throws InvalidArgumentError, LogChangedError, RecordConflictError (the same name is worked on
 * twice at a time), DataNotJsonError (a state to be kept is none that JSON carries),
 * WorkerFailedError (in threads), and what the work throws.
 *
 * @example
 * ```ts
 * import { openStore, processAll } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * await store.append('order-1', { type: 'OrderPlaced', data: { total: 30 } })
 * const { state } = await processAll(store, {
 *   work: {
 *     initial: () => 0,
 *     evolve: (sum: number, { data }) => sum + (data as { total: number }).total,
 *     merge: (one: number, other: number) => one + other,
 *   },
 * })
 * console.log(state) // 30
 * ```
 */
export async function processAll<S = unknown>(
  store: PortOrStore<EventStore>,
  options: ProcessOptions<S>,
): Promise<ProcessResult<S>> {
  // Here nobody looks into a state.
  const asked = options as unknown as AnyOptions
  const settings = processSettings(asked)
  assertReplayOptions(replayOptions(asked))
  const source = portOf(store)
  const work = await loaded(asked)
  const start = await startOf(source, asked, settings, work.work)
  const pages = await replayPages(source, replayOptions(asked), start.place)
  const queues: PartitionQueue[] = []
  try {
    for (let n = 0; n < settings.partitions; n++) {
      const before = start.states?.[n]
      queues.push(new PartitionQueue(openPartition(n, work, asked, settings, before)))
    }
    const run = new ProcessRun(pages, queues, start, asked, settings, work.work)
    return (await run.go()) as ProcessResult<S>
  } finally {
    await closed(queues, options.clock ?? systemClock)
  }
}

/** Ends all partitions; a handler that never ends is left behind. */
async function closed(queues: readonly PartitionQueue[], clock: Clock): Promise<void> {
  const over = new AbortController()
  const late = sleep(clock, STOP_MS, over.signal).catch(() => {})
  await Promise.race([Promise.all(queues.map((queue) => queue.close())), late])
  over.abort()
}

/** The run was told to stop, and what was under way did not end in time. */
const gaveUp: unique symbol = Symbol('gave up')

class ProcessRun {
  readonly #pages: ReplayPages
  readonly #queues: readonly PartitionQueue[]
  readonly #checkpoint: ReplayCheckpoint | undefined
  readonly #options: AnyOptions
  readonly #settings: ProcessSettings
  readonly #work: Loaded['work']
  readonly #clock: Clock
  readonly #random: Random
  readonly #keyOf: (event: RecordedEvent) => string
  readonly #startedMs: number
  readonly #startPosition: number
  #place: ReplayPlace
  /** Everything at or below it is done, and its states are kept where there is a name. */
  #done: ReplayPlace
  #handed = 0
  #handedAtSave = 0

  constructor(
    pages: ReplayPages,
    queues: readonly PartitionQueue[],
    { checkpoint, place }: Start,
    options: AnyOptions,
    settings: ProcessSettings,
    work: Loaded['work'],
  ) {
    const { clock = systemClock, random = systemRandom, by = 'stream' } = options
    this.#pages = pages
    this.#queues = queues
    this.#checkpoint = checkpoint
    this.#options = options
    this.#settings = settings
    this.#work = work
    this.#clock = clock
    this.#random = random
    this.#keyOf = keyBy(by).keyOf
    this.#startedMs = clock.monotonic()
    this.#startPosition = place.position
    this.#place = place
    this.#done = place
  }

  async go(): Promise<ProcessResult> {
    let page = this.#read(this.#place)
    try {
      while (!this.#isStopped) {
        const { events, place } = await page
        if (events.length === 0) {
          this.#place = place
          await this.#save()
          return await this.#result()
        }
        // Read while this page is worked on. A failure is met when its turn has come.
        page = this.#read(place)
        page.catch(() => {})
        await this.#untilGivenUp(this.#handOut(events))
        this.#place = place
        this.#handed += events.length
        this.#report()
        if (this.#handed - this.#handedAtSave >= this.#settings.checkpointEvery) await this.#save()
      }
    } catch (error) {
      if (error === gaveUp) return { ...this.#counts(), stopped: true }
      // The signal ends a read by an error.
      if (!this.#isStopped || error !== this.#options.signal?.reason) throw error
    } finally {
      // The look ahead must not outlive the run.
      await page.catch(() => {})
    }
    return this.#stopped()
  }

  /** Keeps what is done by now, unless it does not end. */
  async #stopped(): Promise<ProcessResult> {
    try {
      await this.#save()
      return { ...(await this.#result()), stopped: true }
    } catch (error) {
      if (error !== gaveUp) throw error
      return { ...this.#counts(), stopped: true }
    }
  }

  get #isStopped(): boolean {
    return this.#options.signal?.aborted === true
  }

  /** Several tries, so that a connection lost for a moment does not end a long run. */
  #patiently<T>(work: () => Promise<T>): Promise<T> {
    const sources = { clock: this.#clock, random: this.#random }
    return retry(work, { policy: storageRetryPolicy, retryable: isPassing, ...sources })
  }

  #read(place: ReplayPlace): ReturnType<ReplayPages['next']> {
    const { partitions, maxBatch } = this.#settings
    const count = Math.min(PAGE_COUNT_MAX, partitions * maxBatch * BATCHES_OF_PAGE)
    const { signal } = this.#options
    return this.#patiently(() => this.#pages.next(place, count, { signal }))
  }

  /** All of a page or, when a partition fails, an error: nothing of it is half handed out. */
  async #handOut(events: readonly RecordedEvent[]): Promise<void> {
    const { partitions, maxBatch } = this.#settings
    const { decode } = this.#options
    const parts: RecordedEvent[][] = Array.from({ length: partitions }, () => [])
    for (const event of events) {
      parts[partitionOf(this.#keyOf(event), partitions)]?.push(decode?.(event) ?? event)
    }
    const pushed = parts.map(async (part, n) => {
      for (let at = 0; at < part.length; at += maxBatch) {
        await this.#queues[n]?.push(part.slice(at, at + maxBatch))
      }
    })
    await Promise.all(pushed)
  }

  /** Waits for it; once the run is to stop, not for long. */
  async #untilGivenUp(work: Promise<unknown>): Promise<void> {
    const { signal } = this.#options
    const over = new AbortController()
    const stopping = new Promise<void>((resolve) => {
      if (signal?.aborted === true) resolve()
      else signal?.addEventListener('abort', () => resolve(), { once: true, signal: over.signal })
    })
    const late = stopping.then(() => sleep(this.#clock, STOP_MS, over.signal))
    const lost = late.then(
      () => {
        throw gaveUp
      },
      () => {},
    )
    try {
      await Promise.race([work, signal === undefined ? work : lost])
    } finally {
      over.abort()
      work.catch(() => {})
      lost.catch(() => {})
    }
  }

  /** Waits until all that was handed out is done, and keeps that. */
  async #save(): Promise<void> {
    await this.#untilGivenUp(Promise.all(this.#queues.map((queue) => queue.drain())))
    const count = this.#handed - this.#handedAtSave
    const isNew = this.#place.position !== this.#done.position
    if (this.#checkpoint !== undefined && isNew) {
      const states = isFold(this.#work) ? await this.#states() : undefined
      const keep = states && ((tx: StoreTransaction) => this.#keep(tx, states))
      const commit = () =>
        this.#checkpoint?.commit(this.#place, count, TRANSACTION_TIMEOUT_MS, keep)
      await this.#patiently(async () => commit())
    }
    this.#done = this.#place
    this.#handedAtSave = this.#handed
  }

  async #keep(tx: StoreTransaction, states: readonly unknown[]): Promise<void> {
    const { name } = this.#options.resume as { readonly name: string }
    const keys = stateKeys(name, states.length)
    const values = states.map((state) => JSON.parse(jsonTextOf(state, 'state')))
    await tx.records.write(
      keys.map((key, n) => ({ kind: stateKind, key, expected: 'any', value: values[n] })),
    )
  }

  #states(): Promise<readonly unknown[]> {
    return Promise.all(this.#queues.map((queue) => queue.state()))
  }

  #report(): void {
    const spentMs = this.#clock.monotonic() - this.#startedMs
    const { upTo } = this.#pages
    const { position } = this.#place
    const covered = position - this.#startPosition
    const etaMs = covered > 0 ? (spentMs / covered) * Math.max(0, upTo - position) : undefined
    this.#options.onProgress?.({ done: this.#handed, position, upTo, etaMs })
  }

  #counts(): ProcessResult {
    const byPartition = this.#queues.map(({ events }) => events)
    return {
      events: byPartition.reduce((sum, count) => sum + count, 0),
      byPartition,
      position: this.#done.position,
      seconds: (this.#clock.monotonic() - this.#startedMs) / 1000,
    }
  }

  /** With the states of a fold, when all that was handed out is done. */
  async #result(): Promise<ProcessResult> {
    const result = this.#counts()
    if (!isFold(this.#work)) return result
    const { merge } = this.#work
    const states = await this.#states()
    return merge === undefined
      ? { ...result, states }
      : { ...result, states, state: states.reduce((one, other) => merge(one, other)) }
  }
}
