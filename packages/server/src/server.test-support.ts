import {
  collection,
  defineAggregate,
  defineEvents,
  defineProjection,
  openStore,
  reject,
} from 'eventuali'
import { onTestFinished } from 'vitest'
import { z } from 'zod'
import { createServer, type ServerOptions } from './index.ts'

export const events = defineEvents({
  OrderPlaced: z.object({ customer: z.string(), total: z.number() }),
  OrderShipped: z.object({ carrier: z.string() }),
})

type OrderState = { status: 'new' | 'placed' | 'shipped'; total: number }

export const Order = defineAggregate('order', {
  events,
  initial: (): OrderState => ({ status: 'new', total: 0 }),
  evolve: {
    OrderPlaced: (state, { data }) => ({ ...state, status: 'placed', total: data.total }),
    OrderShipped: (state) => ({ ...state, status: 'shipped' }),
  },
  commands: {
    place: (state, input: { customer: string; total: number }) =>
      state.status === 'new' ? events.OrderPlaced(input) : reject('order is already placed'),
    ship: (state) =>
      state.status === 'placed' ? events.OrderShipped({ carrier: 'dhl' }) : reject('not placed'),
  },
})

export const orders = defineProjection({
  name: 'orders',
  version: 1,
  events: [events],
  collections: { orders: collection<{ total: number; customer: string }>() },
  handlers: {
    OrderPlaced: ({ data, stream }, ctx) => ctx.collection('orders').put(stream, data),
  },
})

/** A server in this process over a store in memory; everybody may do everything unless said. */
export async function server(options: ServerOptions = {}) {
  const store = await openStore('memory:', { projections: [orders], snapshots: {} })
  const made = createServer(store, {
    auth: { anonymous: 'admin' },
    aggregates: [Order],
    projections: [orders],
    onError: () => {},
    ...options,
  })
  onTestFinished(async () => {
    await made.close()
    await store.close()
  })
  const request = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ) => {
    const isText = typeof body === 'string'
    const response = await made.app.request(path, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const isJson = /json/.test(response.headers.get('content-type') ?? '')
    // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of all shapes.
    const json = (isJson ? JSON.parse(text) : undefined) as any
    return { status: response.status, headers: response.headers, text, json }
  }
  const place = (id: string, total = 30) =>
    request('POST', `/v1/streams/order-${id}/events`, {
      type: 'OrderPlaced',
      data: { customer: 'ada', total },
    })
  return { ...made, store, request, place }
}
