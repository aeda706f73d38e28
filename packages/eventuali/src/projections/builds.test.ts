import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../kernel/index.ts'
import { ConnectionError } from '../model/index.ts'
import type { CallOptions, EventStore } from '../ports/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { withFault, wrapStore } from '../testing/index.ts'
import type { BuildProgress } from './build.ts'
import { readBuild } from './build-record.ts'
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
  shop,
} from './shop.test-support.ts'

// Builds of one process: what is asked of them while another one begins, runs or ends.
const within = { timeoutMs: 10_000 }

const lost = { code: 'PROJECTION_BUILD_LOST' }
const reader = (port: EventStore) => new CollectionReader<Carrier>(port, 'carriers', 'carriers')

/** A store with some events, whose read model has seen them, with nothing running. */
async function built(count = 3): Promise<EventStore> {
  const port = await openMemoryStore()
  for (let n = 0; n < count; n++) await append(port, `order-${n % 7}`, shipped())
  await using program = new Program(port, [carriersProjection({})])
  await program.projections.start()
  await program.projections.projected('carriers', count, within)
  return port
}

/** A store before whose transactions something else happens. */
function before(inner: EventStore, happen: (options?: CallOptions) => Promise<unknown>) {
  return wrapStore(inner, {
    transaction: async (next, work, options) => {
      await happen(options)
      return next.transaction(work, options)
    },
  })
}

/** The switch of generations is the one transaction with so much time. */
const isSwitch = (options: CallOptions | undefined) => options?.timeoutMs === 600_000
/** A batch of a build has a signal and a minute. */
const isBatch = (options: CallOptions | undefined) =>
  options?.timeoutMs === 60_000 && options.signal !== undefined

/** A store whose transactions without a time limit, as those that begin a build, answer late. */
function late(inner: EventStore, ms: () => number): EventStore {
  return wrapStore(inner, {
    transaction: async (next, work, options) => {
      const done = await next.transaction(work, options)
      if (options === undefined) await wait(ms())
      return done
    },
  })
}

describe('a build that is recorded and has not begun to run', () => {
  async function begun() {
    const inner = await built()
    let ms = 0
    const port = late(inner, () => ms)
    const program = new Program(port, [carriersProjection({})], { pollIntervalMs: 2 })
    await program.projections.start()
    await program.projections.projected('carriers', 3, within)
    ms = 100
    return { inner, program, projections: program.projections }
  }

  it('is not taken over by a look of the process that began it', async () => {
    const { program, projections } = await begun()
    await using _ = program
    const report = await projections.rebuild('carriers', { requireEqual: true })
    expect(report).toMatchObject({ generation: 2, comparison: { equal: true } })
  })

  it('is the one that a second call waits for', async () => {
    const { program, projections } = await begun()
    await using _ = program
    const [first, second] = await Promise.all([
      projections.rebuild('carriers'),
      projections.rebuild('carriers'),
    ])
    expect([first.generation, second.generation]).toEqual([2, 2])
    const [status] = await projections.status()
    expect(status?.generations.map(({ generation }) => generation)).toEqual([1, 2])
  })

  it('that fails there is tried by the second call for itself', async () => {
    const inner = await built()
    const error = new ConnectionError('planted')
    let failures = 0
    const port = before(inner, async (options) => {
      await wait(10)
      if (options === undefined && failures++ === 0) throw error
    })
    await using program = new Program(port, [carriersProjection({})])
    const [first, second] = await Promise.allSettled([
      program.projections.rebuild('carriers'),
      program.projections.rebuild('carriers'),
    ])
    expect(first).toMatchObject({ status: 'rejected', reason: error })
    expect(second).toMatchObject({ status: 'fulfilled', value: { generation: 2 } })
  })

  it('is not taken over by a look that began before it did', async () => {
    const inner = await built()
    const dead = new Program(inner, [carriersProjection({})])
    const left = dead.projections.rebuild('carriers', {
      onProgress: () => void dead.projections.stop(),
    })
    await expect(left).rejects.toThrow('the projections were stopped')
    const entered = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    let isGated = false
    const port = wrapStore(inner, {
      records: {
        get: async (next, kind, ...args) => {
          const isIt = isGated && kind === 'projection-build'
          if (isIt) {
            isGated = false
            entered.resolve()
            await gate.promise
          }
          return next.get(kind, ...args)
        },
      },
      transaction: async (next, work, options) => {
        // The record of the build stands still from here on.
        if (isSwitch(options)) {
          gate.resolve()
          await wait(50)
        }
        return next.transaction(work, options)
      },
    })
    // Looks twice at the silent build: from the second time on it would take it over.
    const times = { pollIntervalMs: 250, ttlMs: 100 }
    await using program = new Program(port, [carriersProjection({})], times)
    await program.projections.start()
    isGated = true
    await entered.promise
    const report = await program.projections.rebuild('carriers')
    expect(report).toMatchObject({ generation: 2 })
    expect((await program.projections.status())[0]).toMatchObject({ error: undefined })
  })

  it('ends with its process, when that is stopped in this moment', async () => {
    const { inner, projections } = await begun()
    const building = projections.rebuild('carriers')
    const ended = expect(building).rejects.toThrow('the projections were stopped')
    await wait(20)
    await projections.stop()
    await ended
    // Stopped and not failed: the next process takes it up.
    const build = await readBuild(inner.records, 'carriers', 2)
    expect(build?.value).toMatchObject({ failed: null, epoch: 1 })
  })
})

