import type { StoreTransaction } from '../ports/index.ts'

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
    restore: (request, options) => tx.restore(request, options),
  }
}
