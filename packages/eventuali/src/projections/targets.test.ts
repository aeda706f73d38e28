import { expect, it } from 'vitest'
import { systemClock } from '../kernel/index.ts'
import { defineEvents, type } from '../model/index.ts'
import { type EventStore, overStore } from '../ports/index.ts'
import { collection } from './collection.ts'
import { type AnyProjection, defineProjection } from './define.ts'
import { withInlineProjections } from './inline.ts'
import { overTransaction } from './port-wrap.ts'
import { CollectionReader } from './reader.ts'
import {
  append,
  type Carrier,
  carriersProjection,
  Program,
  shipped,
  shop,
} from './shop.test-support.ts'
import { describeStores, type StoreUnderTest } from './stores.test-support.ts'

const within = { timeoutMs: 20_000 }
const inline = (port: EventStore, definition: unknown): EventStore =>
  withInlineProjections(port, [definition as AnyProjection], { clock: systemClock })

/** One statement on either driver's connection. */
async function run(
  sql: unknown,
  text: string,
  values: readonly (string | number)[],
): Promise<void> {
  const driver = sql as {
    readonly query?: (text: string, values: readonly unknown[]) => Promise<unknown>
    readonly prepare?: (text: string) => { run(...values: unknown[]): unknown }
  }
  if (driver.query !== undefined) await driver.query(text, values)
  else driver.prepare?.(text.replaceAll(/\$\d/g, '?')).run(...values)
}

/** Keeps parcels in an SQL table. */
function tableProjection(mode: 'async' | 'inline') {
  return defineProjection({
    ...{ name: 'parcels', version: 1, mode },
    events: [shop],
    tables: {
      parcelCounts: [
        'CREATE TABLE {table} (carrier text PRIMARY KEY, parcels integer NOT NULL)',
        'CREATE INDEX {table}_parcels ON {table} (parcels)',
      ],
    },
    handlers: {
      OrderShipped: ({ data }, ctx) =>
        run(
          ctx.sql,
          `INSERT INTO ${ctx.table('parcelCounts')} AS t (carrier, parcels) VALUES ($1, $2)
           ON CONFLICT (carrier) DO UPDATE SET parcels = t.parcels + 1`,
          [data.carrier, 1],
        ),
    },
  })
}

describeStores('SQL tables', ({ adapter, open }) => {
  it.each(['async', 'inline'] as const)('are kept, rebuilt and compared (%s)', async (mode) => {
    const bare = await open()
    const parcels = tableProjection(mode)
    const port = inline(bare, parcels)
    for (let n = 0; n < 10; n++) await append(port, `order-${n}`, shipped(`c${n % 2}`))
    await using program = new Program(port, [parcels])
    if (adapter === 'memory') {
      await expect(program.projections.start()).rejects.toMatchObject({
        code: 'CAPABILITY_MISSING',
      })
      return
    }
    await program.projections.start()
    const position = await append(port, 'order-1', shipped('c1'))
    await program.projections.projected('parcels', position, within)
    const rows = () => port.models.rows('parcel_counts', { limit: 10 })
    expect(await rows()).toEqual([
      { key: '["c0"]', value: { carrier: 'c0', parcels: 5 } },
      { key: '["c1"]', value: { carrier: 'c1', parcels: 6 } },
    ])
    const { comparison } = await program.projections.rebuild('parcels', { requireEqual: true })
    expect(comparison).toMatchObject({ same: 2, samePosition: true })
    const [status] = await program.projections.status()
    const tables = status?.generations.map((found) => found.tables.parcelCounts)
    expect(tables).toEqual(['parcel_counts__g1', 'parcel_counts__g2'])
    await program.projections.dropOld('parcels')
    await append(port, 'order-1', shipped('c2'))
    await program.projections.projected('parcels', position + 1, within)
    expect(await rows()).toHaveLength(3)
  })
})

/** What four writers without locks on their documents count of 160 parcels. */
async function countUnlocked({ open, openAgain }: StoreUnderTest): Promise<number> {
  const carriers = carriersProjection({ mode: 'inline' })
  const unlocked = (port: EventStore): EventStore => {
    const transaction: EventStore['transaction'] = (work, options) =>
      port.transaction((tx) => {
        const models = new Proxy(tx.models, {
          get: (target, name) => {
            if (name === 'lock') return async () => {}
            const value: unknown = Reflect.get(target, name)
            return typeof value === 'function' ? value.bind(target) : value
          },
        })
        const own = { append: tx.append.bind(tx), savepoint: tx.savepoint.bind(tx) }
        return work({ ...overTransaction(tx, own), models })
      }, options)
    return overStore(port, {
      append: port.append.bind(port),
      transaction,
      join: port.join.bind(port),
    })
  }
  const first = await open()
  await using program = new Program(first, [carriers])
  await program.projections.start()
  const ports = [inline(unlocked(first), carriers)]
  while (ports.length < 4) ports.push(inline(unlocked(await openAgain()), carriers))
  await Promise.all(
    ports.map(async (port, writer) => {
      for (let n = 0; n < 40; n++) await append(port, `order-${writer}`, shipped())
    }),
  )
  const reader = new CollectionReader<Carrier>(first, 'carriers', 'carriers')
  return (await reader.get('dhl'))?.parcels ?? 0
}

