import { type IdSource, seededRandom, systemClock, uuidV7Source } from '../kernel/index.ts'
import { defineEvents, type Json, type RecordedEvent, type } from '../model/index.ts'
import type { EventStore, NewEvent } from '../ports/index.ts'
import { Worker } from '../subscriptions/index.ts'
import { collection } from './collection.ts'
import { type AnyProjection, defineProjection } from './define.ts'
import { Projections } from './manager.ts'

export const shop = defineEvents({
  OrderPlaced: type<{ customer: string; total: number }>(),
  OrderShipped: type<{ carrier: string; weight: number }>(),
  CustomerNamed: type<{ name: string }>(),
})

export interface Carrier {
  parcels: number
  weight: number
}

interface Sale {
  customer: string
  name: string | null
  total: number
  carrier?: string
}

/** Counts parcels by carrier: a key that spans streams. */
export function carriersProjection(options: {
  readonly mode?: 'async' | 'inline'
  readonly version?: number
  readonly name?: string
  readonly factor?: number
}) {
  const { mode = 'async', version = 1, name = 'carriers', factor = 1 } = options
  return defineProjection({
    ...{ name, version, mode },
    events: [shop],
    collections: { carriers: collection<Carrier>({ indexes: { parcels: 'number' } }) },
    key: (event) => (event.type === 'OrderShipped' ? event.data.carrier : event.stream),
    orderInsensitive: true,
    handlers: {
      OrderShipped: async ({ data }, ctx) => {
        const carriers = ctx.collection('carriers')
        const was = (await carriers.get(data.carrier)) ?? { parcels: 0, weight: 0 }
        await carriers.put(data.carrier, {
          parcels: was.parcels + 1,
          weight: was.weight + data.weight * factor,
        })
      },
    },
  })
}

/** Joins orders with the names of their customers, whichever comes first. */
export const sales = defineProjection({
  name: 'sales',
  version: 1,
  events: [shop],
  collections: {
    sales: collection<Sale>({ indexes: { customer: 'text', total: 'number' } }),
    customers: collection<{ name: string }>(),
  },
  handlers: {
    OrderPlaced: async ({ stream, data }, ctx) => {
      const known = await ctx.collection('customers').get(data.customer)
      await ctx.collection('sales').put(stream, { ...data, name: known?.name ?? null })
    },
    OrderShipped: ({ stream, data }, ctx) =>
      ctx.collection('sales').patch(stream, { carrier: data.carrier }),
    CustomerNamed: async ({ stream, data }, ctx) => {
      const customer = stream.slice('customer-'.length)
      await ctx.collection('customers').put(customer, { name: data.name })
      const found = await ctx.collection('sales').entries({ where: { customer } })
      for (const { key } of found) await ctx.collection('sales').patch(key, { name: data.name })
    },
    $deleted: ({ stream }, ctx) => ctx.collection('sales').delete(stream),
  },
})

const ids = uuidV7Source(systemClock, seededRandom(7))

export function newEvent(type: string, data: Json, id?: string): NewEvent {
  return {
    ...{ id: id ?? ids.next(), idGiven: id !== undefined, type, data, metadata: {} },
    ...{ time: 1_700_000_000_000, schemaVersion: 1, tags: [] },
  }
}

export const shipped = (carrier = 'dhl', weight = 1, id?: string): NewEvent =>
  newEvent('OrderShipped', { carrier, weight }, id)

export async function append(
  port: Pick<EventStore, 'append'>,
  stream: string,
  ...events: readonly NewEvent[]
): Promise<number> {
  const outcome = await port.append({ entries: [{ stream, expectedVersion: 'any', events }] })
  if (!outcome.ok) throw new Error(`refused: ${outcome.reason}`)
  return outcome.entries[0]?.positions.at(-1) ?? 0
}

export async function readEvents(port: EventStore): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  const { safe } = await port.positions()
  for await (const page of port.readLog({ direction: 'forward', upTo: safe })) events.push(...page)
  return events
}

/** A process: a worker with the projections of a store. */
export class Program implements AsyncDisposable {
  readonly projections: Projections
  readonly worker: Worker
  readonly ids: IdSource = ids

  constructor(
    port: EventStore,
    definitions: readonly unknown[],
    options: { readonly pollIntervalMs?: number; readonly ttlMs?: number } = {},
  ) {
    const { pollIntervalMs = 50, ttlMs = 500 } = options
    const runtime = { clock: systemClock, random: seededRandom(1), ids }
    this.worker = new Worker(port, runtime, { ttlMs })
    this.projections = new Projections(port, this.worker, definitions as AnyProjection[], {
      ...runtime,
      pollIntervalMs,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.projections.stop()
  }
}
