import { describe, expect, it } from 'vitest'
import { systemClock } from '../kernel/index.ts'
import { ConnectionError } from '../model/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { wrapStore } from '../testing/index.ts'
import { collection } from './collection.ts'
import { compareGenerations } from './compare.ts'
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
  shop,
} from './shop.test-support.ts'

// What becomes of a projection when its definition changes, and when its store does not answer.
const within = { timeoutMs: 10_000 }

describe('another version', () => {
  it('takes the views away that it no longer has', async () => {
    const port = await openMemoryStore()
    const both = defineProjection({
      ...{ name: 'carriers', version: 1, events: [shop] },
      collections: { carriers: collection<Carrier>(), last: collection<{ carrier: string }>() },
      handlers: {
        OrderShipped: async ({ data }, ctx) => {
          await ctx.collection('carriers').put(data.carrier, { parcels: 1, weight: 1 })
          await ctx.collection('last').put('last', { carrier: data.carrier })
        },
      },
    })
    await using old = new Program(port, [both])
    await old.projections.start()
    await old.projections.start()
    await old.projections.projected('carriers', await append(port, 'o-1', shipped()), within)
    const last = new CollectionReader<{ carrier: string }>(port, 'carriers', 'last')
    expect(await last.get('last')).toEqual({ carrier: 'dhl' })
    await using next = new Program(port, [carriersProjection({ version: 2 })])
    await next.projections.start()
    const { comparison } = await next.projections.rebuild('carriers')
    expect(comparison?.uncompared).toEqual(['last'])
    await expect(last.get('last')).rejects.toMatchObject({ argument: 'table' })
    await next.projections.rollback('carriers')
    expect(await last.get('last')).toEqual({ carrier: 'dhl' })
  })

  it('that is asynchronous takes an inline one off the list of the store', async () => {
    const bare = await openMemoryStore()
    const inline = carriersProjection({ mode: 'inline' })
    const port = withInlineProjections(bare, [inline as AnyProjection], { clock: systemClock })
    await using old = new Program(port, [inline])
    await old.projections.start()
    await append(port, 'o-1', shipped())
    await using next = new Program(bare, [carriersProjection({ version: 2 })])
    await next.projections.start()
    const { comparison } = await next.projections.rebuild('carriers')
    expect(comparison).toMatchObject({ equal: true, samePosition: true, same: 1 })
    expect(await bare.inlineProjections()).toEqual([])
    // A writer that still has the inline one is not refused, and writes nothing twice.
    const position = await append(port, 'o-1', shipped())
    await next.projections.projected('carriers', position, within)
    const reader = new CollectionReader<Carrier>(bare, 'carriers', 'carriers')
    expect(await reader.get('dhl')).toEqual({ parcels: 2, weight: 2 })
  })

  it('has a handler for at least one type', () => {
    const empty = () =>
      defineProjection({
        ...{ name: 'none', version: 1, events: [shop], handlers: {} },
        collections: { carriers: collection<Carrier>() },
      })
    expect(empty).toThrow(/handles no event/)
  })
})

describe('events of the store itself', () => {
  it('have their stream for a key, whatever the projection makes of others', async () => {
    const port = await openMemoryStore()
    const keyed = defineProjection({
      ...{ name: 'carriers', version: 1, events: [shop] },
      collections: { carriers: collection<Carrier>() },
      key: (event) => (event.type === 'OrderShipped' ? event.data.carrier : 'none'),
      handlers: {
        OrderShipped: ({ data, stream }, ctx) =>
          ctx.collection('carriers').put(stream, { parcels: 1, weight: data.weight }),
        $deleted: ({ stream }, ctx) => ctx.collection('carriers').delete(stream),
      },
    })
    await using program = new Program(port, [keyed])
    await program.projections.start()
    await program.projections.projected('carriers', await append(port, 'o-1', shipped()), within)
    const reader = new CollectionReader<Carrier>(port, 'carriers', 'carriers')
    expect(await reader.count()).toBe(1)
    const outcome = await port.append({
      entries: [
        {
          ...{ stream: 'o-1', expectedVersion: 'any', change: { kind: 'delete' } },
          events: [newEvent('$deleted', {})],
        },
      ],
    })
    const position = outcome.ok ? (outcome.entries[0]?.positions[0] ?? 0) : 0
    await program.projections.projected('carriers', position, within)
    expect(await reader.count()).toBe(0)
  })
})

describe('a comparison', () => {
  it('gives up when more rows differ than it remembers', async () => {
    const pages = (prefix: string) => async (after: string | undefined) => {
      const from = after === undefined ? 0 : Number(after.slice(1)) + 1
      return Array.from({ length: from < 120_000 ? 1000 : 0 }, (_, n) => ({
        ...{ key: `${prefix}${from + n}`, value: {}, position: 1 },
      }))
    }
    const sides = { old__g1: pages('a'), old__g2: pages('b') }
    const rows = (table: keyof typeof sides, { after }: { after?: string }) => sides[table](after)
    const side = (generation: number) => ({
      ...{ generation, version: 1, position: 1, tables: { old: `old__g${generation}` } },
    })
    const report = await compareGenerations({ rows } as never, side(1), side(2), true)
    expect(report).toMatchObject({ complete: false, equal: false, same: 0, different: 0 })
    expect(report.onlyOld + report.onlyNew).toBe(200_002)
    expect(report.rows).toHaveLength(200)
  })
})

describe('a reader', () => {
  it('passes on what the store says, unless nothing is there yet', async () => {
    const memory = await openMemoryStore()
    await using program = new Program(memory, [carriersProjection({})])
    let failure: Error = new ConnectionError('planted')
    const models = { ...memory.models, get: async () => Promise.reject(failure) }
    const port = { ...wrapStore(memory, {}), models: models as unknown as typeof memory.models }
    const reader = new CollectionReader<Carrier>(port, 'carriers', 'carriers')
    await expect(reader.get('dhl')).rejects.toBe(failure)
    failure = new RangeError('planted')
    await expect(reader.get('dhl')).rejects.toMatchObject({ code: 'PROJECTION_NOT_READY' })
    await program.projections.start()
    await program.projections.projected('carriers', 0, within)
    await expect(reader.get('dhl')).rejects.toBe(failure)
  })
})
