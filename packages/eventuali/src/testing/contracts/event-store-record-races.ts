import assert from 'node:assert/strict'
import type { RecordChange, StoredRecord, StoreTransaction } from '../../ports/index.ts'
import { type EventStoreContext, law, pause } from './context.ts'
import type { ContractCase } from './contract.ts'
import { write } from './read-side-steps.ts'
import { counting, fresh, freshStream, rolledBack } from './steps.ts'

function numbered(kind: string, key: string, expected: number | 'any', n: number): RecordChange {
  return { kind, key, expected, value: { n } }
}

function n(record: StoredRecord | undefined): number {
  return (record?.value as { n: number } | undefined)?.n ?? 0
}

/** Indexes of those that committed; the others must have met a conflict. */
function winners(results: readonly PromiseSettledResult<unknown>[]): number[] {
  const won: number[] = []
  for (const [i, result] of results.entries()) {
    if (result.status === 'fulfilled') won.push(i)
    else assert.equal((result.reason as { code?: unknown }).code, 'RECORD_CONFLICT')
  }
  return won
}

/** Adds one to the `n` of each record, under their locks. */
async function addOne(tx: StoreTransaction, kind: string, keys: readonly string[]): Promise<void> {
  const locked = await tx.records.lock(kind, keys)
  await pause(1)
  await tx.records.write(
    locked.map((record, i) =>
      numbered(kind, keys[i] as string, record?.revision ?? 0, n(record) + 1),
    ),
  )
}

