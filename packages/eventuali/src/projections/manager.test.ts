import { setTimeout as wait } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { systemClock } from '../kernel/index.ts'
import type { EventStore } from '../ports/index.ts'
import { DeadLetters, listAudit } from '../subscriptions/index.ts'
import { collection } from './collection.ts'
import { type AnyProjection, defineProjection } from './define.ts'
import { withInlineProjections } from './inline.ts'
import { CollectionReader } from './reader.ts'
import {
  append,
  type Carrier,
  carriersProjection,
  Program,
  sales,
  shipped,
  shop,
} from './shop.test-support.ts'
import { describeStores } from './stores.test-support.ts'

const reader = (port: EventStore) => new CollectionReader<Carrier>(port, 'carriers', 'carriers')
const within = { timeoutMs: 10_000 }

async function ship(port: EventStore, count: number, carrier = 'dhl'): Promise<number> {
  let position = 0
  for (let n = 0; n < count; n++) position = await append(port, `order-${n % 7}`, shipped(carrier))
  return position
}

describeStores('Projections', ({ open }) => {
  it('builds what was there, follows what comes, and reads its own writes', async () => {
    const port = await open()
    const before = await ship(port, 20)
    const carriers = carriersProjection({})
    await using program = new Program(port, [carriers, sales])
    await program.projections.start()
    await program.projections.projected('carriers', before, within)
    expect((await reader(port).get('dhl'))?.parcels).toBe(20)
    for (let n = 21; n <= 40; n++) {
      const position = await append(port, 'order-1', shipped())
      await program.projections.projected('carriers', position, within)
      expect((await reader(port).get('dhl'))?.parcels).toBe(n)
    }
    const [status] = await program.projections.status()
    expect(status).toMatchObject({ name: 'carriers', live: { generation: 1, version: 1 }, lag: 0 })
  })

  it('is projected past events that it does not handle', async () => {
    const port = await open()
    await using program = new Program(port, [carriersProjection({})])
    await program.projections.start()
    const position = await append(port, 'x-1', { ...shipped(), type: 'Other' })
    await program.projections.projected('carriers', position, within)
    const late = program.projections.projected('carriers', position + 1, { timeoutMs: 30 })
    await expect(late).rejects.toMatchObject({ code: 'TIMEOUT' })
  })

  it('goes on in another process, exactly where the first one stopped', async () => {
    const port = await open()
    const carriers = carriersProjection({})
    {
      await using program = new Program(port, [carriers])
      await program.projections.start()
      await program.projections.projected('carriers', await ship(port, 5), within)
    }
    const position = await ship(port, 5)
    await using program = new Program(port, [carriers])
    await program.projections.start()
    await program.projections.projected('carriers', position, within)
    expect((await reader(port).get('dhl'))?.parcels).toBe(10)
  })

  it('pauses and resumes', async () => {
    const port = await open()
    await using program = new Program(port, [carriersProjection({})])
    await program.projections.start()
    await program.projections.pause('carriers')
    const position = await ship(port, 3)
    await wait(60)
    expect(await reader(port).get('dhl')).toBe(undefined)
    expect((await program.projections.status())[0]).toMatchObject({ state: 'paused', paused: true })
    await program.projections.resume('carriers')
    await program.projections.projected('carriers', position, within)
    expect((await reader(port).get('dhl'))?.parcels).toBe(3)
  })
})

