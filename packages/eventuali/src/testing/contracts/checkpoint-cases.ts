import assert from 'node:assert/strict'
import type { EventStore } from '../../ports/index.ts'
import { withFault } from '../faults.ts'
import { wrapStore } from '../wrap.ts'
import {
  type CheckpointStore,
  type CheckpointsOf,
  checkpointsOf,
  type HeldCheckpoint,
} from './checkpoint.ts'
import { type EventStoreContext, law } from './context.ts'
import { type Contract, type ContractCase, defineContract } from './contract.ts'
import { counting, fresh, freshStream, rejectsWith } from './steps.ts'

/** Claims until it is the owner; others may be faster a few times. */
async function owned(checkpoints: CheckpointStore, name: string): Promise<HeldCheckpoint> {
  for (let tries = 0; tries < 100; tries++) {
    const held = await checkpoints.claim(name)
    if (held !== undefined) return held
  }
  assert.fail(`${name} could not be claimed in 100 tries`)
}

/** Positions that the log has, for checkpoints to stand at. */
async function positionsIn(ctx: EventStoreContext, count: number): Promise<readonly number[]> {
  return (await ctx.append(freshStream(), count)).positions
}

async function effectsOf(store: EventStore, kind: string): Promise<readonly string[]> {
  return (await store.records.list({ kind, limit: 100 })).map(({ key }) => key)
}

/** An effect that is seen afterwards. */
function leaves(kind: string, key: string): NonNullable<Parameters<HeldCheckpoint['save']>[1]> {
  return (tx) => tx.records.write([{ kind, key, expected: 'any', value: 1 }])
}

type Make = (of: CheckpointsOf) => readonly ContractCase<EventStoreContext>[]

const savingCases: Make = (of) => [
  law('checkpoint: the next owner finds the saved position', async (ctx) => {
    const checkpoints = of(ctx.store)
    const [name, other] = [fresh('s'), fresh('s')]
    const [first = 0, second = 0] = await positionsIn(ctx, 2)
    assert.equal(await checkpoints.position(name), undefined)
    const held = await owned(checkpoints, name)
    assert.deepEqual([held.position, await checkpoints.position(name)], [0, 0])
    await held.save(first)
    await held.save(second)
    assert.equal(await checkpoints.position(name), second)
    assert.equal((await owned(checkpoints, name)).position, second)
    assert.equal((await owned(checkpoints, other)).position, 0)
  }),

  law('checkpoint: is saved with its effect or not at all', async (ctx) => {
    const checkpoints = of(ctx.store)
    const [name, kind] = [fresh('s'), fresh('k')]
    const [first = 0, second = 0] = await positionsIn(ctx, 2)
    const held = await owned(checkpoints, name)
    await held.save(first, leaves(kind, 'first'))
    const failure = new Error('on purpose')
    const run = held.save(second, async (tx) => {
      await leaves(kind, 'second')(tx)
      throw failure
    })
    await assert.rejects(run, (error: unknown) => error === failure)
    assert.equal(await checkpoints.position(name), first)
    assert.deepEqual(await effectsOf(ctx.store, kind), ['first'])
    await held.save(second, leaves(kind, 'second'))
    assert.deepEqual(await effectsOf(ctx.store, kind), ['first', 'second'])
  }),

  law('checkpoint: never goes backwards', async (ctx) => {
    const checkpoints = of(ctx.store)
    const name = fresh('s')
    const [first = 0, second = 0] = await positionsIn(ctx, 2)
    const held = await owned(checkpoints, name)
    await held.save(second)
    await held.save(first)
    assert.equal(await checkpoints.position(name), second)
    assert.equal((await owned(checkpoints, name)).position, second)
  }),

  law('checkpoint: wherever the store fails, position and effect agree', async (ctx) => {
    const kind = fresh('k')
    const [, second = 0] = await positionsIn(ctx, 2)
    let at = 0
    for (; ; at++) {
      const key = fresh('s')
      await owned(of(ctx.store), key)
      const when = at % 2 === 0 ? 'before' : 'after'
      const { store, fired } = withFault(ctx.store, { at: at >> 1, when })
      const work = async () => (await owned(of(store), key)).save(second, leaves(kind, key))
      await work().catch(() => {})
      const isSaved = (await of(ctx.store).position(key)) === second
      const [effect] = await ctx.store.records.get(kind, [key])
      assert.equal(effect !== undefined, isSaved)
      if (!fired()) {
        assert.ok(isSaved)
        break
      }
      // Whoever comes after it can go on.
      await (await owned(of(ctx.store), key)).save(second, leaves(kind, key))
    }
    assert.ok(at > 4, `the run made only ${at >> 1} calls`)
  }),
]

