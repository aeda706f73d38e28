import type { Customer, Order } from '../projection-raw.ts'
import { addTo, noTotals, type OpenPeer, type PeerStore, type Totals } from './adapter.ts'
import type { Consume } from './orders.ts'
import { postgresSettings } from './postgres-settings.ts'

interface Page {
  readonly currentGlobalPosition: bigint
  readonly messages: readonly unknown[]
}

/** The part of the other library that is used here. */
interface Library {
  getPostgreSQLEventStore(url: string): {
    appendToStream(stream: string, events: readonly unknown[]): Promise<unknown>
    aggregateStream(
      stream: string,
      how: {
        readonly evolve: (state: Totals, event: { readonly data: object }) => Totals
        readonly initialState: () => Totals
      },
    ): Promise<{ readonly state: Totals }>
    consumer(options: object): {
      reactor(options: object): unknown
      projector(options: object): unknown
      start(): Promise<void>
    }
    close(): Promise<void>
  }
  pongoMultiStreamProjection(options: object): object
  readMessagesBatch(
    execute: unknown,
    range: { readonly after: bigint; readonly batchSize: number },
  ): Promise<Page>
}

interface Dumbo {
  dumbo(options: { readonly connectionString: string }): {
    readonly execute: unknown
    close(): Promise<void>
  }
}

type Event = { readonly data: Order }

/** Emmett on PostgreSQL. */
export const openEmmettPostgres: OpenPeer = async (bring, url): Promise<PeerStore> => {
  const library = await bring<Library>('@event-driven-io/emmett-postgresql')
  const { dumbo } = await bring<Dumbo>('@event-driven-io/dumbo')
  const store = library.getPostgreSQLEventStore(url)
  const reader = dumbo({ connectionString: url })
  let runs = 0
  const consume = async ({ work, batchSize, pullMs, upTo }: Consume): Promise<number> => {
    let seen = 0
    const consumer = store.consumer({ pulling: { batchSize, pullingFrequencyInMs: pullMs } })
    const name = `bench_${process.pid}_${++runs}`
    const common = { processorId: name, startFrom: 'BEGINNING', stopAfter: () => ++seen >= upTo }
    if (work === 'pass') consumer.reactor({ ...common, eachMessage: () => {} })
    else {
      const projection = library.pongoMultiStreamProjection({
        collectionName: name,
        canHandle: ['OrderPlaced'],
        getDocumentId: (event: Event) => event.data.customer.id,
        evolve: (was: Customer | null, event: Event): Customer => ({
          orders: (was?.orders ?? 0) + 1,
          total: (was?.total ?? 0) + event.data.total,
        }),
      })
      consumer.projector({ ...common, projection })
    }
    // Ends by itself; closing it would close the store's pool.
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
        const page = await library.readMessagesBatch(reader.execute, { after, batchSize: 1000 })
        count += page.messages.length
        if (page.messages.length < 1000) return count
        after = page.currentGlobalPosition
      }
    },
    consume,
    settings: () => postgresSettings(bring, url),
    close: async () => {
      await reader.close()
      await store.close()
    },
  }
}
