import {
  type Clock,
  type IdSource,
  type Random,
  systemClock,
  systemRandom,
  uuidV7Source,
} from '../../kernel/index.ts'
import {
  type BodyEncoder,
  bodyEncoder,
  CapabilityError,
  type CodecOptions,
  decodeRow,
  type RecordedEvent,
  rowIsIntact,
  StoreClosedError,
  type StreamInfo,
} from '../../model/index.ts'
import type {
  AppendOutcome,
  AppendRequest,
  CallOptions,
  EventStore,
  InlineProjection,
  LogPositions,
  LogQuery,
  ModelReads,
  RecordReads,
  StorageFault,
  StoreCapabilities,
  StoreTransaction,
  StoreView,
  StreamQuery,
  StreamsQuery,
} from '../../ports/index.ts'
import { applyAppend, encodeRequest } from './append.ts'
import { infoOf, MemoryLog, type MemoryStream } from './log.ts'
import { manifest } from './manifest.ts'
import { modelReads } from './models.ts'
import { logPages, selectNames, streamPages } from './read.ts'
import { ReadSide } from './read-side.ts'
import { allRecords, recordReads } from './records.ts'
import { MemoryTransaction, runBounded } from './transaction.ts'
import { WriterTurn } from './turn.ts'
import { viewOf } from './view.ts'

const namesPageSize = 500
const transactionTimeoutMsDefault = 30_000

/** Where the store takes time, chance and ids from; the machine's own when left out. */
export interface MemoryStoreOptions {
  readonly clock?: Clock
  readonly random?: Random
  readonly ids?: IdSource
  /** How the data of events is stored; JSON text when left out. */
  readonly codec?: CodecOptions | undefined
}

/**
 * Opens an empty store in memory. It keeps every law of the port except durability, and ends with
 * the process.
 *
 * @example
 * ```ts
 * import { openStore, seededRandom } from 'eventuali'
 * import { manualClock, openMemoryStore } from 'eventuali/testing'
 *
 * const clock = manualClock()
 * const port = await openMemoryStore({ clock, random: seededRandom(7) })
 * await using store = await openStore(port, { clock })
 * await store.append('cart-1', [{ type: 'ItemAdded', data: { sku: 'tea' } }])
 * ```
 */
export async function openMemoryStore(options: MemoryStoreOptions = {}): Promise<EventStore> {
  const clock = options.clock ?? systemClock
  const ids = options.ids ?? uuidV7Source(clock, options.random ?? systemRandom)
  return new MemoryStore(clock, ids.next(), bodyEncoder(options.codec))
}

class MemoryStore implements EventStore {
  readonly adapter = 'memory'
  readonly capabilities: StoreCapabilities = manifest.capabilities
  readonly incarnation: string
  readonly records: RecordReads
  readonly models: ModelReads
  readonly #clock: Clock
  readonly #encoder: BodyEncoder | undefined
  readonly #turn: WriterTurn
  readonly #listeners = new Set<() => void>()
  readonly #inFlight = new Set<Promise<unknown>>()
  readonly #side = new ReadSide()
  #log = new MemoryLog()
  #closed = false

  constructor(clock: Clock, incarnation: string, encoder: BodyEncoder | undefined) {
    this.#clock = clock
    this.#encoder = encoder
    this.#turn = new WriterTurn(clock)
    this.incarnation = incarnation
    const open = (options: CallOptions = {}) => {
      this.#assertUsable(options)
      return this.#side
    }
    this.records = recordReads(open)
    this.models = modelReads(open)
  }

