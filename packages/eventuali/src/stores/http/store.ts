import { isEventualiError, systemClock, systemRandom } from '../../kernel/index.ts'
import {
  CapabilityError,
  ConnectionError,
  ReadOnlyStoreError,
  StoreClosedError,
  type StreamInfo,
} from '../../model/index.ts'
import type {
  CallOptions,
  EventStore,
  InlineProjection,
  LogPositions,
  ModelReads,
  PositionsOptions,
  ReadOptions,
  RecordReads,
  StorageFault,
  StoreCapabilities,
  StoreTransaction,
  StreamAccess,
  StreamsQuery,
} from '../../ports/index.ts'
import { CallLane } from './call-lane.ts'
import { type Call, modelReads, recordReads, streamAccess } from './calls.ts'
import { Connection } from './connection.ts'
import type { CallKind } from './failures.ts'
import { manifest } from './manifest.ts'
import { baseOf, concurrencyOf, type HttpStoreOptions } from './options.ts'
import { runTransaction } from './transaction.ts'
import { Watch } from './watch.ts'
import { infoFrom, type WireInfo } from './wire.ts'

/** The version of the port's own group of endpoints that this client speaks. */
const PROTOCOL = 1

/**
 * Opens the store behind a server. It keeps the laws of the port that its manifest does not deny;
 * transactions are open on the server while they run, which bounds them in time.
 *
 * Throws StoreUrlError, ConnectionError, and what the server says of the token: errors with the
 * code UNAUTHENTICATED or ACCESS_DENIED.
 *
 * @example
 * ```ts
 * import { openHttpStore } from 'eventuali/client'
 *
 * const url = 'http://localhost:1' // where a server would be
 * await openHttpStore({ url, token: 'my key' }).catch((error) => console.log(error.code))
 * ```
 */
export async function openHttpStore(options: HttpStoreOptions): Promise<EventStore> {
  const connection = new Connection(baseOf(options.url), options.clock ?? systemClock, options)
  const concurrency = concurrencyOf(options)
  const hello = await connection.call('v1/port', undefined, 'read', 'the server', {
    timeoutMs: options.timeoutMs,
  })
  const { protocol, incarnation, durable } = (hello ?? {}) as {
    readonly protocol?: number
    readonly incarnation?: string
    readonly durable?: boolean
  }
  if (protocol !== PROTOCOL || typeof incarnation !== 'string') {
    throw new ConnectionError(
      protocol === undefined
        ? `${options.url} does not answer like an Eventuali server`
        : `the server speaks version ${protocol} of the port, this library ${PROTOCOL}; upgrade the older one`,
    )
  }
  connection.incarnation = incarnation
  const capabilities = { ...manifest.capabilities, durable: durable === true }
  const watch = new Watch(connection, options.random ?? systemRandom)
  const isReadOnly = options.readOnly === true
  return new HttpStore(connection, { capabilities, incarnation, watch, concurrency, isReadOnly })
}

interface HttpParts {
  readonly capabilities: StoreCapabilities
  readonly incarnation: string
  readonly watch: Watch
  readonly concurrency: number
  readonly isReadOnly: boolean
}

class HttpStore implements EventStore {
  readonly adapter = 'http'
  readonly capabilities: StoreCapabilities
  readonly incarnation: string
  readonly records: RecordReads
  readonly models: ModelReads
  readonly readStream: EventStore['readStream']
  readonly readLog: EventStore['readLog']
  readonly eventById: EventStore['eventById']
  readonly stream: EventStore['stream']
  readonly #access: StreamAccess
  readonly #connection: Connection
  readonly #watch: Watch
  readonly #isReadOnly: boolean
  readonly #reads: CallLane
  readonly #writes: CallLane
  readonly #transactions: CallLane
  readonly #inFlight = new Set<Promise<unknown>>()
  #closed = false

