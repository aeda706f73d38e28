import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { seededRandom, systemClock } from '../kernel/index.ts'
import type { EventStore } from '../ports/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { listAudit, SubscriptionControl } from '../subscriptions/index.ts'
import { manualClock, wrapStore } from '../testing/index.ts'
import type { AnyProjection } from './define.ts'
import { Keeper } from './keeper.ts'
import { projectLive } from './live.ts'
import { CollectionReader } from './reader.ts'
import { append, type Carrier, carriersProjection, Program, shipped } from './shop.test-support.ts'

// Operations beside those of other processes, and in programs that run no projection themselves.
const within = { timeoutMs: 10_000 }
const refused = (argument: string) => ({ code: 'ARGUMENT_INVALID', argument })
const reader = (port: EventStore) => new CollectionReader<Carrier>(port, 'carriers', 'carriers')
const carriers = carriersProjection({})

/** Two generations over three events, the second one live, with nothing running. */
async function builtTwice(): Promise<EventStore> {
  const port = await openMemoryStore()
  for (let n = 0; n < 3; n++) await append(port, 'order-1', shipped())
  const { projections } = new Program(port, [carriers])
  await projections.rebuild('carriers')
  await projections.rebuild('carriers')
  return port
}

/** A store before whose next transaction with so much time something else happens. */
function beforeTurn(inner: EventStore, happen: () => Promise<unknown>): EventStore {
  let isOver = false
  return wrapStore(inner, {
    transaction: async (next, work, options) => {
      const isNow = !isOver && options?.timeoutMs === 60_000
      if (isNow) isOver = true
      if (isNow) await happen()
      return next.transaction(work, options)
    },
  })
}

describe('a program that only builds', () => {
  it('rebuilds, compares and goes back, though no consumer has ever run', async () => {
    const port = await builtTwice()
    const { projections } = new Program(port, [carriers])
    await append(port, 'order-1', shipped())
    expect(await projections.compare('carriers')).toMatchObject({
      ...{ equal: true, samePosition: true },
      ...{ old: { generation: 1, position: 3 }, new: { generation: 2, position: 3 } },
    })
    await expect(projections.rebuild('carriers')).resolves.toMatchObject({
      ...{ generation: 3, position: 3, comparison: { equal: true } },
    })
    expect(await projections.rollback('carriers')).toEqual({ generation: 2 })
    const [status] = await projections.status()
    expect(status).toMatchObject({ state: 'stopped', position: 3, lag: 1 })
    await using program = new Program(port, [carriers])
    await program.projections.start()
    await program.projections.projected('carriers', 4, within)
    expect(await reader(port).get('dhl')).toEqual({ parcels: 4, weight: 4 })
  })
})