/** Records that several write at once, and what transactions see of each other. */
export const recordRaceCases: readonly ContractCase<EventStoreContext>[] = [
  law('records: of transactions that expect the same revision one commits', async (ctx) => {
    const kind = fresh('k')
    await write(ctx.store, [numbered(kind, 'a', 0, 0)])
    const contenders = counting(8).map((i) => write(ctx.store, [numbered(kind, 'a', 1, i)]))
    const won = winners(await Promise.allSettled(contenders))
    assert.equal(won.length, 1)
    const [record] = await ctx.store.records.get(kind, ['a'])
    assert.deepEqual([record?.revision, n(record)], [2, (won[0] as number) + 1])
  }),

  law('records: of transactions that make the same record one commits', async (ctx) => {
    const kind = fresh('k')
    const contenders = counting(8).map((i) =>
      ctx.store.transaction(async (tx) => {
        await tx.records.write([numbered(kind, 'own', 'any', 0), numbered(kind, 'a', 0, i)])
        await pause(2)
      }),
    )
    const won = winners(await Promise.allSettled(contenders))
    assert.equal(won.length, 1)
    const found = await ctx.store.records.get(kind, ['a', 'own'])
    assert.deepEqual(
      found.map((record) => record?.revision),
      [1, 1],
    )
  }),

  law('records: of transactions that remove and change the same one wins', async (ctx) => {
    const kind = fresh('k')
    await write(ctx.store, [numbered(kind, 'a', 0, 0)])
    const contenders = counting(6).map((i) => {
      const change = i % 2 === 0 ? { kind, key: 'a', expected: 1 } : numbered(kind, 'a', 1, i)
      return write(ctx.store, [change])
    })
    assert.equal(winners(await Promise.allSettled(contenders)).length, 1)
  }),

  law(
    'records: two handles that race for a revision: one gets it',
    async (ctx) => {
      const kind = fresh('k')
      const other = await ctx.openAgain()
      for (const expected of [0, 1, 2, 3]) {
        const contenders = [ctx.store, other].map((store, i) =>
          write(store, [numbered(kind, 'a', expected, i)]),
        )
        const won = winners(await Promise.allSettled(contenders))
        assert.equal(won.length, 1)
        const seen = await Promise.all(
          [ctx.store, other].map(async ({ records }) => (await records.get(kind, ['a']))[0]),
        )
        for (const record of seen) {
          assert.deepEqual([record?.revision, n(record)], [expected + 1, won[0]])
        }
      }
    },
    'shared',
  ),

  law('records: a lock gives what the one before has committed', async (ctx) => {
    const kind = fresh('k')
    await write(ctx.store, [numbered(kind, 'a', 0, 0), numbered(kind, 'b', 0, 0)])
    // Keys in both orders: locks are taken in key order, so nobody waits in a circle.
    const orders = [
      ['a', 'b'],
      ['b', 'a'],
    ]
    await Promise.all(
      counting(12).map((i) =>
        ctx.store.transaction((tx) => addOne(tx, kind, orders[i % 2] as string[])),
      ),
    )
    const found = await ctx.store.records.get(kind, ['a', 'b'])
    assert.deepEqual(
      found.map((record) => [record?.revision, n(record)]),
      [
        [13, 12],
        [13, 12],
      ],
    )
  }),

  law('records: whoever locks keeps others from changing it', async (ctx) => {
    const kind = fresh('k')
    await write(ctx.store, [numbered(kind, 'a', 0, 1)])
    let changed = false
    let outside: Promise<unknown> | undefined
    await ctx.store.transaction(async (tx) => {
      await tx.records.lock(kind, ['a'])
      outside = write(ctx.store, [numbered(kind, 'a', 'any', 2)]).then(() => {
        changed = true
      })
      await pause(30)
      assert.equal(changed, false)
      const [record] = await tx.records.get(kind, ['a'])
      assert.deepEqual([record?.revision, n(record)], [1, 1])
    })
    await outside
    assert.equal(n((await ctx.store.records.get(kind, ['a']))[0]), 2)
  }),

  law('records: a lock gives undefined for what is not there', async (ctx) => {
    const kind = fresh('k')
    await write(ctx.store, [numbered(kind, 'a', 0, 1)])
    await ctx.store.transaction(async (tx) => {
      const locked = await tx.records.lock(kind, ['none', 'a'])
      assert.deepEqual(
        locked.map((record) => record?.key),
        [undefined, 'a'],
      )
    })
  }),

  law('records: what is rolled back leaves nothing', async (ctx) => {
    const kind = fresh('k')
    await write(ctx.store, [numbered(kind, 'a', 0, 1), numbered(kind, 'b', 0, 1)])
    await rolledBack(ctx.store, async (tx) => {
      await tx.records.write([
        numbered(kind, 'a', 1, 2),
        { kind, key: 'b', expected: 1 },
        numbered(kind, 'c', 0, 1),
      ])
    })
    const found = await ctx.store.records.list({ kind, limit: 10 })
    assert.deepEqual(
      found.map((record) => [record.key, record.revision, n(record)]),
      [
        ['a', 1, 1],
        ['b', 1, 1],
      ],
    )
    assert.deepEqual(await write(ctx.store, [numbered(kind, 'a', 1, 3)]), [2])
  }),

  law('records: a transaction sees its own, others only what is committed', async (ctx) => {
    const kind = fresh('k')
    await write(ctx.store, [numbered(kind, 'a', 0, 1)])
    // A store with one connection may let these wait until the transaction has ended.
    const outside: Promise<unknown>[] = []
    const { records } = ctx.store
    await rolledBack(ctx.store, async (tx) => {
      await tx.records.write([numbered(kind, 'a', 1, 2), numbered(kind, 'b', 0, 2)])
      assert.equal(n((await tx.records.get(kind, ['a']))[0]), 2)
      assert.equal((await tx.records.list({ kind, limit: 10 })).length, 2)
      outside.push(records.get(kind, ['b']), records.list({ kind, limit: 10 }))
      await pause(20)
    })
    const [b, list] = (await Promise.all(outside)) as StoredRecord[][]
    assert.deepEqual(b, [undefined])
    assert.deepEqual(list?.map(n), [1])
  }),

  law('records: a record and an append are one unit', async (ctx) => {
    const [kind, stream] = [fresh('k'), freshStream()]
    await ctx.store.transaction(async (tx) => {
      const { version } = await ctx.on(tx).append(stream, 2)
      await tx.records.write([numbered(kind, 'a', 0, version)])
    })
    assert.equal(n((await ctx.store.records.get(kind, ['a']))[0]), (await ctx.head(stream)).version)
  }),

  law(
    'records: another handle sees what was committed',
    async (ctx) => {
      const kind = fresh('k')
      const early = await ctx.openAgain()
      await write(ctx.store, [numbered(kind, 'a', 0, 7)])
      const late = await ctx.openAgain()
      for (const { records } of [early, late]) {
        assert.deepEqual((await records.list({ kind, limit: 5 })).map(n), [7])
      }
    },
    'durable',
  ),

  law(
    'records: a transaction that the caller owns decides over them',
    async (ctx) => {
      const kind = fresh('k')
      for (const [key, ends] of [
        ['kept', 'commit'],
        ['gone', 'rollback'],
      ] as const) {
        const foreign = await ctx.begin()
        const tx = ctx.store.join(foreign.client)
        assert.deepEqual(await tx.records.write([numbered(kind, key, 0, 1)]), [1])
        assert.equal((await tx.records.lock(kind, [key]))[0]?.revision, 1)
        await foreign[ends]()
      }
      const found = await ctx.store.records.list({ kind, limit: 5 })
      assert.deepEqual(
        found.map(({ key }) => key),
        ['kept'],
      )
    },
    'within',
  ),
]
