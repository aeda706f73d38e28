import { createHash } from 'node:crypto'
import type { BenchEvent } from '../workload.ts'
import {
  addTo,
  type Bring,
  noTotals,
  type OpenPeer,
  type PeerStore,
  type Totals,
} from './adapter.ts'

interface Detail {
  readonly aggregateId: string
  readonly version: number
  readonly type: string
  readonly payload: object
  readonly metadata: object
}

interface State extends Totals {
  readonly aggregateId: string
  readonly version: number
}

interface CastoreStore {
  pushEvent(detail: Detail, options: object): Promise<unknown>
  groupEvent(detail: Detail): unknown
  getAggregate(id: string): Promise<{ readonly aggregate?: State }>
}

interface Core {
  readonly EventStore: {
    new (options: object): CastoreStore
    pushEventGroup(...grouped: readonly unknown[]): Promise<unknown>
  }
  readonly EventType: new (options: { readonly type: string }) => object
}

interface Postgres {
  readonly PostgresEventStorageAdapter: {
    new (options: {
      readonly connectionString: string
    }): {
      readonly _sql: {
        unsafe(sql: string): Promise<readonly Readonly<Record<string, string>>[]>
        end(): Promise<void>
      }
    }
    createEventTable?(options: object): Promise<unknown>
  }
}

interface Memory {
  readonly InMemoryEventStorageAdapter: new (options: object) => object
}

/** Its tables want aggregates named by UUIDs. */
const names = new Map<string, string>()
function idOf(stream: string): string {
  let id = names.get(stream)
  if (id === undefined) {
    const hex = createHash('sha1').update(stream).digest('hex')
    id = [hex.slice(0, 8), hex.slice(8, 12), `5${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`]
      .concat(hex.slice(20, 32))
      .join('-')
    names.set(stream, id)
  }
  return id
}

async function storeOn(bring: Bring, adapter: object): Promise<Pick<PeerStore, 'append' | 'load'>> {
  const { EventStore, EventType } = await bring<Core>('@castore/core')
  const reducer = (state: State | undefined, event: Detail): State => {
    const { aggregateId, version } = event
    return { ...addTo(state ?? noTotals, event.payload), aggregateId, version }
  }
  const store = new EventStore({
    eventStoreId: 'orders',
    eventTypes: [new EventType({ type: 'OrderPlaced' })],
    reducer,
    eventStorageAdapter: adapter,
  })
  // It wants each event's version: of a caller that knows its aggregate.
  const versions = new Map<string, number>()
  const detail = (aggregateId: string, { type, data, metadata }: BenchEvent): Detail => {
    const version = (versions.get(aggregateId) ?? 0) + 1
    versions.set(aggregateId, version)
    return { aggregateId, version, type, payload: data, metadata }
  }
  return {
    append: (name, events) => {
      const stream = idOf(name)
      const [first] = events
      if (first !== undefined && events.length === 1)
        return store.pushEvent(detail(stream, first), {})
      return EventStore.pushEventGroup(
        ...events.map((event) => store.groupEvent(detail(stream, event))),
      )
    },
    load: async (stream) => (await store.getAggregate(idOf(stream))).aggregate?.count ?? 0,
  }
}

/** Castore on PostgreSQL, through its event store. */
export const openCastorePostgres: OpenPeer = async (bring, url) => {
  const { PostgresEventStorageAdapter } = await bring<Postgres>(
    '@castore/event-storage-adapter-postgres',
  )
  const adapter = new PostgresEventStorageAdapter({ connectionString: url })
  await PostgresEventStorageAdapter.createEventTable?.({ connectionString: url })
  const settings = async (): Promise<string> => {
    const [fsync] = await adapter._sql.unsafe('SHOW fsync')
    const [sync] = await adapter._sql.unsafe('SHOW synchronous_commit')
    return `fsync ${fsync?.fsync}, synchronous_commit ${sync?.synchronous_commit}`
  }
  return { ...(await storeOn(bring, adapter)), settings, close: () => adapter._sql.end() }
}

/** Castore in memory. */
export const openCastoreMemory: OpenPeer = async (bring) => {
  const { InMemoryEventStorageAdapter } = await bring<Memory>(
    '@castore/event-storage-adapter-in-memory',
  )
  const store = await storeOn(bring, new InMemoryEventStorageAdapter({}))
  return { ...store, settings: async () => 'memory', close: () => {} }
}
