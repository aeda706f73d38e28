import { describe, expect, it } from 'vitest'
import { systemClock } from '../kernel/index.ts'
import type { EventStore } from '../ports/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { collection } from './collection.ts'
import { compareGenerations } from './compare.ts'
import { type AnyProjection, defineProjection } from './define.ts'
import { withInlineProjections } from './inline.ts'
import { CollectionReader } from './reader.ts'
import {
  generationOf,
  lockRegistered,
  readAllRegistered,
  readRegistered,
  writeRegistered,
} from './registry.ts'
import {
  append,
  type Carrier,
  carriersProjection,
  Program,
  shipped,
  shop,
} from './shop.test-support.ts'

// What an operator does with projections, and what is refused: the same code over every store.
const within = { timeoutMs: 10_000 }
const refused = (argument: string) => ({ code: 'ARGUMENT_INVALID', argument })
const reader = (port: EventStore) => new CollectionReader<Carrier>(port, 'carriers', 'carriers')

async function started(port: EventStore, ...definitions: readonly unknown[]): Promise<Program> {
  const program = new Program(port, definitions)
  await program.projections.start()
  return program
}

describe('an unknown name', () => {
  it('is refused by everything but demote, which is for those of other programs', async () => {
    const port = await openMemoryStore()
    await using program = await started(port, carriersProjection({}))
    const { projections } = program
    expect(projections.names).toEqual(['carriers'])
    for (const call of [
      () => projections.rebuild('x'),
      () => projections.compare('x'),
      () => projections.rollback('x'),
      () => projections.switchTo('x', 1),
      () => projections.dropOld('x'),
      () => projections.pause('x'),
      () => projections.resume('x'),
      () => projections.projected('x', 1),
      () => projections.demote('x'),
    ]) {
      await expect((async () => call())()).rejects.toMatchObject(refused('name'))
    }
  })

  it('is one that is given twice, or a table that two would keep', async () => {
    const port = await openMemoryStore()
    const carriers = carriersProjection({})
    const code = 'DEFINITION_INVALID'
    expect(() => new Program(port, [carriers, carriers])).toThrow(expect.objectContaining({ code }))
    const other = carriersProjection({ name: 'other' })
    expect(() => new Program(port, [carriers, other])).toThrow(/both keep carriers/)
  })
})

describe('the status', () => {
  it('is unregistered, live with a lag, stopped', async () => {
    const port = await openMemoryStore()
    const program = new Program(port, [carriersProjection({})])
    expect(await program.projections.status()).toEqual([
      {
        ...{ name: 'carriers', version: 1, mode: 'async', state: 'unregistered' },
        ...{ live: undefined, position: undefined, lag: undefined, paused: false },
        ...{ generations: [], build: undefined, error: undefined },
      },
    ])
    await program.projections.start()
    const position = await append(port, 'order-1', shipped())
    await program.projections.projected('carriers', position, within)
    await program.projections.stop()
    await append(port, 'order-1', shipped())
    await append(port, 'order-1', shipped())
    const [status] = await program.projections.status()
    expect(status).toMatchObject({ state: 'stopped', live: { generation: 1 }, position, lag: 2 })
    expect(status?.generations).toEqual([
      {
        ...{ generation: 1, version: 1, mode: 'async', status: 'live' },
        tables: { carriers: 'carriers__g1' },
      },
    ])
  })

  it('is building while no generation is live', async () => {
    const port = await openMemoryStore()
    await append(port, 'order-1', shipped('bad'))
    const broken = defineProjection({
      ...{ name: 'carriers', version: 1, events: [shop] },
      collections: { carriers: collection<Carrier>() },
      handlers: {
        OrderShipped: () => {
          throw new Error('planted')
        },
      },
    })
    await using program = await started(port, broken)
    await expect(program.projections.rebuild('carriers')).rejects.toMatchObject({ position: 1 })
    const [status] = await program.projections.status()
    expect(status).toMatchObject({ state: 'building', live: undefined, lag: undefined })
    expect(status?.error).toMatchObject({ code: 'PROJECTION_BUILD_FAILED' })
    await expect(reader(port).get('dhl')).rejects.toMatchObject({ code: 'PROJECTION_NOT_READY' })
    expect(await reader(port).getMany([])).toEqual([])
    const late = program.projections.projected('carriers', 1, { timeoutMs: 30 })
    await expect(late).rejects.toMatchObject({
      ...{ code: 'TIMEOUT', cause: { code: 'PROJECTION_BUILD_FAILED' } },
    })
  })
})

describe('waiting', () => {
  it('is for a position, and ends with its signal', async () => {
    const port = await openMemoryStore()
    await using program = await started(port, carriersProjection({}))
    for (const position of [-1, 0.5, Number.NaN]) {
      const waiting = program.projections.projected('carriers', position)
      await expect(waiting).rejects.toMatchObject(refused('position'))
    }
    await program.projections.projected('carriers', 0)
    const reason = new Error('enough')
    const waiting = program.projections.projected('carriers', 5, {
      signal: AbortSignal.abort(reason),
    })
    await expect(waiting).rejects.toBe(reason)
  })
})

