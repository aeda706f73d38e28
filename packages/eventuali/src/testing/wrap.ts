import type { RecordedEvent, StreamInfo } from '../model/index.ts'
import type {
  AppendOutcome,
  AppendRequest,
  CallOptions,
  EventStore,
  ForkOutcome,
  ForkRequest,
  InlineAccess,
  InlineProjection,
  LogPositions,
  LogQuery,
  ModelAccess,
  ModelReads,
  RecodeRequest,
  RecodeStep,
  RecordAccess,
  RecordReads,
  RestoreRequest,
  StoreTransaction,
  StoreView,
  StreamAccess,
  StreamQuery,
} from '../ports/index.ts'
import { type Around, type PortHooks, wrapPort } from './wrap-port.ts'

type Pages<T> = AsyncIterable<readonly T[]>

/** Stands in for calls; `next` is what lies below: the store, or one of its transactions. */
export interface StoreHooks {
  append?(
    next: StreamAccess,
    request: AppendRequest,
    options: CallOptions | undefined,
  ): Promise<AppendOutcome>
  readStream?(
    next: StreamAccess,
    query: StreamQuery,
    options: CallOptions | undefined,
  ): Pages<RecordedEvent>
  readLog?(
    next: StreamAccess,
    query: LogQuery,
    options: CallOptions | undefined,
  ): Pages<RecordedEvent>
  eventById?(
    next: StreamAccess,
    stream: string,
    id: string,
    options: CallOptions | undefined,
  ): Promise<RecordedEvent | undefined>
  stream?(
    next: StreamAccess,
    name: string,
    options: CallOptions | undefined,
  ): Promise<StreamInfo | undefined>
  positions?(next: EventStore, options: CallOptions | undefined): Promise<LogPositions>
  transaction?<T>(
    next: EventStore,
    work: (tx: StoreTransaction) => Promise<T>,
    options: CallOptions | undefined,
  ): Promise<T>
  watch?(next: EventStore, listener: () => void): () => void
  fork?(
    next: EventStore,
    request: ForkRequest,
    options: CallOptions | undefined,
  ): Promise<ForkOutcome>
  view?(next: EventStore, view: StoreView): StoreView
  restore?(
    next: StoreTransaction,
    request: RestoreRequest,
    options: CallOptions | undefined,
  ): Promise<void>
  readonly records?: PortHooks<RecordAccess, RecordReads>
  readonly models?: PortHooks<ModelAccess, ModelReads>
  readonly inline?: PortHooks<InlineAccess>
  inlineProjections?(
    next: EventStore,
    options: CallOptions | undefined,
  ): Promise<readonly InlineProjection[]>
  newestPosition?(next: StoreTransaction, options: CallOptions | undefined): Promise<number>
  barrier?(next: StoreTransaction, options: CallOptions | undefined): Promise<void>
  savepoint?<T>(next: StoreTransaction, work: () => Promise<T>): Promise<T>
  recode?(
    next: StoreTransaction,
    request: RecodeRequest,
    options: CallOptions | undefined,
  ): Promise<RecodeStep>
  /**
   * Stands around each call on records, read models and inline projections, and around a
   * transaction's `newestPosition`, `barrier` and `savepoint`.
   */
  readonly readSide?: Around
}

const recordReadNames = ['get', 'list'] as const
const recordNames = [...recordReadNames, 'lock', 'write'] as const
const modelReadNames = ['get', 'find', 'count', 'rows'] as const
const modelWriteNames = ['create', 'drop', 'publish', 'unpublish', 'put', 'remove', 'lock'] as const
const modelNames = [...modelReadNames, ...modelWriteNames] as const
const inlineNames = ['list', 'register', 'unregister'] as const

const straight: Around = (_call, run) => run()

function wrapAccess(next: StreamAccess, hooks: StoreHooks): StreamAccess {
  return {
    append: (request, options) =>
      hooks.append?.(next, request, options) ?? next.append(request, options),
    readStream: (query, options) =>
      hooks.readStream?.(next, query, options) ?? next.readStream(query, options),
    readLog: (query, options) =>
      hooks.readLog?.(next, query, options) ?? next.readLog(query, options),
    eventById: (stream, id, options) =>
      hooks.eventById?.(next, stream, id, options) ?? next.eventById(stream, id, options),
    stream: (name, options) => hooks.stream?.(next, name, options) ?? next.stream(name, options),
  }
}

/** A transaction with some of its calls replaced, as `wrapStore` does it. */
export function wrapTransaction(tx: StoreTransaction, hooks: StoreHooks): StoreTransaction {
  const around = hooks.readSide ?? straight
  return {
    ...wrapAccess(tx, hooks),
    sql: tx.sql,
    records: wrapPort(tx.records, 'records', recordNames, hooks.records, hooks.readSide),
    models: wrapPort(tx.models, 'models', modelNames, hooks.models, hooks.readSide),
    inline: wrapPort(tx.inline, 'inline', inlineNames, hooks.inline, hooks.readSide),
    newestPosition: (options) =>
      around(
        'newestPosition',
        () => hooks.newestPosition?.(tx, options) ?? tx.newestPosition(options),
      ),
    barrier: (options) =>
      around('barrier', () => hooks.barrier?.(tx, options) ?? tx.barrier(options)),
    savepoint: (work) =>
      around('savepoint', () => hooks.savepoint?.(tx, work) ?? tx.savepoint(work)),
    recode: (request, options) =>
      hooks.recode?.(tx, request, options) ?? tx.recode(request, options),
    restore: (request, options) =>
      hooks.restore?.(tx, request, options) ?? tx.restore(request, options),
  }
}

/**
 * A store with some of its calls replaced; the hooks for streams are in force inside transactions
 * as well.
 *
 * @example
 * ```ts
 * import { openMemoryStore, wrapStore } from 'eventuali/testing'
 *
 * let appends = 0
 * const counted = wrapStore(await openMemoryStore(), {
 *   append: (next, request, options) => {
 *     appends += 1
 *     return next.append(request, options)
 *   },
 * })
 * await counted.close()
 * console.log(appends) // 0
 * ```
 */
export function wrapStore(store: EventStore, hooks: StoreHooks): EventStore {
  const around = hooks.readSide ?? straight
  return {
    ...wrapAccess(store, hooks),
    adapter: store.adapter,
    capabilities: store.capabilities,
    incarnation: store.incarnation,
    records: wrapPort(store.records, 'records', recordReadNames, hooks.records, hooks.readSide),
    models: wrapPort(store.models, 'models', modelReadNames, hooks.models, hooks.readSide),
    inlineProjections: (options) =>
      around(
        'inlineProjections',
        () => hooks.inlineProjections?.(store, options) ?? store.inlineProjections(options),
      ),
    transaction: (work, options) => {
      const inner = (tx: StoreTransaction) => work(wrapTransaction(tx, hooks))
      return hooks.transaction?.(store, inner, options) ?? store.transaction(inner, options)
    },
    join: (client) => wrapTransaction(store.join(client), hooks),
    positions: (options) => hooks.positions?.(store, options) ?? store.positions(options),
    streams: (query, options) => store.streams(query, options),
    watch: (listener) => hooks.watch?.(store, listener) ?? store.watch(listener),
    settings: () => store.settings(),
    storage: store.storage?.bind(store),
    pool: store.pool?.bind(store),
    tune: store.tune?.bind(store),
    faults: (options) => store.faults(options),
    fork: (request, options) =>
      hooks.fork?.(store, request, options) ?? store.fork(request, options),
    view: (work, options) => store.view((view) => work(hooks.view?.(store, view) ?? view), options),
    close: () => store.close(),
  }
}
