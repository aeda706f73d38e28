import type { EventStore, StoreTransaction } from '../ports/index.ts'

/** A transaction with some of its calls replaced. Calls keep their `this`. */
export function overTransaction(
  tx: StoreTransaction,
  own: Pick<StoreTransaction, 'append' | 'savepoint'>,
): StoreTransaction {
  return {
    sql: tx.sql,
    records: tx.records,
    models: tx.models,
    inline: tx.inline,
    append: own.append,
    savepoint: own.savepoint,
    readStream: (query, options) => tx.readStream(query, options),
    eventById: (stream, id, options) => tx.eventById(stream, id, options),
    stream: (name, options) => tx.stream(name, options),
    readLog: (query, options) => tx.readLog(query, options),
    newestPosition: (options) => tx.newestPosition(options),
    barrier: (options) => tx.barrier(options),
    recode: (request, options) => tx.recode(request, options),
  }
}

/** A store with some of its calls replaced. */
export function overStore(
  port: EventStore,
  own: Pick<EventStore, 'append' | 'transaction' | 'join'>,
): EventStore {
  return {
    adapter: port.adapter,
    capabilities: port.capabilities,
    incarnation: port.incarnation,
    records: port.records,
    models: port.models,
    inlineProjections: (options) => port.inlineProjections(options),
    append: own.append,
    transaction: own.transaction,
    join: own.join,
    readStream: (query, options) => port.readStream(query, options),
    eventById: (stream, id, options) => port.eventById(stream, id, options),
    stream: (name, options) => port.stream(name, options),
    readLog: (query, options) => port.readLog(query, options),
    positions: (options) => port.positions(options),
    streams: (query, options) => port.streams(query, options),
    watch: (listener) => port.watch(listener),
    settings: () => port.settings(),
    pool: () => port.pool?.(),
    tune: port.tune?.bind(port),
    faults: (options) => port.faults(options),
    fork: (request, options) => port.fork(request, options),
    close: () => port.close(),
  }
}
