import type { EventStore, StoreTransaction } from '../../ports/index.ts'

/** Looks like a transaction, but each call is one of its own, committed at once. */
export function unboundTransaction(store: EventStore): StoreTransaction {
  const each = <T>(work: (tx: StoreTransaction) => Promise<T>) => store.transaction(work)
  return {
    append: (request) => store.append(request),
    readStream: (query) => store.readStream(query),
    readLog: (query) => store.readLog(query),
    eventById: (stream, id) => store.eventById(stream, id),
    stream: (name) => store.stream(name),
    sql: undefined,
    records: {
      get: (kind, keys) => store.records.get(kind, keys),
      list: (query) => store.records.list(query),
      lock: (kind, keys) => store.records.get(kind, keys),
      write: (changes) => each((tx) => tx.records.write(changes)),
    },
    models: {
      get: (table, keys) => store.models.get(table, keys),
      find: (table, query) => store.models.find(table, query),
      count: (table, filters) => store.models.count(table, filters),
      rows: (table, page) => store.models.rows(table, page),
      create: (table) => each((tx) => tx.models.create(table)),
      drop: (table) => each((tx) => tx.models.drop(table)),
      publish: (view, table) => each((tx) => tx.models.publish(view, table)),
      unpublish: (view) => each((tx) => tx.models.unpublish(view)),
      put: (table, documents) => each((tx) => tx.models.put(table, documents)),
      remove: (table, keys) => each((tx) => tx.models.remove(table, keys)),
      lock: async () => {},
    },
    inline: {
      list: () => store.inlineProjections(),
      register: (projection) => each((tx) => tx.inline.register(projection)),
      unregister: (name) => each((tx) => tx.inline.unregister(name)),
    },
    newestPosition: async () => (await store.positions()).newest,
    barrier: async () => {},
    savepoint: (work) => work(),
    recode: (request) => each((tx) => tx.recode(request)),
    restore: (request) => each((tx) => tx.restore(request)),
  }
}