describe('going back', () => {
  it('has nowhere to go from a first generation', async () => {
    const port = await openMemoryStore()
    await using program = await started(port, carriersProjection({}))
    const { projections } = program
    await expect(projections.rollback('carriers')).rejects.toMatchObject(refused('name'))
    await expect(projections.compare('carriers')).rejects.toMatchObject(refused('name'))
    await expect(projections.switchTo('carriers', 7)).rejects.toMatchObject(refused('generation'))
    await projections.switchTo('carriers', 1)
    expect((await projections.status())[0]?.live?.generation).toBe(1)
  })

  it('goes to any kept generation by its number, and forward again', async () => {
    const port = await openMemoryStore()
    await append(port, 'order-1', shipped())
    await using program = await started(port, carriersProjection({}))
    const { projections } = program
    await projections.rebuild('carriers', { compare: false })
    await projections.rebuild('carriers')
    const live = async () => (await projections.status())[0]?.live?.generation
    expect(await live()).toBe(3)
    await projections.switchTo('carriers', 1, { actor: 'ada' })
    expect(await live()).toBe(1)
    const position = await append(port, 'order-1', shipped())
    await projections.projected('carriers', position, within)
    expect((await reader(port).get('dhl'))?.parcels).toBe(2)
    await projections.switchTo('carriers', 3)
    expect(await live()).toBe(3)
    await projections.projected('carriers', position, within)
    expect((await reader(port).get('dhl'))?.parcels).toBe(2)
    expect(await projections.dropOld('carriers')).toEqual([1, 2])
    await expect(projections.switchTo('carriers', 1)).rejects.toMatchObject(refused('generation'))
    const { value } = (await readRegistered(port.records, 'carriers')) ?? { value: undefined }
    expect(value).toMatchObject({ live: 3, previous: null })
    expect(Object.keys(value?.generations ?? {})).toEqual(['3'])
  })

  it('takes a switch from inline to asynchronous back under a barrier', async () => {
    const bare = await openMemoryStore()
    const first = carriersProjection({})
    await append(bare, 'order-1', shipped())
    await using old = await started(bare, first)
    await old.projections.projected('carriers', 1, within)
    const inline = carriersProjection({ mode: 'inline', version: 2 })
    const port = withInlineProjections(bare, [inline as AnyProjection], { clock: systemClock })
    await using next = await started(port, inline)
    await expect(next.projections.rebuild('carriers')).resolves.toMatchObject({ generation: 2 })
    expect((await next.projections.status())[0]).toMatchObject({ state: 'inline' })
    const position = await append(port, 'order-2', shipped())
    expect((await reader(port).get('dhl'))?.parcels).toBe(2)
    await expect(next.projections.pause('carriers')).rejects.toThrow(/demote it first/)
    const seen = await old.projections.compare('carriers', within)
    expect(seen).toMatchObject({
      equal: true,
      samePosition: true,
      old: { position },
      new: { position },
    })
    await old.projections.rollback('carriers', { actor: 'ada' })
    expect(await bare.inlineProjections()).toEqual([])
    expect((await old.projections.status())[0]).toMatchObject({ live: { generation: 1 } })
    const later = await append(bare, 'order-2', shipped())
    await old.projections.projected('carriers', later, within)
    expect((await reader(port).get('dhl'))?.parcels).toBe(3)
    // The way forward needs the code of the inline one.
    await expect(old.projections.rollback('carriers')).rejects.toThrow(/call it from a program/)
    const apart = await old.projections.compare('carriers', { timeoutMs: 1 })
    expect(apart).toMatchObject({ samePosition: false, equal: false, different: 1 })
    await next.projections.rollback('carriers')
    expect((await reader(port).get('dhl'))?.parcels).toBe(3)
    expect((await bare.inlineProjections()).map(({ name }) => name)).toEqual(['carriers'])
  })

  it('makes an inline one asynchronous without a rebuild, and only that', async () => {
    const bare = await openMemoryStore()
    const inline = carriersProjection({ mode: 'inline' })
    const port = withInlineProjections(bare, [inline as AnyProjection], { clock: systemClock })
    await using program = await started(port, inline)
    await append(port, 'order-1', shipped())
    await program.projections.demote('carriers', { actor: 'ada' })
    expect(await bare.inlineProjections()).toEqual([])
    const position = await append(bare, 'order-1', shipped())
    await program.projections.projected('carriers', position, within)
    expect((await reader(port).get('dhl'))?.parcels).toBe(2)
    await expect(program.projections.demote('carriers')).rejects.toThrow(/is not inline/)
  })

  it('does not wait for a version whose code does not run here', async () => {
    const port = await openMemoryStore()
    await using old = await started(port, carriersProjection({}))
    await old.projections.projected('carriers', await append(port, 'order-1', shipped()), within)
    await using next = await started(port, carriersProjection({ version: 2, factor: 2 }))
    await next.projections.rebuild('carriers')
    await old.projections.stop()
    const position = await append(port, 'order-1', shipped())
    await next.projections.projected('carriers', position, within)
    expect(await reader(port).get('dhl')).toEqual({ parcels: 2, weight: 4 })
    await next.projections.rollback('carriers')
    expect(await reader(port).get('dhl')).toEqual({ parcels: 1, weight: 1 })
    expect((await next.projections.status())[0]).toMatchObject({ state: 'outdated' })
  })
})

