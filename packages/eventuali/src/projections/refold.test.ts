import { describe, expect, it } from 'vitest'
import { seededRandom, systemClock, uuidV7Source } from '../kernel/index.ts'
import { OutcomeUnknownError } from '../model/index.ts'
import type { EventStore, StoreTransaction } from '../ports/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { SubscriptionControl } from '../subscriptions/index.ts'
import { withFault, wrapStore } from '../testing/index.ts'
import { collection } from './collection.ts'
import { type AnyProjection, defineProjection } from './define.ts'
import { withInlineProjections } from './inline.ts'
import { type RefoldRuntime, refold } from './refold.ts'
import {
  append,
  type Carrier,
  carriersProjection,
  Program,
  shipped,
  shop,
} from './shop.test-support.ts'

// What a second fold of the events tells of the read model, and what it does when it is disturbed.
const within = { timeoutMs: 10_000 }
const ids = uuidV7Source(systemClock, seededRandom(5))
const runtime = { clock: systemClock, random: seededRandom(5), ids }

function fold(port: EventStore, projection: unknown, options: Partial<RefoldRuntime> = {}) {
  return refold(port, projection as AnyProjection, {
    ...{ ...runtime, signal: undefined, includeArchived: false, onProgress: () => {} },
    ...options,
  })
}

/** A store whose read model has seen `carriers`, with nothing running. */
async function built(carriers: readonly string[], definition: unknown = carriersProjection({})) {
  const port = await openMemoryStore()
  for (const carrier of carriers) await append(port, `order-${carrier}`, shipped(carrier))
  await using program = new Program(port, [definition])
  await program.projections.start()
  await program.projections.projected('carriers', carriers.length, within)
  return port
}

/** The same code, but for a carrier that it cannot stand any more. */
function picky(onBad: () => void = () => {}) {
  return defineProjection({
    ...{ name: 'carriers', version: 1, events: [shop] },
    collections: { carriers: collection<Carrier>({ indexes: { parcels: 'number' } }) },
    handlers: {
      OrderShipped: async ({ data }, ctx) => {
        if (data.carrier === 'bad') {
          onBad()
          throw new Error('planted')
        }
        await ctx.collection('carriers').put(data.carrier, { parcels: 1, weight: 1 })
      },
    },
  })
}

/** A store before whose transactions something else happens. */
function before(
  inner: EventStore,
  happen: (timeoutMs: number | undefined) => Promise<unknown>,
): EventStore {
  return wrapStore(inner, {
    transaction: async (next, work, options) => {
      await happen(options?.timeoutMs)
      return next.transaction(work, options)
    },
  })
}

/** The last transaction, which holds the live tables and compares. */
const isLast = (timeoutMs: number | undefined) => timeoutMs === 600_000

async function leftOver(port: EventStore): Promise<unknown> {
  return (await port.records.get('projection-refold', ['carriers']))[0]?.value
}

const equal = { kind: 'compared', report: { equal: true, complete: true } }

describe('a second fold', () => {
  it('tells that nothing is live, or that other code has filled it', async () => {
    expect(await fold(await openMemoryStore(), carriersProjection({}))).toEqual({ kind: 'none' })
    const port = await built(['dhl'])
    const next = await fold(port, carriersProjection({ version: 2 }))
    expect(next).toEqual({ kind: 'other-version', version: 1 })
    expect(await leftOver(port)).toBe(undefined)
  })

  it('compares an inline read model with every event that there is', async () => {
    const inline = carriersProjection({ mode: 'inline' })
    const bare = await openMemoryStore()
    const port = withInlineProjections(bare, [inline as AnyProjection], runtime)
    await using program = new Program(port, [inline])
    await program.projections.start()
    for (let n = 0; n < 3; n++) await append(port, 'order-1', shipped())
    expect(await fold(port, inline)).toMatchObject({
      ...equal,
      report: { equal: true, same: 1, new: { position: 3 } },
    })
    await bare.transaction((tx) =>
      tx.models.put('carriers__g1', [{ key: 'ups', value: { parcels: 1 }, position: 2 }]),
    )
    expect(await fold(port, inline)).toMatchObject({
      report: { equal: false, same: 1, onlyOld: 1, rows: [{ key: 'ups' }] },
    })
  })

  it('goes as far as the build went while no consumer has run', async () => {
    const port = await openMemoryStore()
    await append(port, 'order-1', shipped())
    const carriers = carriersProjection({})
    // Never started, as in a program that does nothing but build.
    await new Program(port, [carriers]).projections.rebuild('carriers')
    await append(port, 'order-1', shipped())
    const found = await fold(port, carriers)
    expect(found).toMatchObject({ ...equal, report: { equal: true, new: { position: 1 } } })
  })

  it('names the event that its handler fails at, in the midst of a page', async () => {
    const port = await built(['dhl', 'ups', 'bad', 'dpd'])
    const found = await fold(port, picky())
    expect(found).toMatchObject({ kind: 'failed', position: 3, error: { message: 'planted' } })
    expect(await leftOver(port)).toBe(undefined)
  })

  it('names it as well when it comes while the rest is compared', async () => {
    const bare = await openMemoryStore()
    const inline = carriersProjection({ mode: 'inline' })
    const port = withInlineProjections(bare, [inline as AnyProjection], runtime)
    await using program = new Program(port, [inline])
    await program.projections.start()
    await append(port, 'order-1', shipped())
    const late = before(port, async (timeoutMs) => {
      if (!isLast(timeoutMs) || (await port.positions()).newest > 1) return
      for (const carrier of ['ups', 'bad', 'dpd']) await append(port, 'order-1', shipped(carrier))
    })
    expect(await fold(late, picky())).toMatchObject({ kind: 'failed', position: 3 })
  })
})

