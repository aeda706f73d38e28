import { describe, expect, it } from 'vitest'
import { systemClock } from '../kernel/index.ts'
import { ConnectionError, defineEvents, type } from '../model/index.ts'
import type { EventStore, NewEvent } from '../ports/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { collection } from './collection.ts'
import { type AnyProjection, defineProjection } from './define.ts'
import { withInlineProjections } from './inline.ts'
import { CollectionReader } from './reader.ts'
import {
  append,
  type Carrier,
  carriersProjection,
  newEvent,
  Program,
  shipped,
} from './shop.test-support.ts'
import { describeStores } from './stores.test-support.ts'

const inline = (port: EventStore, ...definitions: readonly unknown[]): EventStore =>
  withInlineProjections(port, definitions as AnyProjection[], { clock: systemClock })

const carriers = carriersProjection({ mode: 'inline' })
const reader = (port: EventStore) => new CollectionReader<Carrier>(port, 'carriers', 'carriers')

describeStores('withInlineProjections', ({ open }) => {
  it('writes the model in the append, and refuses a writer without it', async () => {
    const bare = await open()
    const port = inline(bare, carriers)
    await using program = new Program(port, [carriers])
    await append(port, 'order-0', shipped('dhl', 5))
    await expect(reader(port).get('dhl')).rejects.toMatchObject({ code: 'PROJECTION_NOT_READY' })
    await program.projections.start()
    await program.projections.projected('carriers', 1, { timeoutMs: 5000 })
    expect(await reader(port).get('dhl')).toEqual({ parcels: 1, weight: 5 })
    await append(port, 'order-1', shipped('dhl', 2), shipped('ups', 3))
    expect(await reader(port).get('dhl')).toEqual({ parcels: 2, weight: 7 })
    expect(await reader(port).get('ups')).toEqual({ parcels: 1, weight: 3 })
    await expect(append(bare, 'order-2', shipped())).rejects.toThrow('projection-missing')
    const other = inline(bare, carriersProjection({ mode: 'inline', version: 2 }))
    await expect(append(other, 'order-2', shipped())).rejects.toThrow('projection-missing')
    await program.projections.demote('carriers')
    const position = await append(bare, 'order-2', shipped('dhl'))
    await program.projections.projected('carriers', position, { timeoutMs: 5000 })
    expect((await reader(port).get('dhl'))?.parcels).toBe(3)
    await append(port, 'order-3', shipped('dhl'))
  })

  it('counts exactly with 16 writers on one document, repeats nothing for a known id', async () => {
    const port = inline(await open(), carriers)
    await using program = new Program(port, [carriers])
    await program.projections.start()
    await Promise.all(
      Array.from({ length: 16 }, async (_, writer) => {
        for (let n = 0; n < 10; n++) {
          await append(port, `order-${writer}`, shipped('dhl', 1, `id-${n}`))
          await append(port, `order-${writer}`, shipped('dhl', 1, `id-${n}`))
        }
      }),
    )
    expect(await reader(port).get('dhl')).toEqual({ parcels: 160, weight: 160 })
  })
})

describeStores('failures of inline projections', ({ open }) => {
  it('touches nobody else when a handler throws or takes too long', async () => {
    const events = defineEvents({ Hit: type<{ how: string }>() })
    const hits = defineProjection({
      ...{ name: 'hits', version: 1, mode: 'inline', timeLimitMs: 50 },
      events: [events],
      collections: { hits: collection<{ how: string }>() },
      handlers: {
        Hit: async ({ stream, data }, ctx) => {
          await ctx.collection('hits').put(stream, data)
          if (data.how === 'throw') throw new Error('planted')
          if (data.how === 'hang') await new Promise(() => {})
        },
      },
    })
    const port = inline(await open(), hits)
    await using program = new Program(port, [hits])
    await program.projections.start()
    const hit = (stream: string, how: string) =>
      append(port, stream, { ...shipped(), type: 'Hit', data: { how } })
    const results = await Promise.allSettled([
      hit('a-1', 'fine'),
      hit('a-2', 'throw'),
      hit('a-3', 'fine'),
      hit('a-4', 'hang'),
      hit('a-5', 'fine'),
    ])
    expect(results.map(({ status }) => status)).toEqual([
      ...['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled'],
    ])
    expect(results[1]).toMatchObject({ reason: { code: 'PROJECTION_INLINE_FAILED' } })
    expect(results[3]).toMatchObject({ reason: { code: 'PROJECTION_TIMEOUT' } })
    const found = await new CollectionReader(port, 'hits', 'hits').entries()
    expect(found.map(({ key }) => key)).toEqual(['a-1', 'a-3', 'a-5'])
    expect(await port.stream('a-2')).toBe(undefined)
  })

  it('runs in a transaction of the user, leaves nothing of a caught failure', async () => {
    const port = inline(await open(), carriers)
    await using program = new Program(port, [carriers])
    await program.projections.start()
    await append(port, 'order-1', shipped())
    await port.transaction(async (tx) => {
      await append(tx, 'order-2', shipped('dhl', 2))
      await tx.savepoint(async () => append(tx, 'order-3', shipped('dhl', 3)))
    })
    expect(await reader(port).get('dhl')).toEqual({ parcels: 3, weight: 6 })
    const rolledBack = port.transaction(async (tx) => {
      await append(tx, 'order-4', shipped())
      throw new Error('no')
    })
    await expect(rolledBack).rejects.toThrow('no')
    expect((await reader(port).get('dhl'))?.parcels).toBe(3)
  })
})

