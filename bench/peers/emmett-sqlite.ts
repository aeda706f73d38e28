import { addTo, noTotals, type OpenPeer, type PeerStore, type Totals } from './adapter.ts'
import type { Consume } from './orders.ts'

interface Connection {
  querySingle<T>(sql: string): Promise<T | null>
  close(): void
}

interface Page {
  readonly currentGlobalPosition: bigint
  readonly messages: readonly unknown[]
  readonly areEventsLeft: boolean
}

/** The part of the other library that is used here. */
interface Library {
  getSQLiteEventStore(options: {
    readonly fileName: string
    readonly connectionOptions?: { readonly singleton: true; readonly connection: Connection }
  }): {
    appendToStream(stream: string, events: readonly unknown[]): Promise<unknown>
    aggregateStream(
      stream: string,
      how: {
        readonly evolve: (state: Totals, event: { readonly data: object }) => Totals
        readonly initialState: () => Totals
      },
    ): Promise<{ readonly state: Totals }>
    consumer(options: object): {
      processor(options: object): unknown
      start(): Promise<void>
    }
  }
  sqliteConnection(options: { readonly fileName: string }): Connection
  readMessagesBatch(
    db: Connection,
    range: { readonly after: bigint; readonly batchSize: number },
  ): Promise<Page>
}

/** Emmett on SQLite as it comes: it opens a connection for each call. */
export const openEmmettSqlite: OpenPeer = async (bring, url) =>
  storeOf(await bring<Library>('@event-driven-io/emmett-sqlite'), url, false)

/** The same on one connection that is handed to it. */
export const openEmmettSqliteOne: OpenPeer = async (bring, url) =>
  storeOf(await bring<Library>('@event-driven-io/emmett-sqlite'), url, true)

function storeOf(library: Library, url: string, onOne: boolean): PeerStore {
  const reader = library.sqliteConnection({ fileName: url })
  const connectionOptions = { singleton: true, connection: reader } as const
  const store = library.getSQLiteEventStore({
    fileName: url,
    ...(onOne ? { connectionOptions } : {}),
  })
  let runs = 0
  const consume = async ({ upTo, batchSize, pullMs }: Consume): Promise<number> => {
    let seen = 0
    const consumer = store.consumer({ pulling: { batchSize, pullingFrequencyInMs: pullMs } })
    consumer.processor({
      processorId: `bench_${process.pid}_${++runs}`,
      startFrom: 'BEGINNING',
      connectionOptions: { fileName: url },
      stopAfter: () => ++seen >= upTo,
      eachMessage: () => {},
    })
    await consumer.start()
    return seen
  }
  return {
    append: (stream, events) => store.appendToStream(stream, events),
    load: async (stream) => {
      const evolve = (state: Totals, { data }: { readonly data: object }) => addTo(state, data)
      const { state } = await store.aggregateStream(stream, {
        evolve,
        initialState: () => noTotals,
      })
      return state.count
    },
    scan: async () => {
      let count = 0
      for (let after = 0n; ; ) {
        const page = await library.readMessagesBatch(reader, { after, batchSize: 1000 })
        count += page.messages.length
        if (page.messages.length < 1000) return count
        after = page.currentGlobalPosition
      }
    },
    consume,
    settings: async () => {
      const connection = library.sqliteConnection({ fileName: url })
      const mode = await connection.querySingle<{ journal_mode: string }>('PRAGMA journal_mode')
      const sync = await connection.querySingle<{ synchronous: number }>('PRAGMA synchronous')
      connection.close()
      return `journal_mode ${mode?.journal_mode}, synchronous ${sync?.synchronous}`
    },
    close: () => reader.close(),
  }
}
