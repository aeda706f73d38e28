import type { RecordedEvent, StreamInfo } from '../model/index.ts'
import type {
  AppendOutcome,
  AppendRequest,
  CallOptions,
  EventStore,
  LogPositions,
  LogQuery,
  StoreTransaction,
  StreamAccess,
  StreamQuery,
} from '../ports/index.ts'

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
}

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
  const wrapTransaction = (tx: StoreTransaction): StoreTransaction => ({
    ...wrapAccess(tx, hooks),
    sql: tx.sql,
    records: tx.records,
    models: tx.models,
    inline: tx.inline,
    newestPosition: (options) => tx.newestPosition(options),
    barrier: (options) => tx.barrier(options),
    savepoint: (work) => tx.savepoint(work),
  })
  return {
    ...wrapAccess(store, hooks),
    adapter: store.adapter,
    capabilities: store.capabilities,
    incarnation: store.incarnation,
    records: store.records,
    models: store.models,
    inlineProjections: (options) => store.inlineProjections(options),
    transaction: (work, options) => {
      const inner = (tx: StoreTransaction) => work(wrapTransaction(tx))
      return hooks.transaction?.(store, inner, options) ?? store.transaction(inner, options)
    },
    join: (client) => wrapTransaction(store.join(client)),
    positions: (options) => hooks.positions?.(store, options) ?? store.positions(options),
    streams: (query, options) => store.streams(query, options),
    watch: (listener) => hooks.watch?.(store, listener) ?? store.watch(listener),
    settings: () => store.settings(),
    faults: (options) => store.faults(options),
    close: () => store.close(),
  }
}
