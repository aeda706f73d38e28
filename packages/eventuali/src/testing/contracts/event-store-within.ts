import assert from 'node:assert/strict'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import { freshStream, refused, versions } from './steps.ts'

/** Transactions that share a connection with the caller's own SQL. */
export const withinCases: readonly ContractCase<EventStoreContext>[] = [
  law(
    'transaction: tx.sql is there',
    async (ctx) => {
      await ctx.store.transaction(async (tx) => {
        assert.ok(tx.sql !== undefined && tx.sql !== null)
      })
    },
    'sql',
  ),

  law(
    "within: an append joins the caller's commit",
    async (ctx) => {
      const stream = freshStream()
      const foreign = await ctx.begin()
      const tx = ctx.store.join(foreign.client)
      await ctx.on(tx).append(stream, 2)
      assert.deepEqual(versions(await ctx.on(tx).read(stream)), [1, 2])
      await foreign.commit()
      assert.deepEqual(versions(await ctx.read(stream)), [1, 2])
      await ctx.settled()
      assert.equal((await ctx.log()).length, 2)
    },
    'within',
  ),

  law(
    "within: an append goes with the caller's rollback",
    async (ctx) => {
      const stream = freshStream()
      const foreign = await ctx.begin()
      await ctx.on(ctx.store.join(foreign.client)).append(stream, 2)
      await foreign.rollback()
      assert.equal(await ctx.info(stream), undefined)
      await ctx.append(stream, 1)
      await ctx.settled()
      assert.equal((await ctx.log()).length, 1)
    },
    'within',
  ),

  law(
    'within: refusals are results and spare the transaction',
    async (ctx) => {
      const stream = freshStream()
      await ctx.append(stream, 1)
      const foreign = await ctx.begin()
      const steps = ctx.on(ctx.store.join(foreign.client))
      refused(await steps.try(stream, 1, { expectedVersion: 0 }), 'version-conflict')
      await steps.append(stream, 1, { expectedVersion: 1 })
      await foreign.commit()
      assert.equal((await ctx.head(stream)).version, 2)
    },
    'within',
  ),

  law('within: is refused with a typed error where it cannot be', async (ctx) => {
    if (ctx.store.capabilities.within) return
    assert.throws(
      () => ctx.store.join({}),
      (error: unknown) => (error as { code?: unknown }).code === 'CAPABILITY_MISSING',
    )
  }),
]