describeStores('inline writers of several processes', (store) => {
  const { adapter, open, openAgain } = store
  // Elsewhere there is one writer at a time, with or without locks.
  if (adapter === 'postgres') {
    it('lose some of a sum without locks, and the test can tell', async () => {
      expect(await countUnlocked(store)).toBeLessThan(160)
    })
  }

  it('16 of them on one document: the sum is exact', async () => {
    const carriers = carriersProjection({ mode: 'inline' })
    const first = inline(await open(), carriers)
    await using program = new Program(first, [carriers])
    await program.projections.start()
    const ports = [first]
    while (ports.length < 4) ports.push(inline(await openAgain(), carriers))
    await Promise.all(
      Array.from({ length: 16 }, async (_, writer) => {
        const port = ports[writer % 4] as EventStore
        for (let n = 0; n < 10; n++) await append(port, `order-${writer}`, shipped('dhl', writer))
      }),
    )
    const reader = new CollectionReader<Carrier>(first, 'carriers', 'carriers')
    expect(await reader.get('dhl')).toEqual({ parcels: 160, weight: 1200 })
    const { comparison } = await program.projections.rebuild('carriers', { requireEqual: true })
    expect(comparison?.equal).toBe(true)
  })

  it('write one document in log order, when nobody has promised otherwise', async () => {
    const events = defineEvents({ Said: type<{ word: string }>() })
    const last = defineProjection({
      ...{ name: 'words', version: 1, mode: 'inline' },
      events: [events],
      collections: { words: collection<{ all: number[] }>() },
      handlers: {
        Said: ({ position }, ctx) =>
          ctx.collection('words').patch('all', (was) => ({ all: [...(was?.all ?? []), position] })),
      },
    })
    const first = inline(await open(), last)
    await using program = new Program(first, [last])
    await program.projections.start()
    const ports = [first, inline(await openAgain(), last), inline(await openAgain(), last)]
    const positions: number[] = []
    await Promise.all(
      ports.map(async (port, writer) => {
        for (let n = 0; n < 8; n++) {
          const said = { ...shipped(), type: 'Said', data: { word: 'x' } }
          positions.push(await append(port, `talk-${writer}`, said))
        }
      }),
    )
    const reader = new CollectionReader<{ all: number[] }>(first, 'words', 'words')
    const found = await reader.get('all')
    expect(found?.all).toEqual(positions.toSorted((a, b) => a - b))
    const { comparison } = await program.projections.rebuild('words', { requireEqual: true })
    expect(comparison?.equal).toBe(true)
  })
})

describeStores('several processes', ({ open, openAgain }) => {
  it('share the work of one projection, each event once, in the order of the log', async () => {
    const events = defineEvents({ Said: type<{ word: string }>() })
    const order = defineProjection({
      ...{ name: 'words', version: 1 },
      events: [events],
      collections: { words: collection<{ all: number[] }>() },
      handlers: {
        Said: ({ position }, ctx) =>
          ctx.collection('words').patch('all', (was) => ({ all: [...(was?.all ?? []), position] })),
      },
    })
    const first = await open()
    const programs = [new Program(first, [order])]
    while (programs.length < 3) programs.push(new Program(await openAgain(), [order]))
    for (const program of programs) await program.projections.start()
    const positions: number[] = []
    for (let n = 0; n < 60; n++) {
      const said = { ...shipped(), type: 'Said', data: { word: 'x' } }
      positions.push(await append(first, `talk-${n % 5}`, said))
      if (n === 20) await programs[0]?.projections.stop()
    }
    await programs[2]?.projections.projected('words', positions.at(-1) ?? 0, within)
    const reader = new CollectionReader<{ all: number[] }>(first, 'words', 'words')
    expect((await reader.get('all'))?.all).toEqual(positions)
    const { comparison } =
      (await programs[1]?.projections.rebuild('words', { requireEqual: true })) ?? {}
    expect(comparison?.equal).toBe(true)
    for (const program of programs) await program.projections.stop()
  })
})
