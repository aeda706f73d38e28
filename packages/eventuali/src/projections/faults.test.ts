import { describe, expect, it } from 'vitest'
import { systemClock } from '../kernel/index.ts'
import { ConnectionError } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { withFault, wrapStore } from '../testing/index.ts'
import type { AnyProjection } from './define.ts'
import { withInlineProjections } from './inline.ts'
import { projectLive } from './live.ts'
import { CollectionReader } from './reader.ts'
import {
  append,
  type Carrier,
  carriersProjection,
  Program,
  readEvents,
  sales,
  shipped,
} from './shop.test-support.ts'

const within = { timeoutMs: 20_000 }
const reader = (port: EventStore) => new CollectionReader<Carrier>(port, 'carriers', 'carriers')

async function ship(port: EventStore, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await append(port, `order-${n % 3}`, shipped(`c${n % 2}`))
}

/** The model as folding the log in memory gives it. */
async function assertModel(port: EventStore, carriers: unknown): Promise<void> {
  const { newest } = await port.positions()
  await using program = new Program(port, [carriers])
  await program.projections.start()
  await program.projections.projected('carriers', newest, within)
  const live = await projectLive(
    carriers as ReturnType<typeof carriersProjection>,
    await readEvents(port),
  )
  const wanted = (await live.collection('carriers').entries()).map(({ key, document }) => [
    key,
    document,
  ])
  const found = (await reader(port).entries()).map(({ key, document }) => [key, document])
  expect(found).toEqual(wanted)
}

describe.each(['before', 'after'] as const)('a fault %s each call of the store', (when) => {
  it('leaves each event counted exactly once', async () => {
    const carriers = carriersProjection({})
    for (let at = 0; ; at++) {
      const inner = await openMemoryStore()
      await ship(inner, 4)
      const { store, fired } = withFault(inner, { at, when })
      {
        await using program = new Program(store, [carriers, sales], { pollIntervalMs: 5 })
        await program.projections.start()
        await ship(inner, 4)
        await program.projections.projected('carriers', 8, within).catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'CONNECTION_FAILED' })
        })
      }
      await assertModel(inner, carriers)
      if (!fired()) break
    }
  }, 120_000)

  it.each(['async', 'inline'] as const)(
    'leaves a rebuild (%s) done, resumable or undone, and readers with a whole model',
    async (mode) => {
      const carriers = carriersProjection({ mode })
      for (let at = 0; ; at++) {
        const bare = await openMemoryStore()
        const inline = (port: EventStore) =>
          withInlineProjections(port, [carriers as AnyProjection], { clock: systemClock })
        const inner = inline(bare)
        await ship(inner, 6)
        await assertModel(inner, carriers)
        const { store, fired } = withFault(bare, { at, when })
        const port = inline(store)
        {
          await using program = new Program(port, [carriers], { pollIntervalMs: 5 })
          await program.projections.start()
          // A handler's error ends a build, trouble with the storage does not.
          await program.projections.rebuild('carriers', { requireEqual: true }).catch((error) => {
            expect(error).toMatchObject({ code: 'CONNECTION_FAILED' })
          })
          const total = (await reader(bare).find()).reduce((sum, { parcels }) => sum + parcels, 0)
          expect(total).toBe(6)
          await ship(inner, 2)
        }
        await assertModel(inner, carriers)
        await using again = new Program(inner, [carriers])
        await again.projections.start()
        const { comparison } = await again.projections.rebuild('carriers', { requireEqual: true })
        expect(comparison?.same).toBe(2)
        if (!fired()) break
      }
    },
    240_000,
  )
})

/** A store that answers no more from the given call on, as if the process had been killed there. */
function dying(inner: EventStore, at: number) {
  let count = 0
  const died = Promise.withResolvers<void>()
  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    if (count++ < at) return work()
    died.resolve()
    throw new ConnectionError('the process is dead')
  }
  async function* pages<T>(make: () => AsyncIterable<T>): AsyncGenerator<T> {
    await call(async () => {})
    yield* make()
  }
  const store = wrapStore(inner, {
    append: (next, request, options) => call(() => next.append(request, options)),
    readLog: (next, query, options) => pages(() => next.readLog(query, options)),
    positions: (next, options) => call(() => next.positions(options)),
    transaction: (next, work, options) => call(() => next.transaction(work, options)),
    readSide: (_name, run) => call(run),
  })
  return { store, died: died.promise, hasDied: () => count > at }
}

describe('a process that dies in mid-build', () => {
  it.each(['async', 'inline'] as const)(
    'is taken over at any point (%s), and readers never see half a model',
    async (mode) => {
      const carriers = carriersProjection({ mode })
      const inline = (port: EventStore) =>
        withInlineProjections(port, [carriers as AnyProjection], { clock: systemClock })
      for (let at = 0; ; at += 2) {
        const bare = await openMemoryStore()
        const inner = inline(bare)
        await ship(inner, 6)
        await assertModel(inner, carriers)
        const { store, died, hasDied } = dying(bare, at)
        {
          await using program = new Program(inline(store), [carriers], { ttlMs: 100 })
          const work = async () => {
            await program.projections.start()
            await program.projections.rebuild('carriers', { requireEqual: true })
          }
          const done = work()
          done.catch(() => {})
          await Promise.race([done, died])
        }
        const total = (await reader(bare).find()).reduce((sum, { parcels }) => sum + parcels, 0)
        expect(total).toBe(6)
        await ship(inner, 2)
        await using next = new Program(inner, [carriers], { ttlMs: 100, pollIntervalMs: 10 })
        await next.projections.start()
        await next.projections.projected('carriers', 8, within)
        for (;;) {
          const [status] = await next.projections.status()
          if (status?.generations.every((found) => found.status !== 'building')) break
          await new Promise((resolve) => setTimeout(resolve, 10))
        }
        await assertModel(inner, carriers)
        if (!hasDied()) break
      }
    },
    240_000,
  )
})