  async inlineProjections(options: CallOptions = {}): Promise<readonly InlineProjection[]> {
    this.#assertUsable(options)
    return [...this.#side.inline.values()]
  }

  append(request: AppendRequest, options: CallOptions = {}): Promise<AppendOutcome> {
    return this.#track(async () => {
      const encoded = encodeRequest(request, this.#encoder)
      await this.#turn.enter('append', options)
      try {
        const state = { log: this.#log, inline: this.#side.inline }
        const outcome = applyAppend(state, encoded, this.#clock.now())
        if (outcome.ok) this.#notify()
        return outcome
      } finally {
        this.#turn.leave()
      }
    })
  }

  transaction<T>(
    work: (tx: StoreTransaction) => Promise<T>,
    options: CallOptions = {},
  ): Promise<T> {
    return this.#track(async () => {
      const timeoutMs = options.timeoutMs ?? transactionTimeoutMsDefault
      await this.#turn.enter('transaction', { ...options, timeoutMs })
      const tx = new MemoryTransaction(this.#log, this.#side, this.#clock, this.#encoder)
      try {
        const bounds = { clock: this.#clock, timeoutMs, signal: options.signal }
        const result = await runBounded(() => work(tx), bounds)
        const { lastPosition } = this.#log
        this.#log = tx.commit()
        if (this.#log.lastPosition > lastPosition) this.#notify()
        return result
      } finally {
        tx.end()
        this.#turn.leave()
      }
    })
  }

  join(_client: unknown): StoreTransaction {
    throw new CapabilityError('memory', 'within', manifest.denied.within ?? '')
  }

  async *readStream(
    query: StreamQuery,
    options: CallOptions = {},
  ): AsyncGenerator<readonly RecordedEvent[]> {
    yield* this.#guard(
      streamPages(() => this.#log, query),
      options,
    )
  }

  async *readLog(
    query: LogQuery,
    options: CallOptions = {},
  ): AsyncGenerator<readonly RecordedEvent[]> {
    yield* this.#guard(
      logPages(() => this.#log, query),
      options,
    )
  }

  async eventById(
    stream: string,
    id: string,
    options: CallOptions = {},
  ): Promise<RecordedEvent | undefined> {
    this.#assertUsable(options)
    const row = this.#log.stream(stream)?.ids.get(id)
    return row === undefined ? undefined : decodeRow(row)
  }

  async stream(name: string, options: CallOptions = {}): Promise<StreamInfo | undefined> {
    this.#assertUsable(options)
    const found = this.#log.stream(name)
    return found === undefined ? undefined : infoOf(found)
  }

  async positions(options: CallOptions = {}): Promise<LogPositions> {
    this.#assertUsable(options)
    return { safe: this.#log.lastPosition, newest: this.#log.lastPosition }
  }

  async *streams(
    query: StreamsQuery,
    options: CallOptions = {},
  ): AsyncGenerator<readonly StreamInfo[]> {
    this.#assertUsable(options)
    const names = selectNames(this.#log, query)
    for (let start = 0; start < names.length; start += namesPageSize) {
      this.#assertUsable(options)
      const page = names.slice(start, start + namesPageSize)
      yield page.map((name) => infoOf(this.#log.stream(name) as MemoryStream))
    }
  }

  watch(listener: () => void): () => void {
    // A wrapper of its own, so that the same function may watch twice.
    const entry = () => listener()
    this.#listeners.add(entry)
    return () => {
      this.#listeners.delete(entry)
    }
  }

  async settings(): Promise<Readonly<Record<string, string>>> {
    return { durability: 'none' }
  }

  async *faults(options: CallOptions = {}): AsyncGenerator<StorageFault> {
    this.#assertUsable(options)
    for (const row of this.#log.rows) {
      if (rowIsIntact(row)) continue
      const { position, stream } = row
      yield { kind: 'checksum', position, stream, reason: 'its body cannot be read' }
    }
  }

  async fork(): Promise<never> {
    throw new CapabilityError('memory', 'fork', manifest.denied.fork ?? '')
  }

  async view<T>(work: (view: StoreView) => Promise<T>, options: CallOptions = {}): Promise<T> {
    this.#assertUsable(options)
    const timeoutMs = options.timeoutMs ?? transactionTimeoutMsDefault
    const bounds = { clock: this.#clock, timeoutMs, signal: options.signal }
    const view = viewOf(this.#log, allRecords(this.#side))
    return this.#track(() => runBounded(() => work(view), bounds))
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled([...this.#inFlight])
    this.#listeners.clear()
  }

  #assertUsable(options: CallOptions): void {
    if (this.#closed) throw new StoreClosedError()
    options.signal?.throwIfAborted()
  }

  async *#guard<T>(pages: AsyncGenerator<T>, options: CallOptions): AsyncGenerator<T> {
    this.#assertUsable(options)
    for await (const page of pages) {
      yield page
      this.#assertUsable(options)
    }
  }

  async #track<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new StoreClosedError()
    const running = work()
    this.#inFlight.add(running)
    try {
      return await running
    } finally {
      this.#inFlight.delete(running)
    }
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener()
      } catch {
        // The append is done; what a listener does with the hint cannot undo it.
      }
    }
  }
}