  constructor(
    connection: Connection,
    { capabilities, incarnation, watch, concurrency, isReadOnly }: HttpParts,
  ) {
    this.capabilities = capabilities
    this.incarnation = incarnation
    this.#connection = connection
    this.#watch = watch
    this.#isReadOnly = isReadOnly
    // Apart: what waits for a transaction must not keep those waiting that the transaction needs.
    this.#reads = new CallLane(concurrency)
    this.#writes = new CallLane(concurrency)
    this.#transactions = new CallLane(concurrency)
    this.#access = streamAccess(this.#call)
    this.readStream = this.#access.readStream
    this.readLog = this.#access.readLog
    this.eventById = this.#access.eventById
    this.stream = this.#access.stream
    this.records = recordReads(this.#call)
    this.models = modelReads(this.#call)
  }

  readonly #call: Call = (name, input, kind, options, text) => {
    this.#assertUsable(kind)
    const { timeoutMs, signal, fresh } = options ?? {}
    signal?.throwIfAborted()
    const lane = kind === 'read' ? this.#reads : this.#writes
    const bounds = JSON.stringify({ timeoutMs, fresh })
    const body = `{"input":${text ?? JSON.stringify(input)},"options":${bounds}}`
    const send = () =>
      this.#connection.call(`v1/port/${name}`, body, kind, name, { signal, timeoutMs })
    return this.#track(lane.run(send, signal))
  }

  async append(...[request, options]: Parameters<EventStore['append']>) {
    const outcome = await this.#access.append(request, options)
    if (outcome.ok) this.#watch.notify()
    return outcome
  }

  async transaction<T>(
    work: (tx: StoreTransaction) => Promise<T>,
    options: CallOptions = {},
  ): Promise<T> {
    this.#assertUsable('write')
    options.signal?.throwIfAborted()
    const run = () => runTransaction(this.#connection, work, options)
    const value = await this.#track(this.#transactions.run(run, options.signal))
    this.#watch.notify()
    return value
  }

  join(_client: unknown): StoreTransaction {
    throw new CapabilityError('http', 'within', manifest.denied.within ?? '')
  }

  async inlineProjections(options?: CallOptions): Promise<readonly InlineProjection[]> {
    return (await this.#call('inline.list', {}, 'read', options)) as readonly InlineProjection[]
  }

  async positions(options?: PositionsOptions): Promise<LogPositions> {
    const input = { publish: options?.publish }
    return (await this.#call('positions', input, 'read', options)) as LogPositions
  }

  async *streams(
    query: StreamsQuery,
    options?: ReadOptions,
  ): AsyncGenerator<readonly StreamInfo[], void, void> {
    let { after, limit } = query
    for (;;) {
      const answer = await this.#call('streams', { ...query, after, limit }, 'read', options)
      const { streams, more } = answer as {
        readonly streams: readonly WireInfo[]
        readonly more: boolean
      }
      if (streams.length === 0) return
      yield streams.map(infoFrom)
      if (!more) return
      after = streams.at(-1)?.stream
      limit = limit === undefined ? undefined : limit - streams.length
    }
  }

  watch(listener: () => void): () => void {
    return this.#watch.add(listener)
  }

  async settings(): Promise<Readonly<Record<string, string>>> {
    return (await this.#call('settings', {}, 'read')) as Readonly<Record<string, string>>
  }

  async *faults(options?: CallOptions): AsyncGenerator<StorageFault, void, void> {
    yield* (await this.#call('faults', {}, 'read', options)) as readonly StorageFault[]
  }

  async view(): Promise<never> {
    throw new CapabilityError('http', 'backup', manifest.denied.backup ?? '')
  }

  async fork(): Promise<never> {
    throw new CapabilityError('http', 'fork', manifest.denied.fork ?? '')
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#watch.close()
    await Promise.allSettled([...this.#inFlight])
  }

  #assertUsable(kind: CallKind): void {
    if (this.#closed) throw new StoreClosedError()
    if (kind === 'read' || !this.#isReadOnly) return
    throw new ReadOnlyStoreError('it was opened with readOnly; open it without')
  }

  async #track<T>(running: Promise<T>): Promise<T> {
    this.#inFlight.add(running)
    try {
      return await running
    } catch (error) {
      // The server's store, not this one: whoever opened it here may go on once it is back.
      if (isEventualiError(error, 'STORE_CLOSED') && !this.#closed) {
        throw new ConnectionError('the server is closing', { cause: error })
      }
      throw error
    } finally {
      this.#inFlight.delete(running)
    }
  }
}