describe('a build', () => {
  it('is joined by a later call of its process', async () => {
    const port = await built()
    await using program = new Program(port, [carriersProjection({})])
    let second: Promise<unknown> | undefined
    const first = await program.projections.rebuild('carriers', {
      onProgress: () => {
        second ??= program.projections.rebuild('carriers')
      },
    })
    expect(await second).toEqual(first)
  })

  it('tells how far it is at once, and when it will end from the first batch on', async () => {
    const port = await built(1200)
    // The last ones are of no concern, and are done with the others.
    await append(port, 'other-1', newEvent('CustomerNamed', { name: 'ada' }))
    const carriers = carriersProjection({ version: 2 })
    await using program = new Program(port, [carriers])
    const seen: BuildProgress[] = []
    await program.projections.rebuild('carriers', {
      onProgress: (progress) => seen.push(progress),
    })
    expect(seen[0]).toMatchObject({ done: 0, events: 0, etaMs: undefined })
    expect(seen[1]).toMatchObject({ done: 1000, events: 1000, etaMs: expect.any(Number) })
    expect(seen.at(-1)).toMatchObject({ events: 1200, etaMs: 0 })
    expect(await reader(port).get('dhl')).toEqual({ parcels: 1200, weight: 1200 })
  })

  it('goes by the last commit past events that it does not want', async () => {
    const port = await openMemoryStore()
    await append(port, 'order-1', shipped())
    await append(port, 'other-1', newEvent('CustomerNamed', { name: 'ada' }))
    await using program = new Program(port, [carriersProjection({})])
    const report = await program.projections.rebuild('carriers')
    expect(report).toEqual({ generation: 1, position: 2, comparison: undefined, skipped: [] })
  })

  it('keeps a way back to an inline generation waiting', async () => {
    const bare = await openMemoryStore()
    const inline = carriersProjection({ mode: 'inline' })
    const port = withInlineProjections(bare, [inline as AnyProjection], { clock: systemClock })
    await using program = new Program(port, [inline])
    await append(bare, 'order-1', shipped())
    await program.projections.rebuild('carriers')
    await program.projections.rebuild('carriers')
    let back: Promise<unknown> | undefined
    await program.projections.rebuild('carriers', {
      onProgress: () => {
        back ??= expect(program.projections.rollback('carriers')).rejects.toThrow(
          /carriers is being built; wait/,
        )
      },
    })
    await back
    expect(back).toBeDefined()
    expect(await program.projections.rollback('carriers')).toEqual({ generation: 2 })
  })

  it('is given up with whatever its caller gave for a reason', async () => {
    const port = await built()
    await using program = new Program(port, [carriersProjection({})])
    const building = program.projections.rebuild('carriers', {
      signal: AbortSignal.abort('enough'),
    })
    await expect(building).rejects.toBe('enough')
    expect((await readBuild(port.records, 'carriers', 2))?.value.failed).toBe('enough')
  })
})

