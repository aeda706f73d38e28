import type { RetryPolicy } from '../kernel/index.ts'
import { InvalidArgumentError, type RecordedEvent } from '../model/index.ts'
import type { CallOptions, EventStore, StoreTransaction } from '../ports/index.ts'
import { startConsumer } from './consumer/consumer.ts'
import type { Worker } from './consumer/worker.ts'
import type {
  Consumer,
  ConsumerBatch,
  ConsumerOptions,
  ConsumerRuntime,
  ConsumerState,
  PartitionInfo,
  PoisonMode,
} from './consumer-options.ts'
import { type FeedFilter, type FilterWords, filterOf, positionOf } from './feed.ts'
import { Handover } from './handover.ts'
import { keyAsRead, keyBy, type PartitionBy } from './ledger/key-hash.ts'

/** What a durable handler gets beside the events. `T` is the transaction as the handler sees it. */
export interface DurableContext<T> {
  /** Aborted when the subscription stops or gives the partition away. */
  readonly signal: AbortSignal
  /** Position of the (last) event at hand. */
  readonly position: number
  /** Number of the partition, from 0. */
  readonly partition: number
  /** 0 at first; grows with every try of the same event. */
  readonly attempt: number
  /** True for dead letters that are handled again. */
  readonly retried: boolean
  /** With `transactional`: what is done in it is done exactly once, with the checkpoint. */
  readonly tx: T | undefined
}

/** One event at a time, or many at once: `{ batch, maxBatch }`. */
export type DurableHandler<E, T> =
  | ((event: E, context: DurableContext<T>) => unknown)
  | {
      readonly batch: (events: readonly E[], context: DurableContext<T>) => unknown
      /** Events in one call, at most; 1,000 when left out, 200 in transactions. */
      readonly maxBatch?: number
    }

/** Options of a subscription that the store remembers by its name. */
export interface DurableOptions extends Omit<FeedFilter, 'after'>, FilterWords {
  /** Programs that use the same name share the work. At most 200 characters. */
  readonly name: string
  /** Where a new one starts: after a position (0 when left out), or with what comes from now. */
  readonly after?: number | 'end' | undefined
  /**
   * Without it one program handles everything and the others stand by. With it they share the
   * partitions (64 when left out); the order of events is kept for each key, the stream when left
   * out. The count is that of the first start, see `store.subscriptions.repartition`.
   */
  readonly group?:
    | true
    | { readonly partitions?: number | undefined; readonly by?: PartitionBy | undefined }
    | undefined
  /** Runs the handler in the transaction that moves the checkpoint. */
  readonly transactional?: boolean | undefined
  /** For handlers that fail; 5 more tries, from 100 ms to 10 s apart, when left out. */
  readonly retry?: Partial<RetryPolicy> | undefined
  /** What becomes of an event that fails for good; `park-key` when left out. */
  readonly onPoison?: PoisonMode | undefined
  /** Partitions that this program handles at the same time; 8 when left out. */
  readonly concurrency?: number | undefined
  /** A look at the log, the leases and the dead letters at least this often; 1,000 ms. */
  readonly pollIntervalMs?: number | undefined
  /** Stops the subscription when aborted. */
  readonly signal?: AbortSignal | undefined
}

/** What a durable subscription runs on. */
export interface DurableRuntime<E, T> extends ConsumerRuntime {
  /** From recorded events to what the handler sees (decoding by definition). */
  readonly map: (events: readonly RecordedEvent[]) => readonly E[]
  /** From the port's transaction to what the handler sees. */
  readonly wrap: (tx: StoreTransaction) => T
  /** Bound of each transaction. */
  readonly timeoutMs: number
  readonly onEnd: () => void
}

const GROUP_PARTITIONS = 64
const CONCURRENCY = 8
const POLL_INTERVAL_MS = 1000
const BATCH_MAX = 1000
const TRANSACTION_BATCH_MAX = 200
const RETRY: RetryPolicy = { retryCountMax: 5, firstDelayMs: 100, delayMaxMs: 10_000 }

