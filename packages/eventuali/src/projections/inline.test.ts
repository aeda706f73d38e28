import { expect, it } from 'vitest'
import { systemClock } from '../kernel/index.ts'
import { defineEvents, type } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { collection } from './collection.ts'
import { type AnyProjection, defineProjection } from './define.ts'
import { withInlineProjections } from './inline.ts'
import { CollectionReader } from './reader.ts'
import { append, type Carrier, carriersProjection, Program, shipped } from './shop.test-support.ts'
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
