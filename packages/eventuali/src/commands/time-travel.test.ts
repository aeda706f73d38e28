import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { describeStores } from '../../test/harness/adapter-stores.ts'
import {
  Aggregate,
  type AppliedOf,
  defineAggregate,
  defineEvents,
  event,
  type,
} from '../model/index.ts'
import { openStore, type Store } from '../store/index.ts'

const events = defineEvents({
  Priced: type<{ price: number }>(),
  Lined: type<{ sku: string; count: number }>(),
  Noted: type<{ text: string }>(),
})
interface Order {
  readonly price: number
  readonly lines: Readonly<Record<string, number>>
}
const parts = {
  events,
  initial: (): Order => ({ price: 0, lines: {} }),
  commands: {},
}
const evolve = {
  Priced: (state: Order, { data }: { readonly data: { readonly price: number } }) => ({
    ...state,
    price: data.price,
  }),
  Lined: (
    state: Order,
    { data }: { readonly data: { readonly sku: string; readonly count: number } },
  ) => ({ ...state, lines: { ...state.lines, [data.sku]: data.count } }),
  Noted: (state: Order) => state,
}
const OrderAggregate = defineAggregate('order', { ...parts, evolve })

const stores: Store[] = []
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
})

const line = fc.oneof(
  fc.integer({ min: 0, max: 3 }).map((price) => events.Priced({ price })),
  fc
    .tuple(fc.constantFrom('tea', 'oil'), fc.integer({ min: 0, max: 2 }))
    .map(([sku, count]) => events.Lined({ sku, count })),
  fc.constant(events.Noted({ text: 'x' })),
)

async function orderOf(lines: readonly { readonly type: string; readonly data: unknown }[]) {
  const store = await openStore('memory:')
  stores.push(store)
  for (const [index, one] of lines.entries()) {
    await store.append('other-1', { type: 'Passed', data: {} })
    const options = { time: new Date(index), metadata: { actor: `user-${index}` } }
    await store.append('order-1', { ...one, ...options })
  }
  return { store, orders: store.aggregate(OrderAggregate) }
}

async function listed<T>(all: AsyncIterable<T>): Promise<T[]> {
  return Array.fromAsync(all)
}

test('a state is the same by version, time and position, and history leads to it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 12 }), async (lines) => {
      const { store, orders } = await orderOf(lines)
      const stored = await store.readStream('order-1').toArray()
      for (const { version, position, time } of stored) {
        const loaded = await orders.load('1', { version })
        expect(await orders.load('1', { position })).toEqual(loaded)
        expect(await orders.load('1', { position: position + 1 })).toEqual(loaded)
        expect(await orders.load('1', { at: time })).toEqual(loaded)
      }
      for (const [path, pick] of [
        ['/price', ({ price }: Order) => price],
        ['/lines/tea', ({ lines }: Order) => lines.tea],
        ['', (state: Order) => state],
      ] as const) {
        const changes = await listed(orders.history('1', path))
        let before: unknown = pick(parts.initial())
        for (const change of changes) {
          expect(change.before).toEqual(before)
          expect(change.after).not.toEqual(before)
          const { state } = await orders.load('1', { version: change.event.version })
          expect(change.after).toEqual(pick(state))
          before = change.after
        }
        expect(before).toEqual(pick((await orders.load('1')).state))
      }
      const from = await orders.diff('1', { version: 0 })
      expect([from.from, from.to]).toEqual([0, stored.length])
      const back = await orders.diff('1', {}, { version: 0 })
      expect(back.changes.length).toBe(from.changes.length)
    }),
    { numRuns: 30 },
  )
})

test('history tells who changed a value, by which event', async () => {
  const { orders } = await orderOf([
    events.Priced({ price: 3 }),
    events.Noted({ text: 'x' }),
    events.Priced({ price: 5 }),
  ])
  const told = await listed(orders.history('1', '/price'))
  expect(
    told.map(({ event: { version, metadata }, before, after }) => {
      return [version, metadata.actor, before, after]
    }),
  ).toEqual([
    [1, 'user-0', 0, 3],
    [3, 'user-2', 3, 5],
  ])
  expect(await listed(orders.history('1', '/price', { version: 2 }))).toHaveLength(1)
  expect(await listed(orders.history('2', '/price'))).toEqual([])
  await expect(listed(orders.history('1', 'price'))).rejects.toMatchObject({
    code: 'ARGUMENT_INVALID',
  })
  expect(await orders.diff('1', { version: 1 }, { version: 3 })).toEqual({
    ...{ from: 1, to: 3 },
    changes: [{ path: '/price', kind: 'changed', before: 3, after: 5 }],
  })
})