describe('an append that stores nothing', () => {
  const at = (stream: string, expectedVersion: number | 'any', ...events: NewEvent[]) => ({
    entries: [{ stream, expectedVersion, events }],
  })

  it('runs no handler, and leaves those that share its transaction alone', async () => {
    const port = inline(await openMemoryStore(), carriers)
    await using program = new Program(port, [carriers])
    await program.projections.start()
    await append(port, 'order-1', shipped())
    const outcomes = await Promise.all([
      port.append(at('order-1', 'any', shipped())),
      port.append(at('order-1', 7, shipped())),
      port.append(at('order-2', 'any', shipped())),
    ])
    expect(outcomes).toMatchObject([
      { ok: true },
      { ok: false, reason: 'version-conflict' },
      { ok: true },
    ])
    expect(await reader(port).get('dhl')).toEqual({ parcels: 3, weight: 3 })
  })

  it('is told its outcome in a transaction of the user', async () => {
    const port = inline(await openMemoryStore(), carriers)
    await using program = new Program(port, [carriers])
    await program.projections.start()
    await append(port, 'order-1', shipped('dhl', 1, 'known'))
    await port.transaction(async (tx) => {
      const again = await tx.append(at('order-1', 'any', shipped('dhl', 1, 'known')))
      expect(again).toMatchObject({ ok: true, entries: [{ duplicate: expect.anything() }] })
      expect(await tx.append(at('order-1', 7, shipped()))).toMatchObject({
        reason: 'version-conflict',
      })
      // Of no concern to any projection, in the same transaction.
      await append(tx, 'customer-1', newEvent('CustomerNamed', { name: 'ada' }))
    })
    expect(await reader(port).get('dhl')).toEqual({ parcels: 1, weight: 1 })
    expect((await port.stream('customer-1'))?.version).toBe(1)
  })
})

describe('a projection that another process makes inline', () => {
  const hits = defineProjection({
    ...{ name: 'hits', version: 1, mode: 'inline' },
    events: [defineEvents({ OrderShipped: type<{ carrier: string; weight: number }>() })],
    collections: { hits: collection<{ carrier: string }>() },
    handlers: {
      OrderShipped: ({ data, stream }, ctx) =>
        ctx.collection('hits').put(stream, { carrier: data.carrier }),
    },
  })

  /** A process that knows both, and has seen one of them inline. */
  async function knowing() {
    const bare = await openMemoryStore()
    const port = inline(bare, carriers, hits)
    await using program = new Program(port, [carriers])
    await program.projections.start()
    await append(port, 'order-1', shipped())
    await using other = new Program(bare, [hits])
    await other.projections.rebuild('hits')
    const found = async () => [
      (await reader(port).get('dhl'))?.parcels,
      await new CollectionReader(port, 'hits', 'hits').count(),
    ]
    return { bare, port, found }
  }

  it('is written by the very next append', async () => {
    const { port, found } = await knowing()
    await append(port, 'order-2', shipped())
    expect(await found()).toEqual([2, 2])
  })

  it('is written in a transaction of the user, which goes on', async () => {
    const { bare, found } = await knowing()
    const port = inline(bare, hits, carriers)
    await port.transaction(async (tx) => {
      await append(tx, 'customer-1', newEvent('CustomerNamed', { name: 'ada' }))
      await append(tx, 'order-2', shipped())
    })
    expect(await found()).toEqual([2, 2])
  })

  it('is written though it is the first of its kind, and nothing was inline before', async () => {
    const bare = await openMemoryStore()
    const port = inline(bare, hits)
    await port.transaction(async (tx) => append(tx, 'order-1', shipped()))
    await using other = new Program(bare, [hits])
    await other.projections.rebuild('hits')
    await port.transaction(async (tx) => append(tx, 'order-2', shipped()))
    expect(await new CollectionReader(port, 'hits', 'hits').count()).toBe(2)
  })
})

it('trouble with the storage in a handler is passed on as it is, to be tried again', async () => {
  let isDown = true
  const moody = defineProjection({
    ...{ name: 'hits', version: 1, mode: 'inline' },
    events: [defineEvents({ Hit: type<null>() })],
    collections: { hits: collection<{ n: number }>() },
    handlers: {
      Hit: ({ stream }, ctx) => {
        if (isDown) throw new ConnectionError('planted')
        return ctx.collection('hits').put(stream, { n: 1 })
      },
    },
  })
  const port = inline(await openMemoryStore(), moody)
  await using program = new Program(port, [moody])
  await program.projections.start()
  const hit = () => append(port, 'a-1', newEvent('Hit', null))
  await expect(hit()).rejects.toMatchObject({ code: 'CONNECTION_FAILED', retryable: true })
  isDown = false
  await hit()
  expect(await new CollectionReader(port, 'hits', 'hits').count()).toBe(1)
})
