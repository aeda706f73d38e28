import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js'
import {
  collection,
  defineAggregate,
  defineEvents,
  defineProjection,
  openStore,
  reject,
  type Store,
  type,
} from 'eventuali'
import { createMcpServer, type McpOptions } from './index.ts'

export const events = defineEvents({
  OrderPlaced: type<{ customer: string; total: number }>(),
  OrderShipped: type<{ carrier: string }>(),
})

interface OrderState {
  readonly status: 'new' | 'placed' | 'shipped'
  readonly total: number
}

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
  },
})

export const customers = defineProjection({
  name: 'customers',
  version: 1,
  events: [events],
  collections: { customers: collection<{ orders: number; total: number }>() },
  handlers: {
    OrderPlaced: ({ data }, { collection: of }) =>
      of('customers').patch(data.customer, (known) => ({
        orders: (known?.orders ?? 0) + 1,
        total: (known?.total ?? 0) + data.total,
      })) as Promise<unknown>,
  },
})

export const definitions = { events: [events], aggregates: [Order], projections: [customers] }

/** A store with three orders, the projection up to date, and one dead letter. */
export async function openShop(): Promise<Store> {
  const store: Store = await openStore('memory:', { projections: [customers] })
  const metadata = { correlationId: 'checkout-1', actor: 'ada' }
  const [placed] = (
    await store.append('order-1', {
      ...events.OrderPlaced({ customer: 'ada', total: 30 }),
      metadata,
    })
  ).events
  const cause = { ...metadata, causationId: placed?.id as string }
  await store.append('order-1', { ...events.OrderShipped({ carrier: 'post' }), metadata: cause })
  await store.append('order-2', events.OrderPlaced({ customer: 'bob', total: 5 }))
  await store.append('order-3', events.OrderPlaced({ customer: 'ada', total: 7 }))
  await store.projections.start()
  const { newest } = await store.positions()
  await store.projected('customers', newest)
  const mailer = store.subscribe(
    { name: 'mailer', onPoison: 'park', retry: { retryCountMax: 0 } },
    () => {
      throw new Error('no such address')
    },
  )
  while ((await store.deadLetters.list()).length < 3) await new Promise((go) => setImmediate(go))
  await mailer.stop()
  return store
}

/** What a tool answered: its facts, and the items between the marks. */
export interface Answered {
  readonly facts: { readonly [name: string]: unknown }
  readonly items: readonly never[]
  readonly texts: readonly string[]
  readonly isError: boolean
}

/** A client of the official SDK, connected to a server on a store. */
export async function connect(store: Store, options: McpOptions = {}) {
  const [ours, theirs] = InMemoryTransport.createLinkedPair()
  const server = createMcpServer(store, { definitions, ...options })
  const client = new Client({ name: 'test', version: '1' })
  await Promise.all([server.connect(ours), client.connect(theirs)])
  return {
    client,
    call: (name: string, args: object = {}) => callTool(client, name, args),
    close: () => client.close(),
  }
}

/** Calls a tool and takes its answer apart. */
export async function callTool(client: Client, name: string, args: object): Promise<Answered> {
  const result = await client.callTool({ name, arguments: { ...args } })
  const content = result.content as readonly { readonly text: string }[]
  const texts = content.map(({ text }) => text)
  const isError = result.isError === true
  if (isError) return { facts: {}, items: [], texts, isError }
  const lines = texts[1]?.split('\n').slice(2, -1) ?? []
  const items = lines.map((line) => {
    try {
      return JSON.parse(line) as never
    } catch {
      return line as never
    }
  })
  return { facts: JSON.parse(texts[0] ?? '{}') as Answered['facts'], items, texts, isError }
}
