import { z } from 'zod'
import { defineEvents, event, type } from '../model/index.ts'
import { collection, type DocumentOf } from './collection.ts'
import { defineProjection } from './define.ts'
import type { PathOf, ScalarPath, ValueAt } from './paths.ts'

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function holds<_T extends true>(): void {}

const orders = defineEvents({
  OrderPlaced: z.object({ customer: z.string(), total: z.coerce.number<string>() }),
  OrderShipped: type<{ carrier: string }>(),
  OrderDue: event(type<{ at: Date }>(), {
    codec: {
      encode: (data) => ({ at: data.at.toISOString() }),
      decode: (stored) => ({ at: new Date(stored.at) }),
    },
  }),
})
const customers = defineEvents({ CustomerNamed: type<{ name: string }>() })

interface Order {
  status: 'placed' | 'shipped'
  total: number
  address?: { city: string; zip: string | null }
  lines: { sku: string }[]
}

// Paths.
holds<
  Equal<PathOf<Order>, 'status' | 'total' | 'address' | 'address.city' | 'address.zip' | 'lines'>
>()
holds<Equal<ScalarPath<Order>, 'status' | 'total' | 'address.city' | 'address.zip'>>()
holds<Equal<ValueAt<Order, 'address.zip'>, string>>()
type Either = { kind: 'a'; x: number } | { kind: 'b'; y: string }
holds<Equal<PathOf<Either>, 'kind' | 'x' | 'y'>>()

const orderDocs = collection<Order>({ indexes: { status: 'text', 'address.city': 'text' } })
holds<Equal<DocumentOf<typeof orderDocs>, Order>>()
// @ts-expect-error there is no such path
collection<Order>({ indexes: { state: 'text' } })
// @ts-expect-error total is a number
collection<Order>({ indexes: { total: 'text' } })
// @ts-expect-error a list is no scalar
collection<Order>({ indexes: { lines: 'text' } })
// @ts-expect-error JSON carries no Date
collection<{ at: Date }>({})

export const projection = defineProjection({
  name: 'orders',
  version: 1,
  events: [orders, customers],
  collections: { orders: orderDocs, names: collection<{ name: string }>() },
  tables: { log: 'CREATE TABLE {table} (id text)' },
  handlers: {
    OrderPlaced: async (event, ctx) => {
      holds<Equal<typeof event.data, { customer: string; total: number }>>()
      const all = ctx.collection('orders')
      await all.put(event.stream, { status: 'placed', total: event.data.total, lines: [] })
      await all.patch(event.stream, { status: 'shipped', address: undefined })
      await all.patch(event.stream, (was) => (was === undefined ? was : { ...was, total: 1 }))
      const found = await all.find({
        where: {
          status: 'placed',
          total: { gt: 1, lte: 5, in: [1, 2] },
          'address.city': { prefix: 'B', not: null },
          lines: { exists: true },
        },
        sort: [{ total: 'desc' }, { 'address.city': 'asc' }],
        limit: 3,
      })
      holds<Equal<typeof found, readonly Order[]>>()
      ctx.table('log')
      // @ts-expect-error there is no such table
      ctx.table('orders')
      // @ts-expect-error there is no such collection
      ctx.collection('order')
      // @ts-expect-error total is missing
      await all.put('x', { status: 'placed', lines: [] })
      // @ts-expect-error no such status
      await all.patch('x', { status: 'lost' })
      // @ts-expect-error no such property
      await all.patch('x', { state: 'placed' })
      // @ts-expect-error no such path
      await all.find({ where: { state: 'placed' } })
      // @ts-expect-error a number has no prefix
      await all.find({ where: { total: { prefix: '1' } } })
      // @ts-expect-error no such status
      await all.find({ where: { status: 'lost' } })
      // @ts-expect-error a list only exists or not
      await all.find({ where: { lines: { gt: 1 } } })
      // @ts-expect-error there is nothing to sort by in a list
      await all.find({ sort: { lines: 'asc' } })
    },
    OrderDue: (event) => event.data.at.getTime(),
    CustomerNamed: (event, ctx) => ctx.collection('names').put(event.stream, event.data),
    $deleted: (event, ctx) => ctx.collection('orders').delete(event.stream),
  },
  effects: {
    OrderShipped: (event, { effectId }) => `${effectId} ${event.data.carrier}`,
  },
  key: (event) => (event.type === 'OrderShipped' ? event.data.carrier : event.stream),
})

export const misspelt = defineProjection({
  name: 'orders',
  version: 1,
  events: [orders],
  collections: { orders: orderDocs },
  handlers: {
    // @ts-expect-error there is no such event
    OrderShiped: () => undefined,
  },
})

export const foreign = defineProjection({
  name: 'orders',
  version: 1,
  events: [orders],
  collections: { orders: orderDocs },
  handlers: {
    OrderShipped: (event) => {
      // @ts-expect-error a shipped order has no total
      event.data.total
    },
    // @ts-expect-error an event of another definition
    CustomerNamed: () => undefined,
  },
})

export const batched = defineProjection({
  name: 'orders',
  version: 1,
  events: [orders],
  collections: { orders: orderDocs },
  batch: async (events, ctx) => {
    for (const event of events) {
      if (event.type === 'OrderPlaced') event.data.total.toFixed()
    }
    await ctx.collection('orders').count({ status: 'placed' })
  },
})