describeStores('rebuild', ({ open }) => {
  it('serves the old model until the new one is whole, during appends', async () => {
    const port = await open()
    const carriers = carriersProjection({})
    await ship(port, 300)
    await using program = new Program(port, [carriers])
    await program.projections.start()
    await program.projections.projected('carriers', 300, within)
    let isOver = false
    let seen = 300
    const reading = (async () => {
      while (!isOver) {
        const parcels = (await reader(port).get('dhl'))?.parcels ?? 0
        expect(parcels).toBeGreaterThanOrEqual(seen)
        seen = parcels
        await wait(0)
      }
    })()
    const writing = ship(port, 200)
    const progress: number[] = []
    const report = await program.projections.rebuild('carriers', {
      requireEqual: true,
      onProgress: ({ done, total }) => progress.push(done / total),
    })
    const position = await writing
    await program.projections.projected('carriers', position, within)
    isOver = true
    await reading
    expect(progress.length).toBeGreaterThan(0)
    expect(report).toMatchObject({ generation: 2, comparison: { equal: true, same: 1 } })
    expect((await reader(port).get('dhl'))?.parcels).toBe(500)
  })

  it('tells a planted difference, and refuses the switch when equality is asked for', async () => {
    const port = await open()
    await ship(port, 5)
    await ship(port, 2, 'ups')
    const carriers = carriersProjection({})
    await using program = new Program(port, [carriers])
    await program.projections.start()
    await program.projections.projected('carriers', 7, within)
    const planted = { parcels: 1, weight: 1 }
    await port.transaction(async (tx) => {
      await tx.models.put('carriers__g1', [{ key: 'ghost', value: planted, position: 1 }])
      await tx.models.put('carriers__g1', [{ key: 'dhl', value: planted, position: 1 }])
      await tx.models.remove('carriers__g1', ['ups'])
    })
    const refused = program.projections.rebuild('carriers', { requireEqual: true })
    await expect(refused).rejects.toMatchObject({
      code: 'PROJECTION_DIFFERS',
      report: { equal: false, same: 0, onlyOld: 1, onlyNew: 1, different: 1 },
    })
    expect((await reader(port).get('ghost'))?.parcels).toBe(1)
    const { comparison } = await program.projections.rebuild('carriers')
    expect(comparison?.rows.map(({ key }) => key).toSorted()).toEqual(['dhl', 'ghost', 'ups'])
    expect(await reader(port).get('ghost')).toBe(undefined)
    const again = await program.projections.compare('carriers')
    expect(again).toMatchObject({ samePosition: true, onlyOld: 1, onlyNew: 1, different: 1 })
    await program.projections.rollback('carriers')
    expect((await reader(port).get('ghost'))?.parcels).toBe(1)
    expect(await program.projections.dropOld('carriers', { actor: 'ada' })).toEqual([2])
    const actions = (await listAudit(port.records, { limit: 100 })).map(({ action }) => action)
    // Entries of one millisecond have no order among them.
    expect(actions.toSorted()).toEqual([
      ...['projection.drop', 'projection.rollback', 'projection.switch', 'projection.switch'],
      'subscription.drop',
    ])
  })
})

describeStores('rebuild of another kind', ({ open }) => {
  it('moves to another version while the old one is kept current, and back', async () => {
    const port = await open()
    await ship(port, 5)
    await using old = new Program(port, [carriersProjection({})])
    await old.projections.start()
    await using next = new Program(port, [carriersProjection({ version: 2, factor: 10 })])
    await next.projections.start()
    expect((await next.projections.status())[0]).toMatchObject({ state: 'outdated' })
    const report = await next.projections.rebuild('carriers')
    expect(report.comparison).toMatchObject({ different: 1, samePosition: true })
    const position = await ship(port, 5)
    await next.projections.projected('carriers', position, within)
    expect(await reader(port).get('dhl')).toEqual({ parcels: 10, weight: 100 })
    await old.projections.rollback('carriers')
    expect(await reader(port).get('dhl')).toEqual({ parcels: 10, weight: 10 })
  })

  it('ends under a barrier for an inline one: no append is missed or counted twice', async () => {
    const bare = await open()
    const carriers = carriersProjection({ mode: 'inline' })
    const port = withInlineProjections(bare, [carriers as AnyProjection], { clock: systemClock })
    await ship(port, 50)
    await using program = new Program(port, [carriers])
    await program.projections.start()
    const writing = Promise.all(Array.from({ length: 4 }, () => ship(port, 50)))
    const report = await program.projections.rebuild('carriers', { requireEqual: true })
    await writing
    expect(report.comparison?.equal).toBe(true)
    expect((await reader(port).get('dhl'))?.parcels).toBe(250)
    await program.projections.rollback('carriers')
    await ship(port, 1)
    expect((await reader(port).get('dhl'))?.parcels).toBe(251)
    expect((await program.projections.status())[0]).toMatchObject({
      ...{ state: 'inline', live: { generation: 1 } },
    })
  })

  it('names the event that it cannot pass, or passes over it when told to', async () => {
    const port = await open()
    await ship(port, 5)
    const bad = await append(port, 'order-1', shipped('bad'))
    await ship(port, 5)
    const picky = (version: number, isPicky: boolean) =>
      defineProjection({
        ...{ name: 'carriers', version },
        events: [shop],
        collections: { carriers: collection<Carrier>() },
        handlers: {
          OrderShipped: async ({ data }, ctx) => {
            if (isPicky && data.carrier === 'bad') throw new Error('planted')
            await ctx.collection('carriers').patch(data.carrier, (was) => ({
              parcels: (was?.parcels ?? 0) + 1,
              weight: 0,
            }))
          },
        },
      })
    await using old = new Program(port, [picky(1, false)])
    await old.projections.start()
    await using next = new Program(port, [picky(2, true)])
    await next.projections.start()
    await expect(next.projections.rebuild('carriers')).rejects.toMatchObject({
      ...{ code: 'PROJECTION_BUILD_FAILED', position: bad },
    })
    expect((await next.projections.status())[0]).toMatchObject({ error: { position: bad } })
    const report = await next.projections.rebuild('carriers', { onError: 'skip' })
    expect(report).toMatchObject({ skipped: [bad], comparison: { onlyOld: 1, same: 1 } })
    expect((await reader(port).get('dhl'))?.parcels).toBe(10)
  })
})