describe('changed code', () => {
  const log = [
    events.Priced({ price: 3 }),
    events.Lined({ sku: 'tea', count: 1 }),
    events.Noted({ text: 'free' }),
    events.Priced({ price: 5 }),
  ]

  test('that does the same is found equal, and nothing is written', async () => {
    const { store, orders } = await orderOf(log)
    const before = await store.positions()
    const same = defineAggregate('order', { ...parts, evolve: { ...evolve } })
    expect(await orders.compare('1', same)).toEqual({
      ...{ equal: true, version: 4, changes: [], firstDifference: undefined },
    })
    expect(await store.positions()).toEqual(before)
  })

  test('is shown with the first event that makes a difference, also one that passes', async () => {
    const { orders } = await orderOf(log)
    const changed = defineAggregate('order', {
      ...parts,
      evolve: { ...evolve, Noted: (state: Order) => ({ ...state, price: 0 }) },
    })
    expect(await orders.compare('1', changed)).toMatchObject({
      ...{ equal: false, changes: [], firstDifference: { version: 3, type: 'Noted' } },
    })
    expect(await orders.compare('1', changed, { version: 3 })).toMatchObject({
      changes: [{ path: '/price', before: 3, after: 0 }],
    })
  })

  test('may be a changed upcaster', async () => {
    const { orders } = await orderOf(log)
    const doubled = defineEvents({
      ...{ Lined: type<{ sku: string; count: number }>(), Noted: type<{ text: string }>() },
      Priced: event(type<{ price: number }>(), {
        version: 2,
        upcast: { 1: ({ price }: { price: number }) => ({ price: 2 * price }) },
      }),
    })
    const changed = defineAggregate('order', { ...parts, events: doubled, evolve })
    expect(await orders.compare('1', changed)).toMatchObject({
      ...{ equal: false, changes: [{ path: '/price', before: 5, after: 10 }] },
      firstDifference: { version: 1 },
    })
  })

  test('that is no definition is refused', async () => {
    const { orders } = await orderOf(log)
    await expect(orders.compare('1', {} as never)).rejects.toMatchObject({
      code: 'DEFINITION_INVALID',
    })
  })
})

class Basket extends Aggregate {
  static readonly aggregateName = 'order'
  static readonly events = events
  price = 0
  readonly skus: string[] = []
  onPriced({ data }: AppliedOf<typeof events, 'Priced'>): void {
    this.price = data.price
  }
  onLined({ data }: AppliedOf<typeof events, 'Lined'>): void {
    this.skus.push(data.sku)
  }
  onNoted(): void {}
}

class Cheaper extends Basket {
  override onPriced({ data }: AppliedOf<typeof events, 'Priced'>): void {
    this.price = data.price - 1
  }
}

test('classes travel, too: what they change in place is told apart', async () => {
  const { store } = await orderOf([
    events.Lined({ sku: 'tea', count: 1 }),
    events.Priced({ price: 3 }),
    events.Lined({ sku: 'oil', count: 1 }),
  ])
  const baskets = store.aggregate(Basket)
  expect((await listed(baskets.history('1', '/skus'))).map(({ after }) => after)).toEqual([
    ['tea'],
    ['tea', 'oil'],
  ])
  expect((await baskets.diff('1', { version: 1 })).changes).toEqual([
    { path: '/price', kind: 'changed', before: 0, after: 3 },
    { path: '/skus/1', kind: 'added', before: undefined, after: 'oil' },
  ])
  expect(await baskets.compare('1', Cheaper)).toMatchObject({
    ...{ equal: false, firstDifference: { version: 2 }, changes: [{ path: '/price', after: 2 }] },
  })
})

describeStores('a state at a position', ({ open }) => {
  test('counts no later event, and asks for removed ones', async () => {
    const port = await open()
    const store = await openStore(port)
    const orders = store.aggregate(OrderAggregate)
    const first = await store.append('order-1', events.Priced({ price: 3 }))
    await store.append('order-2', events.Priced({ price: 9 }))
    const third = await store.append('order-1', events.Priced({ price: 5 }))
    const price = async (position: number) => (await orders.load('1', { position })).state.price
    expect(await price(first.position)).toBe(3)
    expect(await price(third.position - 1)).toBe(3)
    expect(await price(third.position)).toBe(5)
    expect(await orders.load('1', { position: 0 })).toMatchObject({ version: 0 })
    for (const position of [-1, 0.5]) {
      await expect(orders.load('1', { position })).rejects.toMatchObject({
        code: 'ARGUMENT_INVALID',
      })
    }
    await store.truncate('order-1', { before: 2 })
    await expect(orders.load('1', { position: first.position })).rejects.toMatchObject({
      code: 'STREAM_TRUNCATED',
    })
  })
})