const ownerCases: Make = (of) => [
  law('checkpoint: every owner has the next epoch', async (ctx) => {
    const checkpoints = of(ctx.store)
    const name = fresh('s')
    for (const epoch of counting(4)) assert.equal((await owned(checkpoints, name)).epoch, epoch)
  }),

  law('checkpoint: an owner of before can save nothing more', async (ctx) => {
    const checkpoints = of(ctx.store)
    const [name, kind] = [fresh('s'), fresh('k')]
    const [first = 0, second = 0] = await positionsIn(ctx, 2)
    const stale = await owned(checkpoints, name)
    await stale.save(first)
    const held = await owned(checkpoints, name)
    await rejectsWith('RECORD_CONFLICT', () => stale.save(second, leaves(kind, 'stale')))
    assert.equal(await stale.refresh(), false)
    assert.deepEqual(await effectsOf(ctx.store, kind), [])
    assert.equal(await checkpoints.position(name), first)
    assert.equal(await held.refresh(), true)
    await held.save(second, leaves(kind, 'held'))
    await rejectsWith('RECORD_CONFLICT', () => stale.save(second, leaves(kind, 'stale')))
    assert.deepEqual(await effectsOf(ctx.store, kind), ['held'])
  }),

  law('checkpoint: of owners at the same time one can save', async (ctx) => {
    const name = fresh('s')
    const kind = fresh('k')
    const [first = 0] = await positionsIn(ctx, 1)
    const all = await Promise.all(counting(8).map(() => owned(of(ctx.store), name)))
    const epochs = all.map(({ epoch }) => epoch)
    assert.equal(new Set(epochs).size, all.length, `epochs are ${epochs}`)
    const saves = all.map((held) => held.save(first, leaves(kind, String(held.epoch))))
    const ended = await Promise.allSettled(saves)
    assert.equal(ended.filter(({ status }) => status === 'fulfilled').length, 1)
    assert.deepEqual(await effectsOf(ctx.store, kind), [String(Math.max(...epochs))])
  }),

  law(
    'checkpoint: an owner on another handle counts as well',
    async (ctx) => {
      const name = fresh('s')
      const [first = 0] = await positionsIn(ctx, 1)
      const stale = await owned(of(ctx.store), name)
      const held = await owned(of(await ctx.openAgain()), name)
      assert.equal(held.epoch, stale.epoch + 1)
      await rejectsWith('RECORD_CONFLICT', () => stale.save(first))
      await held.save(first)
      assert.equal(await of(ctx.store).position(name), first)
    },
    'shared',
  ),

  law('checkpoint: one of another log is refused', async (ctx) => {
    const name = fresh('s')
    const [first = 0] = await positionsIn(ctx, 1)
    await (await owned(of(ctx.store), name)).save(first)
    const restored: EventStore = { ...wrapStore(ctx.store, {}), incarnation: fresh('i') }
    await rejectsWith('LOG_CHANGED', () => owned(of(restored), name))
    const beyond = await owned(of(ctx.store), name)
    await beyond.save(first + 1_000_000)
    await rejectsWith('LOG_CHANGED', () => owned(of(ctx.store), name))
  }),
]

/**
 * The laws of checkpoints as cases, for checkpoints of any making over any store.
 *
 * @example
 * ```ts
 * import { checkpointContract, openMemoryStore, runStoreCase } from 'eventuali/testing'
 *
 * const make = async () => ({ store: await openMemoryStore(), dispose: async () => {} })
 * const [first] = checkpointContract().cases
 * if (first !== undefined) await runStoreCase(first, make)
 * ```
 */
export function checkpointContract(of: CheckpointsOf = checkpointsOf): Contract<EventStoreContext> {
  return defineContract('checkpoint', [...savingCases(of), ...ownerCases(of)])
}
