import { describe, expect, it } from 'vitest'
import { defineEvents, type } from '../model/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { collection } from './collection.ts'
import { defineProjection } from './define.ts'
import { projectLive } from './live.ts'
import {
  append,
  carriersProjection,
  newEvent,
  readEvents,
  sales,
  shop,
} from './shop.test-support.ts'

describe('projectLive', () => {
  it('folds what creators make', async () => {
    const live = await projectLive(carriersProjection({}), [
      shop.OrderShipped({ carrier: 'dhl', weight: 2 }),
      shop.OrderShipped({ carrier: 'ups', weight: 1 }),
      shop.OrderShipped({ carrier: 'dhl', weight: 3 }),
      shop.CustomerNamed({ name: 'ada' }),
    ])
    expect(await live.collection('carriers').get('dhl')).toEqual({ parcels: 2, weight: 5 })
    const heavy = await live.collection('carriers').entries({
      where: { parcels: { lte: 1 } },
      sort: { parcels: 'desc' },
    })
    expect(heavy).toEqual([{ key: 'ups', document: { parcels: 1, weight: 1 }, position: 2 }])
    expect(live.position).toBe(4)
  })

  it('joins by key over streams, with finds that see what the same batch wrote', async () => {
    const port = await openMemoryStore()
    await append(port, 'order-1', newEvent('OrderPlaced', { customer: 'c1', total: 5 }))
    await append(port, 'order-2', newEvent('OrderPlaced', { customer: 'c1', total: 7 }))
    await append(port, 'customer-c1', newEvent('CustomerNamed', { name: 'ada' }))
    await append(port, 'order-3', newEvent('OrderPlaced', { customer: 'c1', total: 9 }))
    await append(port, 'order-2', newEvent('OrderShipped', { carrier: 'dhl', weight: 1 }))
    const live = await projectLive(sales, await readEvents(port))
    const found = await live
      .collection('sales')
      .find({ where: { name: 'ada' }, sort: { total: 'asc' } })
    expect(found.map(({ total }) => total)).toEqual([5, 7, 9])
    expect(found[1]?.carrier).toBe('dhl')
  })

  it('keeps what handlers do with their objects out of the collection', async () => {
    const events = defineEvents({ Hit: type<{ n: number }>() })
    const projection = defineProjection({
      name: 'hits',
      version: 1,
      events: [events],
      collections: { hits: collection<{ n: number }>() },
      handlers: {
        Hit: async ({ data }, ctx) => {
          const document = { n: data.n }
          await ctx.collection('hits').put('x', document)
          document.n = 99
          const got = await ctx.collection('hits').get('x')
          if (got !== undefined) got.n = 98
        },
      },
    })
    const live = await projectLive(projection, [events.Hit({ n: 1 })])
    expect(await live.collection('hits').get('x')).toEqual({ n: 1 })
  })

  it('refuses what JSON does not carry, and a context that outlives its handler', async () => {
    const events = defineEvents({ Hit: type<null>(), Late: type<null>() })
    let late: Promise<unknown> | undefined
    const projection = defineProjection({
      name: 'hits',
      version: 1,
      events: [events],
      collections: { hits: collection<{ n: number }>() },
      handlers: {
        Hit: (_event, ctx) => ctx.collection('hits').put('x', { n: Number.NaN }),
        Late: (_event, ctx) => {
          late = new Promise((resolve) => setTimeout(resolve, 10)).then(() =>
            ctx.collection('hits').put('x', { n: 1 }),
          )
          late.catch(() => {})
        },
      },
    })
    await expect(projectLive(projection, [events.Hit(null)])).rejects.toMatchObject({
      code: 'DATA_NOT_JSON',
    })
    await projectLive(projection, [events.Late(null)])
    await expect(late).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
  })
})

describe('defineProjection', () => {
  const events = defineEvents({ Hit: type<{ n: number }>() })
  const collections = { hits: collection<{ n: number }>() }
  const handlers = { Hit: () => {} }
  const base = { name: 'hits', version: 1, events: [events] as const, collections, handlers }

  it.each([
    ['a name', { ...base, name: 'No spaces' }],
    ['a version', { ...base, version: 0 }],
    ['a mode', { ...base, mode: 'sometimes' }],
    ['targets', { ...base, collections: {} }],
    ['a target', { ...base, collections: { 'a-b': collections.hits } }],
    [
      'targets that are one',
      { ...base, collections: { aB: collections.hits, a_b: collections.hits } },
    ],
    ['a collection', { ...base, collections: { hits: {} } }],
    ['a table', { ...base, tables: { log: 'CREATE TABLE log (id text)' } }],
    ['handlers', { ...base, handlers: undefined }],
    ['handlers or a batch', { ...base, batch: () => {} }],
    ['a handler', { ...base, handlers: { Hit: 'x' } }],
    ['a type', { ...base, handlers: { Miss: () => {} } }],
    ['an effect', { ...base, effects: { Miss: () => {} } }],
    ['an order', { ...base, mode: 'inline', key: () => 'all' }],
    ['a time limit', { ...base, timeLimitMs: 0 }],
  ])('checks %s', (_what, parts) => {
    expect(() => defineProjection(parts as never)).toThrow(
      expect.objectContaining({ code: 'DEFINITION_INVALID' }),
    )
  })
})