describe('comparing', () => {
  it('looks at a generation that is being built, as it stands', async () => {
    const port = await openMemoryStore()
    for (const carrier of ['dhl', 'dhl', 'bad']) await append(port, 'order-1', shipped(carrier))
    await using old = await started(port, carriersProjection({}))
    await old.projections.projected('carriers', 3, within)
    const picky = defineProjection({
      ...{ name: 'carriers', version: 2, events: [shop] },
      collections: { carriers: collection<Carrier>({ indexes: { parcels: 'number' } }) },
      handlers: {
        OrderShipped: ({ data }, ctx) => {
          if (data.carrier === 'bad') throw new Error('planted')
          return ctx.collection('carriers').patch(data.carrier, (was) => ({
            parcels: (was?.parcels ?? 0) + 1,
            weight: (was?.weight ?? 0) + 1,
          }))
        },
      },
    })
    await using next = await started(port, picky)
    await expect(next.projections.rebuild('carriers')).rejects.toMatchObject({ position: 3 })
    const report = await next.projections.compare('carriers', { timeoutMs: 50 })
    expect(report).toMatchObject({
      ...{ samePosition: false, equal: false, same: 1, onlyOld: 1, onlyNew: 0, different: 0 },
      ...{ old: { generation: 1, position: 3 }, new: { generation: 2, version: 2, position: 2 } },
      rows: [{ target: 'carriers', key: 'bad', new: undefined }],
    })
  })

  it('tells targets that only one side has, and shows 100 differences of each kind', async () => {
    const port = await openMemoryStore()
    const rows = (from: number, to: number, n: number) =>
      Array.from({ length: to - from }, (_, i) => ({
        ...{ key: `k${String(from + i).padStart(5, '0')}`, value: { n }, position: 1 },
      }))
    const shape = { kind: 'documents', indexes: [] } as const
    await port.transaction(async (tx) => {
      for (const name of ['a__g1', 'a__g2']) await tx.models.create({ name, shape })
      // 150 alone in the old one, 150 that differ, 1,200 the same, 120 alone in the new one.
      await tx.models.put('a__g1', rows(0, 1500, 1))
      await tx.models.put('a__g2', [...rows(150, 300, 2), ...rows(300, 1620, 1)])
    })
    const side = (generation: number, tables: Record<string, string>) => ({
      ...{ generation, version: generation, position: 5, tables },
    })
    const before = side(1, { a: 'a__g1', b: 'b__g1' })
    const after = side(2, { a: 'a__g2', c: 'c__g2' })
    const report = await compareGenerations(port.models, before, after, true)
    expect(report).toMatchObject({
      ...{ equal: false, complete: true, samePosition: true, uncompared: ['b', 'c'] },
      ...{ same: 1200, different: 150, onlyOld: 150, onlyNew: 120 },
      old: { generation: 1, version: 1, position: 5 },
    })
    expect(report.rows).toHaveLength(300)
    const different = report.rows.filter((row) => row.old !== undefined && row.new !== undefined)
    expect(different).toHaveLength(100)
    for (const { old, new: now } of different) expect([old, now]).toEqual([{ n: 1 }, { n: 2 }])
  })
})

describe('a rebuild', () => {
  it('ends with its signal, and the old generation stays', async () => {
    const port = await openMemoryStore()
    await append(port, 'order-1', shipped())
    await using program = await started(port, carriersProjection({}))
    const reason = new Error('enough')
    const building = program.projections.rebuild('carriers', { signal: AbortSignal.abort(reason) })
    await expect(building).rejects.toBe(reason)
    const [status] = await program.projections.status()
    expect(status).toMatchObject({ live: { generation: 1 }, error: reason })
    const { generation } = await program.projections.rebuild('carriers')
    expect((await program.projections.status())[0]).toMatchObject({
      ...{ live: { generation }, error: undefined },
    })
  })
})

describe('what is registered', () => {
  it('is nothing, and written only at the revision that was read', async () => {
    const port = await openMemoryStore()
    expect(await readAllRegistered(port.records, [])).toEqual([])
    expect(await readAllRegistered(port.records, ['x'])).toEqual([undefined])
    await port.transaction(async (tx) => {
      const row = await lockRegistered(tx.records, 'x')
      expect(generationOf(row.value, 1)).toBe(undefined)
      await writeRegistered(tx.records, 'x', row)
    })
    const again = port.transaction((tx) =>
      writeRegistered(tx.records, 'x', { revision: 9, value: {} as never }),
    )
    await expect(again).rejects.toMatchObject({ code: 'RECORD_CONFLICT' })
  })
})