/**
 * A subscription that the store remembers by its name: it goes on where it was, whichever program
 * runs it, and several programs may share the work. With a handler it runs by itself; without one,
 * iterate over it: an event counts as done when the next one is asked for.
 *
 * An event that a handler cannot cope with is parked as a dead letter (or stops its partition) and
 * does not end the subscription, and neither do lost connections or a busy database. It ends by
 * `stop()`, or with `state` `failed` when its checkpoint does not belong to this log.
 *
 * @example
 * ```ts
 * import { type DurableSubscription, openStore } from 'eventuali'
 *
 * const store = await openStore('memory:')
 * await store.append('order-1', { type: 'OrderPlaced', data: {} })
 * const options = { name: 'mailer', types: ['OrderPlaced'] }
 * const mailer: DurableSubscription = store.subscribe(options, (event) => {
 *   console.log('mail for', event.stream)
 * })
 * await mailer.reached(1)
 * await store.close()
 * ```
 */
export class DurableSubscription<E = RecordedEvent, T = StoreTransaction>
  implements AsyncIterable<E>, AsyncDisposable
{
  readonly name: string
  /** Settles when it has ended: resolves after a stop, rejects after a failure. */
  readonly done: Promise<void>
  readonly #settle = Promise.withResolvers<void>()
  readonly #start: () => Consumer
  readonly #handover: Handover<E> | undefined
  readonly #onEnd: () => void
  readonly #outer: AbortSignal | undefined
  #consumer: Consumer | undefined
  #pausedEarly = false
  #ended = false

  constructor(
    port: EventStore,
    worker: Worker,
    options: DurableOptions,
    handler: DurableHandler<E, T> | undefined,
    runtime: DurableRuntime<E, T>,
  ) {
    if (handler === undefined && options.transactional === true) {
      throw new InvalidArgumentError('transactional', 'needs a handler to run in the transaction')
    }
    this.name = options.name
    this.done = this.#settle.promise
    this.done.catch(() => {})
    this.#onEnd = runtime.onEnd
    this.#outer = options.signal
    this.#handover = handler === undefined ? new Handover() : undefined
    const handle = handlerOf(handler ?? this.#handover?.take ?? (() => {}), runtime)
    const consumerOptions = consumerOptionsOf(
      options,
      maxBatchOf(handler, options),
      handle,
      runtime,
    )
    this.#start = () => startConsumer(port, worker, consumerOptions, runtime)
    if (this.#outer?.aborted) this.#end()
    else this.#outer?.addEventListener('abort', this.#onAbort)
    if (handler !== undefined && !this.#ended) this.#run()
  }

  readonly #onAbort = (): void => {
    void this.stop()
  }

  /** What it is doing now; see `ConsumerState`. */
  get state(): ConsumerState {
    if (this.#consumer !== undefined) return this.#consumer.state
    if (this.#ended) return 'stopped'
    return this.#pausedEarly ? 'paused' : 'catching-up'
  }

  /** Everything at or below it is done, in all partitions, as far as this program knows. */
  get position(): number {
    return this.#consumer?.position ?? 0
  }

  /** What it waits for, failed with, or what stopped one of its partitions. */
  get error(): unknown {
    return this.#consumer?.error
  }

  /** Why it is paused, waits or failed, in words. */
  get reason(): string | undefined {
    return this.#consumer?.reason
  }

  /** All partitions with their owners and positions. */
  partitions(): readonly PartitionInfo[] {
    return this.#consumer?.partitions() ?? []
  }

  /** Resolves once everything up to `position` is done; OperationTimeoutError otherwise. */
  async reached(position: number, options: CallOptions = {}): Promise<void> {
    if (this.#consumer === undefined) {
      throw new InvalidArgumentError('subscription', 'has not been started by a loop over it')
    }
    await this.#consumer.reached(position, options)
  }

  /** Holds this program's deliveries after the batch in hand. */
  pause(): void {
    this.#pausedEarly = true
    this.#consumer?.pause()
  }

  /** Goes on after `pause`. */
  resume(): void {
    this.#pausedEarly = false
    this.#consumer?.resume()
  }

  /** Stops, waits for the handler at work, and lets others take over at once. */
  async stop(): Promise<void> {
    if (this.#consumer === undefined) this.#end()
    await this.#consumer?.stop()
    await this.done.catch(() => {})
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async *[Symbol.asyncIterator](): AsyncIterator<E> {
    const handover = this.#handover
    if (handover === undefined || this.#consumer !== undefined) {
      throw new InvalidArgumentError(
        'subscription',
        'is consumed already, by its handler or by another loop; subscribe again',
      )
    }
    if (this.#ended) return
    const consumer = this.#run()
    try {
      for (;;) {
        const offer = await handover.next()
        if (offer === undefined) break
        yield offer.event
        offer.done()
      }
      await consumer.done
    } finally {
      await this.stop()
    }
  }

  #run(): Consumer {
    const consumer = this.#start()
    this.#consumer = consumer
    if (this.#pausedEarly) consumer.pause()
    consumer.done.then(
      () => this.#end(),
      (error) => this.#end({ error }),
    )
    return consumer
  }

  #end(failure?: { readonly error: unknown }): void {
    if (this.#ended) return
    this.#ended = true
    this.#outer?.removeEventListener('abort', this.#onAbort)
    this.#handover?.end()
    if (failure === undefined) this.#settle.resolve()
    else this.#settle.reject(failure.error)
    this.#onEnd()
  }
}

function maxBatchOf<E, T>(
  handler: DurableHandler<E, T> | undefined,
  { transactional }: DurableOptions,
): number {
  const most = transactional === true ? TRANSACTION_BATCH_MAX : BATCH_MAX
  return typeof handler === 'object' ? (handler.maxBatch ?? most) : most
}

/** A function is asked about events as the handler sees them. */
function asRead<E, T>(by: PartitionBy, map: DurableRuntime<E, T>['map']): PartitionBy {
  if (by === 'stream') return by
  if (typeof by !== 'object' || by === null) {
    throw new InvalidArgumentError('group.by', "must be 'stream', a tag or a key")
  }
  if (!('key' in by)) return by
  const { name, key } = by
  return { name, key: keyAsRead(map as (events: readonly RecordedEvent[]) => never[], key) }
}

function consumerOptionsOf<E, T>(
  options: DurableOptions,
  maxBatch: number,
  handle: ConsumerOptions['handle'],
  { timeoutMs, map }: DurableRuntime<E, T>,
): ConsumerOptions {
  const { group } = options
  if (group !== undefined && group !== true && (typeof group !== 'object' || group === null)) {
    throw new InvalidArgumentError('group', 'must be true or an object')
  }
  const shared = group === true ? {} : group
  const partitions = shared === undefined ? 1 : (shared.partitions ?? GROUP_PARTITIONS)
  return {
    name: options.name,
    filter: filterOf(options),
    after: options.after ?? 0,
    partitions,
    ...keyBy(asRead(shared?.by ?? 'stream', map)),
    maxBatch,
    transactional: options.transactional ?? false,
    handle,
    retry: { ...RETRY, ...options.retry },
    onPoison: options.onPoison ?? 'park-key',
    concurrency: options.concurrency ?? CONCURRENCY,
    pollIntervalMs: options.pollIntervalMs ?? POLL_INTERVAL_MS,
    timeoutMs,
  }
}

/** The handler in the shape of a consumer, telling after each event how far it has come. */
function handlerOf<E, T>(
  handler: DurableHandler<E, T>,
  { map, wrap }: DurableRuntime<E, T>,
): ConsumerOptions['handle'] {
  const contextOf = ({ signal, partition, attempt, retried, tx }: ConsumerBatch) => ({
    ...{ signal, partition, attempt, retried },
    tx: tx === undefined ? undefined : wrap(tx),
  })
  if (typeof handler !== 'function') {
    return async (batch) => {
      const { position } = batch
      const events = map(batch.events)
      // Upcasters may have left nothing of them.
      if (events.length > 0) await handler.batch(events, { ...contextOf(batch), position })
    }
  }
  return async (batch) => {
    const context = contextOf(batch)
    const events = map(batch.events)
    for (let i = 0; i < events.length; i++) {
      const position = positionOf(events[i]) ?? batch.position
      batch.signal.throwIfAborted()
      const result = handler(events[i] as E, { ...context, position })
      // A handler that returns no promise costs no turn of the event loop.
      if (result instanceof Promise) await result
      // Several may stand in the place of one stored event: it is done with the last of them.
      if (positionOf(events[i + 1]) !== position) batch.progress(position)
    }
  }
}