describe('a second fold while the read model moves', () => {
  it('begins again when another generation goes live', async () => {
    const port = await built(['dhl', 'ups'])
    const carriers = carriersProjection({})
    await using program = new Program(port, [carriers])
    let rebuilt = 0
    const moving = before(port, async (timeoutMs) => {
      if (isLast(timeoutMs) && rebuilt++ === 0) await program.projections.rebuild('carriers')
    })
    const found = await fold(moving, carriers)
    expect(found).toMatchObject({ ...equal, report: { old: { generation: 2 } } })
  })

  it('says so when that never ends', async () => {
    const port = await built(['dhl', 'ups'])
    const carriers = carriersProjection({})
    await using program = new Program(port, [carriers])
    const moving = before(port, async (timeoutMs) => {
      if (isLast(timeoutMs)) await program.projections.rebuild('carriers')
    })
    expect(await fold(moving, carriers)).toEqual({ kind: 'moved' })
    expect(await leftOver(port)).toBe(undefined)
  })

  it('begins again when its consumer is set back below what is folded', async () => {
    const port = await built(['dhl', 'ups', 'dhl'])
    const carriers = carriersProjection({})
    const control = new SubscriptionControl(port, runtime, 10_000)
    let isReset = false
    const moving = before(port, async (timeoutMs) => {
      if (!isLast(timeoutMs) || isReset) return
      isReset = true
      await control.reset('projection:carriers/g1', 1, {})
    })
    // The tables have seen all three, the consumer says one: that is a difference.
    const found = await fold(moving, carriers)
    expect(found).toMatchObject({ report: { equal: false, new: { position: 1 } } })
  })

  it.each(['a page', 'one event at a time'])('ends when another one begins, at %s', async (at) => {
    const port = await built(['dhl', 'ups', 'bad'])
    let isBad = at === 'a page'
    let turn = 0
    const disturbed = before(port, async () => {
      if (!isBad || turn++ !== 1) return
      expect(await fold(port, carriersProjection({}))).toMatchObject(equal)
    })
    const folding = fold(
      disturbed,
      picky(() => {
        isBad = true
      }),
    )
    await expect(folding).rejects.toMatchObject({ code: 'PROJECTION_BUILD_LOST' })
  })
})

describe('a second fold that is disturbed', () => {
  it('ends with its signal, and drops its tables', async () => {
    const port = await built(['dhl', 'ups'])
    const abort = new AbortController()
    const reason = new Error('enough')
    const onProgress = () => abort.abort(reason)
    const folding = fold(port, carriersProjection({}), { signal: abort.signal, onProgress })
    await expect(folding).rejects.toBe(reason)
    expect(await leftOver(port)).toBe(undefined)
    await expect(port.models.count('carriers__g0', [])).rejects.toMatchObject({ argument: 'table' })
  })

  it('drops the tables that a process which died has left', async () => {
    const port = await built(['dhl'])
    await port.transaction(async (tx: StoreTransaction) => {
      await tx.models.create({ name: 'gone__g0', shape: { kind: 'documents', indexes: [] } })
      const value = { owner: 'dead', tables: ['gone__g0'], position: 1 }
      const key = 'carriers'
      await tx.records.write([{ kind: 'projection-refold', key, expected: 'any', value }])
    })
    expect(await fold(port, carriersProjection({}))).toMatchObject(equal)
    await expect(port.models.count('gone__g0', [])).rejects.toMatchObject({ argument: 'table' })
  })

  const unknown = () => new OutcomeUnknownError('the batch')
  it.each([
    ['before', undefined],
    ['after', undefined],
    // What is not known to be stored may be: done again, it must not count twice.
    ['before', unknown],
    ['after', unknown],
  ] as const)(
    'by a fault %s each call is done or fails, and leaves nothing',
    async (when, error) => {
      const carriers = carriersProjection({})
      const port = await built(['dhl', 'ups', 'dhl'])
      for (let at = 0; ; at++) {
        const { store, fired } = withFault(port, { at, when, ...(error && { error }) })
        const found = await fold(store, carriers).catch((failure: { code: string }) => failure.code)
        if (typeof found === 'string') {
          expect(found).toBe(error === undefined ? 'CONNECTION_FAILED' : 'OUTCOME_UNKNOWN')
        } else expect(found).toMatchObject({ ...equal, report: { equal: true, same: 2 } })
        expect(await fold(port, carriers)).toMatchObject(equal)
        expect(await leftOver(port)).toBe(undefined)
        if (!fired()) break
      }
    },
  )
})
