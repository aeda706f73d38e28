import type { BenchEvent } from '../workload.ts'
import { addTo, noTotals, type OpenPeer, type Totals } from './adapter.ts'

type Stored = Pick<BenchEvent, 'type' | 'data' | 'metadata'>

interface Position {
  readonly position: number | string
}

interface Provider {
  createEvents(stream: string, id: string, version: number, events: readonly Stored[]): unknown[]
  append(stream: string, id: string, version: number, events: unknown[]): Promise<unknown>
  getEventsFrom(stream: string, after: number | string, limit: number): Promise<readonly Position[]>
}

interface Library {
  createAggregate(options: object): object
  createDomain(
    options: { readonly provider: Provider },
    aggregates: Readonly<Record<string, object>>,
  ): {
    readonly domain: Readonly<
      Record<string, { getAggregate(id: string): Promise<{ readonly count: number }> }>
    >
  }
  createHandler(options: object): {
    handle(stream: string, type: string, handler: () => Promise<void>): void
    runOnce(): Promise<number>
  }
}

interface Sql {
  unsafe(text: string): Promise<readonly Readonly<Record<string, string>>[]>
  end(): Promise<void>
}

interface PostgresJs {
  default(url: string): Sql
}

interface ProviderModule {
  createProvider(options: object): Provider
  migrate(options: object): Promise<void>
}

const tables = { events: 'events', bookmarks: 'bookmarks' }
const pageSize = 1000

/** evtstore on PostgreSQL, by its provider for postgres.js: the faster of its two. */
export const openEvtstore: OpenPeer = async (bring, url) => {
  const library = await bring<Library>('evtstore')
  const { createProvider, migrate } = await bring<ProviderModule>('evtstore/provider/postgres')
  const sql = (await bring<PostgresJs>('postgres')).default(url)
  await migrate({ sql, ...tables })
  const provider = createProvider({ sql, ...tables, limit: pageSize })
  const order = library.createAggregate({
    stream: 'order',
    create: () => ({ ...noTotals }),
    fold: ({ data }: Stored, state: Totals) => addTo(state, data),
  })
  const { domain } = library.createDomain({ provider }, { order })
  const versions = new Map<string, number>()
  let runs = 0
  return {
    append: (id, events) => {
      const version = (versions.get(id) ?? 0) + 1
      versions.set(id, version + events.length - 1)
      // It has one column: metadata goes into the event.
      const stored = events.map(({ type, data, metadata }) => ({ type, data, metadata }))
      return provider.append(
        'order',
        id,
        version,
        provider.createEvents('order', id, version, stored),
      )
    },
    load: async (id) => (await domain.order?.getAggregate(id))?.count ?? 0,
    scan: async () => {
      let count = 0
      for (let after: number | string = 0; ; ) {
        const page = await provider.getEventsFrom('order', after, pageSize)
        count += page.length
        const last = page.at(-1)
        if (last === undefined || page.length < pageSize) return count
        after = last.position
      }
    },
    consume: async () => {
      let seen = 0
      const bookmark = `bench_${process.pid}_${++runs}`
      const handler = library.createHandler({ bookmark, streams: ['order'], provider })
      handler.handle('order', 'OrderPlaced', async () => {
        seen++
      })
      await handler.runOnce()
      return seen
    },
    settings: async () => {
      const [fsync] = await sql.unsafe('SHOW fsync')
      const [sync] = await sql.unsafe('SHOW synchronous_commit')
      return `fsync ${fsync?.fsync}, synchronous_commit ${sync?.synchronous_commit}`
    },
    close: () => sql.end(),
  }
}