describe('going back', () => {
  it('is refused when another process drops the generation meanwhile', async () => {
    const port = await builtTwice()
    const other = new Program(port, [carriers])
    const disturbed = beforeTurn(port, () => other.projections.dropOld('carriers'))
    const back = new Program(disturbed, [carriers]).projections.rollback('carriers')
    await expect(back).rejects.toMatchObject(refused('generation'))
    expect((await other.projections.status())[0]?.live?.generation).toBe(2)
  })

  it('is done once when another process does it meanwhile', async () => {
    const port = await builtTwice()
    const other = new Program(port, [carriers])
    const disturbed = beforeTurn(port, () => other.projections.rollback('carriers'))
    const { projections } = new Program(disturbed, [carriers])
    expect(await projections.rollback('carriers')).toEqual({ generation: 1 })
    const [status] = await projections.status()
    expect(status?.live?.generation).toBe(1)
    const actions = (await listAudit(port.records, { limit: 9 })).map(({ action }) => action)
    expect(actions.filter((action) => action === 'projection.rollback')).toHaveLength(1)
    // The way forward is still the second one.
    expect(await projections.rollback('carriers')).toEqual({ generation: 2 })
  })

  it('waits until the generation has seen what the live one has, for a while', async () => {
    const port = await builtTwice()
    const next = carriersProjection({ version: 2 })
    {
      // Only the new version runs, and goes ahead.
      await using program = new Program(port, [next])
      await program.projections.start()
      await program.projections.rebuild('carriers')
      await append(port, 'order-1', shipped())
      await program.projections.projected('carriers', 4, within)
    }
    await using program = new Program(port, [carriers])
    const waiting = program.projections.rollback('carriers', within)
    await wait(60)
    expect((await program.projections.status())[0]?.live?.generation).toBe(3)
    await program.projections.start()
    expect(await waiting).toEqual({ generation: 2 })
    expect(await reader(port).get('dhl')).toEqual({ parcels: 4, weight: 4 })
  })

  it('does not wait for longer than it is told', async () => {
    const port = await builtTwice()
    await using program = new Program(port, [carriersProjection({ version: 2 })])
    await program.projections.start()
    await program.projections.rebuild('carriers')
    await append(port, 'order-1', shipped())
    await program.projections.projected('carriers', 4, within)
    const back = new Program(port, [carriers]).projections
    expect(await back.rollback('carriers', { timeoutMs: 50 })).toEqual({ generation: 2 })
    // As it was left: a look at old data is what was asked for.
    expect(await reader(port).get('dhl')).toEqual({ parcels: 3, weight: 3 })
  })

  it('to an inline generation is refused when another process drops it meanwhile', async () => {
    const inner = await openMemoryStore()
    const inline = carriersProjection({ mode: 'inline' })
    const other = new Program(inner, [inline])
    await other.projections.rebuild('carriers')
    await other.projections.rebuild('carriers')
    let isOver = false
    const port = wrapStore(inner, {
      transaction: async (next, work, options) => {
        if (!isOver) await other.projections.dropOld('carriers')
        isOver = true
        return next.transaction(work, options)
      },
    })
    const back = new Program(port, [inline]).projections.rollback('carriers')
    await expect(back).rejects.toMatchObject({ code: 'PROJECTION_BUILD_LOST' })
    expect((await other.projections.status())[0]?.live?.generation).toBe(2)
  })
})

describe('a keeper', () => {
  it('ends the consumer of a generation that another process has dropped', async () => {
    const port = await builtTwice()
    const program = new Program(port, [])
    const runtime = { clock: systemClock, random: seededRandom(1), ids: program.ids }
    const keeper = new Keeper(port, program.worker, [carriers as AnyProjection], {
      ...{ ...runtime, pollIntervalMs: 10 },
    })
    await keeper.start()
    const control = new SubscriptionControl(port, { clock: systemClock, ids: program.ids }, 10_000)
    const consumer = 'projection:carriers/g1'
    await expect.poll(() => control.status(consumer), { timeout: 10_000 }).toBeDefined()
    const dropped = keeper.consumer('carriers', 1)
    await new Program(port, [carriers]).projections.dropOld('carriers')
    await expect.poll(() => keeper.consumer('carriers', 1), { timeout: 10_000 }).toBe(undefined)
    await dropped?.done
    expect(await control.status(consumer)).toBe(undefined)
    const position = await append(port, 'order-1', shipped())
    await keeper.liveConsumer('carriers')?.reached(position, within)
    expect(keeper.errorOf('carriers')).toBe(undefined)
    await keeper.stop()
  })

  it('that is stopped in the midst of a look looks no more', async () => {
    const clock = manualClock()
    const gate = Promise.withResolvers<void>()
    let isSlow = false
    const port = wrapStore(await builtTwice(), {
      records: {
        get: async (next, ...args) => {
          if (isSlow) await gate.promise
          return next.get(...args)
        },
      },
    })
    const program = new Program(port, [])
    const runtime = { clock, random: seededRandom(1), ids: program.ids, pollIntervalMs: 50 }
    const outdated = carriersProjection({ version: 2 }) as AnyProjection
    const keeper = new Keeper(port, program.worker, [outdated], runtime)
    await keeper.start()
    await keeper.start()
    expect(clock.pending).toBe(1)
    isSlow = true
    await clock.advance(50)
    const stopped = keeper.stop()
    gate.resolve()
    await stopped
    expect(clock.pending).toBe(0)
  })
})

describe('what is no argument', () => {
  it('is refused by a reader and by a projection in memory', async () => {
    const port = await builtTwice()
    for (const keys of [undefined, 'dhl', ['dhl', 7]]) {
      const reading = reader(port).getMany(keys as never)
      await expect(reading).rejects.toMatchObject(refused('key'))
    }
    for (const definition of [undefined, {}, { tables: {} }]) {
      await expect(projectLive(definition as never)).rejects.toMatchObject(refused('projection'))
    }
  })
})
