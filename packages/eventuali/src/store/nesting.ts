import { AsyncLocalStorage } from 'node:async_hooks'
import { NestedTransactionError } from '../model/index.ts'
import type { EventStore, StoreTransaction } from '../ports/index.ts'

interface Scope {
  readonly store: object
  readonly up: Scope | undefined
  /** False once the transaction has ended: work that the callback left behind may go on. */
  open: boolean
}

const scopes = new AsyncLocalStorage<Scope>()

/** Runs a transaction's callback so that calls to the same outer store are noticed in it. */
async function insideTransaction<T>(store: object, work: () => Promise<T>): Promise<T> {
  const scope: Scope = { store, up: scopes.getStore(), open: true }
  try {
    return await scopes.run(scope, work)
  } finally {
    scope.open = false
  }
}

function assertOutside(store: object, call: string): void {
  for (let scope = scopes.getStore(); scope !== undefined; scope = scope.up) {
    if (scope.open && scope.store === store) throw new NestedTransactionError(call)
  }
}

function tuneOf(store: EventStore, check: (call: string) => void): EventStore['tune'] {
  if (store.tune === undefined) return undefined
  const tune = store.tune.bind(store)
  return async (request, options) => {
    check('tune')
    return tune(request, options)
  }
}

/**
 * The store, refusing its own use inside the callback of one of its transactions: with one writer
 * such a call would wait for itself, with many it would silently stand outside the transaction.
 */
export function guardNesting(store: EventStore): EventStore {
  const check = (call: string) => assertOutside(store, call)
  return {
    adapter: store.adapter,
    capabilities: store.capabilities,
    incarnation: store.incarnation,
    records: store.records,
    models: store.models,
    inlineProjections: (options) => store.inlineProjections(options),
    // Not async: every append passes here, and its callers are async functions already.
    append: (request, options) => {
      check('append')
      return store.append(request, options)
    },
    readStream: (query, options) => {
      check('readStream')
      return store.readStream(query, options)
    },
    eventById: async (stream, id, options) => {
      check('eventById')
      return store.eventById(stream, id, options)
    },
    stream: async (name, options) => {
      check('stream')
      return store.stream(name, options)
    },
    readLog: (query, options) => {
      check('readAll')
      return store.readLog(query, options)
    },
    transaction: async <T>(
      work: (tx: StoreTransaction) => Promise<T>,
      options?: Parameters<EventStore['transaction']>[1],
    ) => {
      check('transaction')
      return store.transaction((tx) => insideTransaction(store, () => work(tx)), options)
    },
    join: (client) => store.join(client),
    positions: async (options) => {
      check('positions')
      return store.positions(options)
    },
    streams: (query, options) => {
      check('streams')
      return store.streams(query, options)
    },
    watch: (listener) => store.watch(listener),
    settings: () => store.settings(),
    storage: store.storage?.bind(store),
    pool: store.pool?.bind(store),
    tune: tuneOf(store, check),
    faults: (options) => store.faults(options),
    fork: async (request, options) => {
      check('fork')
      return store.fork(request, options)
    },
    view: async (work, options) => {
      check('view')
      return store.view(work, options)
    },
    close: async () => {
      check('close')
      return store.close()
    },
  }
}