describe('a build that another process takes over', () => {
  const carriers = carriersProjection({})

  it('ends where it is, and the other one is live', async () => {
    const port = await built()
    await using other = new Program(port, [carriers])
    let taken: Promise<unknown> | undefined
    const disturbed = before(port, async (options) => {
      if (!isBatch(options)) return
      taken ??= other.projections.rebuild('carriers', { requireEqual: true })
      await taken
    })
    await using program = new Program(disturbed, [carriers])
    await expect(program.projections.rebuild('carriers')).rejects.toMatchObject(lost)
    expect(await taken).toMatchObject({ generation: 2, comparison: { equal: true } })
  })

  it('ends while it waits for its storage', async () => {
    const port = await built()
    await using other = new Program(port, [carriers])
    let taken: Promise<unknown> | undefined
    const disturbed = before(port, async (options) => {
      if (!isBatch(options)) return
      // Taken over and given up: still in the making, and not by this process.
      taken ??= other.projections
        .rebuild('carriers', { signal: AbortSignal.abort('enough') })
        .catch(() => {})
      await taken
      throw new ConnectionError('planted')
    })
    await using program = new Program(disturbed, [carriers])
    await expect(program.projections.rebuild('carriers')).rejects.toMatchObject(lost)
    expect((await program.projections.status())[0]?.live).toEqual({ generation: 1, version: 1 })
  })

  it('ends when its tables were dropped before the switch', async () => {
    const port = await built()
    await using other = new Program(port, [carriers])
    const disturbed = before(port, async (options) => {
      if (isSwitch(options)) await other.projections.dropOld('carriers')
    })
    await using program = new Program(disturbed, [carriers])
    await expect(program.projections.rebuild('carriers')).rejects.toMatchObject(lost)
    const [status] = await program.projections.status()
    expect(status?.generations).toMatchObject([{ generation: 1, status: 'live' }])
    expect((await reader(port).get('dhl'))?.parcels).toBe(3)
  })
})

describe.each(['before', 'after'] as const)('a fault %s each call of a build', (when) => {
  it('skips none but the event that the handler fails at', async () => {
    const picky = defineProjection({
      ...{ name: 'carriers', version: 1, events: [shop] },
      collections: { carriers: collection<Carrier>({ indexes: { parcels: 'number' } }) },
      handlers: {
        OrderShipped: ({ data }, ctx) => {
          if (data.carrier === 'bad') throw new Error('planted')
          return ctx.collection('carriers').patch(data.carrier, (was) => ({
            parcels: (was?.parcels ?? 0) + 1,
            weight: 1,
          }))
        },
      },
    })
    for (let at = 0; ; at++) {
      const port = await openMemoryStore()
      for (const carrier of ['dhl', 'bad', 'dhl']) await append(port, 'o-1', shipped(carrier))
      const { store, fired } = withFault(port, { at, when })
      await using program = new Program(store, [picky])
      const options = { onError: 'skip' } as const
      // The first and the last look are no part of the build, which waits trouble out.
      const report = await program.projections
        .rebuild('carriers', options)
        .catch(() => program.projections.rebuild('carriers', options))
      expect(report).toMatchObject({ position: 3, skipped: [2] })
      expect(await reader(port).get('dhl')).toEqual({ parcels: 2, weight: 1 })
      if (!fired()) break
    }
  })
})