describeStores('a poisonous event', ({ open }) => {
  it('is parked with its key only, and handled in order once the handler is mended', async () => {
    const port = await open()
    let isBroken = true
    const picky = defineProjection({
      ...{ name: 'carriers', version: 1 },
      events: [shop],
      collections: { carriers: collection<Carrier>() },
      handlers: {
        OrderShipped: async ({ data }, ctx) => {
          if (isBroken && data.carrier === 'bad') throw new Error('planted')
          await ctx.collection('carriers').patch(data.carrier, (was) => ({
            parcels: (was?.parcels ?? 0) + 1,
            weight: 0,
          }))
        },
      },
    })
    await using program = new Program(port, [picky])
    await program.projections.start()
    const bad = await append(port, 'order-1', shipped('bad'))
    await append(port, 'order-1', shipped('dhl'))
    const position = await append(port, 'order-2', shipped('dhl'))
    await program.projections.projected('carriers', position, { timeoutMs: 30_000 })
    expect((await reader(port).get('dhl'))?.parcels).toBe(1)
    const letters = new DeadLetters(port, { clock: systemClock, ids: program.ids }, 10_000)
    const found = await letters.list({ subscription: 'projection:carriers/g1' })
    expect(found.map((letter) => letter.position)).toEqual([bad, bad + 1])
    isBroken = false
    await letters.retryAll('projection:carriers/g1')
    for (let n = 0; n < 300 && (await reader(port).get('dhl'))?.parcels !== 2; n++) await wait(20)
    expect((await reader(port).get('dhl'))?.parcels).toBe(2)
    expect((await reader(port).get('bad'))?.parcels).toBe(1)
  })
})

describeStores('effects', ({ open }) => {
  it('run for what comes after the first build, once each, and in no rebuild', async () => {
    const port = await open()
    await ship(port, 3)
    const effects: string[] = []
    const mailed = defineProjection({
      ...{ name: 'carriers', version: 1 },
      events: [shop],
      collections: { carriers: collection<Carrier>() },
      handlers: { OrderShipped: () => {} },
      effects: {
        OrderShipped: ({ position }, { effectId }) => effects.push(`${position} ${effectId}`),
      },
    })
    await using program = new Program(port, [mailed])
    await program.projections.start()
    await ship(port, 3)
    for (let n = 0; n < 200 && effects.length < 3; n++) await wait(10)
    expect(effects.map((effect) => Number.parseInt(effect, 10))).toEqual([4, 5, 6])
    await program.projections.rebuild('carriers')
    await ship(port, 1)
    for (let n = 0; n < 200 && effects.length < 4; n++) await wait(10)
    await wait(50)
    expect(new Set(effects).size).toBe(4)
    expect(effects).toHaveLength(4)
  })
})
