import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Customer, Order } from './projection-raw.ts'
import { longStream, longStreamEventCount, streamCount, Workload } from './workload.ts'

// A process of its own: the other library changes how `pg` parses types in all of its process.

/** What the parent asks for: a log of so many events, or a run over it. */
export type EmmettOrder =
  | { readonly fill: number }
  | {
      /** A handler that does nothing, or the projection of the bench into Pongo documents. */
      readonly work: 'pass' | 'project'
      readonly batchSize: number
      readonly pullMs: number
      readonly upTo: number
    }

/** The part of the other library that is used here. */
interface Peer {
  getPostgreSQLEventStore(url: string): {
    appendToStream(stream: string, events: readonly unknown[]): Promise<unknown>
    consumer(options: object): {
      reactor(options: object): unknown
      projector(options: object): unknown
      start(): Promise<void>
    }
    close(): Promise<void>
  }
  pongoMultiStreamProjection(options: object): object
}

const [folder = '', url = ''] = process.argv.slice(2)
const require = createRequire(join(folder, 'package.json'))
const entry = require.resolve('@event-driven-io/emmett-postgresql')
const peer = (await import(pathToFileURL(entry).href)) as Peer
const store = peer.getPostgreSQLEventStore(url)
let runs = 0

/** The log that the cases of the store itself are measured on. */
async function fill(eventCount: number): Promise<number> {
  const work = new Workload(1)
  const perStream = Math.max(1, Math.floor(eventCount / streamCount))
  for (let i = 0; i < streamCount; i++) {
    await store.appendToStream(`order-${i}`, work.events(perStream))
  }
  await store.appendToStream(longStream, work.events(longStreamEventCount))
  return perStream * streamCount + longStreamEventCount
}

type Run = Extract<EmmettOrder, { readonly upTo: number }>
type Event = { readonly data: Order }

async function consume({ work, batchSize, pullMs, upTo }: Run): Promise<number> {
  let seen = 0
  const consumer = store.consumer({ pulling: { batchSize, pullingFrequencyInMs: pullMs } })
  const name = `bench_${process.pid}_${++runs}`
  const common = { processorId: name, startFrom: 'BEGINNING', stopAfter: () => ++seen >= upTo }
  if (work === 'pass') consumer.reactor({ ...common, eachMessage: () => {} })
  else {
    const projection = peer.pongoMultiStreamProjection({
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
  if (seen < upTo) throw new Error(`only ${seen} of ${upTo} events came`)
  return seen
}

process.on('message', (order: EmmettOrder) => {
  const done = 'fill' in order ? fill(order.fill) : consume(order)
  done.then(
    (count) => process.send?.({ count }),
    (error: unknown) => process.send?.({ error: String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
process.send?.({ count: 0 })
