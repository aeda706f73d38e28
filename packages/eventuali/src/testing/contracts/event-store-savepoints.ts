import assert from 'node:assert/strict'
import { systemClock } from '../../kernel/index.ts'
import type { StoreTransaction } from '../../ports/index.ts'
import { type EventStoreContext, law, pause } from './context.ts'
import type { ContractCase } from './contract.ts'
import { makeTable } from './read-side-steps.ts'
import { counting, fresh, freshStream, positionsOf, rolledBack, versions } from './steps.ts'

const failure = new Error('on purpose')

/** A savepoint that fails at its end; its rejection must come out as it was. */
async function undone(tx: StoreTransaction, work: () => Promise<unknown>): Promise<void> {
  const run = tx.savepoint(async () => {
    await work()
    throw failure
  })
  await assert.rejects(run, (error: unknown) => error === failure)
}

/** Savepoints. */
const savepointCases: readonly ContractCase<EventStoreContext>[] = [
  law('savepoint: gives the value of its work and keeps what it did', async (ctx) => {
    const [kind, stream] = [fresh('k'), freshStream()]
    await ctx.store.transaction(async (tx) => {
      const value = await tx.savepoint(async () => {
        await ctx.on(tx).append(stream, 2)
        await tx.records.write([{ kind, key: 'a', expected: 0, value: 1 }])
        return { done: true }
      })
      assert.deepEqual(value, { done: true })
    })
    assert.equal((await ctx.head(stream)).version, 2)
    assert.equal((await ctx.store.records.get(kind, ['a']))[0]?.revision, 1)
  }),

  law('savepoint: a rejection undoes its appends, records and documents', async (ctx) => {
    const [kind, stream, other] = [fresh('k'), freshStream(), freshStream()]
    const table = await makeTable(ctx.store)
    const document = (value: number) => ({ key: 'a', value, position: value })
    await ctx.store.transaction(async (tx) => {
      await ctx.on(tx).append(stream, 1)
      await tx.records.write([{ kind, key: 'a', expected: 0, value: 1 }])
      await tx.models.put(table, [document(1)])
      await undone(tx, async () => {
        await ctx.on(tx).append(stream, 2)
        await ctx.on(tx).append(other, 1)
        await tx.records.write([
          { kind, key: 'a', expected: 1, value: 2 },
          { kind, key: 'b', expected: 0, value: 2 },
        ])
        await tx.models.put(table, [document(2), { ...document(2), key: 'b' }])
        await tx.inline.register({ name: fresh('p'), version: 1, types: ['ThingHappened'] })
      })
      assert.deepEqual(versions(await ctx.on(tx).read(stream)), [1])
      assert.equal((await tx.records.get(kind, ['a']))[0]?.value, 1)
      assert.deepEqual(await tx.models.get(table, ['a', 'b']), [document(1), undefined])
      await ctx.on(tx).append(stream, 1, { expectedVersion: 1 })
      await tx.records.write([{ kind, key: 'a', expected: 1, value: 3 }])
    })
    assert.deepEqual(versions(await ctx.read(stream)), [1, 2])
    assert.equal(await ctx.info(other), undefined)
    const records = await ctx.store.records.list({ kind, limit: 9 })
    assert.deepEqual(
      records.map((record) => [record.key, record.revision, record.value]),
      [['a', 2, 3]],
    )
    assert.deepEqual(await ctx.store.models.get(table, ['a', 'b']), [document(1), undefined])
  }),

  law('savepoint: a conflict of records inside leaves the transaction usable', async (ctx) => {
    const [kind, stream] = [fresh('k'), freshStream()]
    await ctx.store.transaction(async (tx) => {
      const run = tx.savepoint(() => tx.records.write([{ kind, key: 'a', expected: 4, value: 1 }]))
      await assert.rejects(run, { code: 'RECORD_CONFLICT' })
      await ctx.on(tx).append(stream, 1)
      await tx.records.write([{ kind, key: 'a', expected: 0, value: 1 }])
    })
    assert.equal((await ctx.head(stream)).version, 1)
    assert.equal((await ctx.store.records.get(kind, ['a']))[0]?.revision, 1)
  }),

  law('savepoint: many after each other, good and bad', async (ctx) => {
    const stream = freshStream()
    await ctx.store.transaction(async (tx) => {
      for (const i of counting(20)) {
        const work = () => ctx.on(tx).append(stream, 1)
        if (i % 2 === 0) await undone(tx, work)
        else await tx.savepoint(work)
      }
    })
    assert.deepEqual(versions(await ctx.read(stream)), counting(10))
    assert.equal((await ctx.append(stream, 1, { expectedVersion: 10 })).version, 11)
  }),

  law('savepoint: what it kept goes with its transaction', async (ctx) => {
    const [kind, stream] = [fresh('k'), freshStream()]
    await rolledBack(ctx.store, (tx) =>
      tx.savepoint(async () => {
        await ctx.on(tx).append(stream, 1)
        await tx.records.write([{ kind, key: 'a', expected: 0, value: 1 }])
      }),
    )
    assert.equal(await ctx.info(stream), undefined)
    assert.deepEqual(await ctx.store.records.get(kind, ['a']), [undefined])
  }),
]

/** Barriers and the newest position. */
const barrierCases: readonly ContractCase<EventStoreContext>[] = [
  law('newestPosition: sees committed events and the own ones', async (ctx) => {
    const { positions } = await ctx.append(freshStream(), 2)
    await ctx.store.transaction(async (tx) => {
      assert.equal(await tx.newestPosition(), positions[1])
      const own = await ctx.on(tx).append(freshStream(), 1)
      assert.equal(await tx.newestPosition(), own.positions[0])
      await undone(tx, () => ctx.on(tx).append(freshStream(), 3))
      assert.equal(await tx.newestPosition(), own.positions[0])
    })
  }),

  law('barrier: holds new appends back until the transaction ends', async (ctx) => {
    await ctx.append(freshStream(), 1)
    let late: Promise<unknown> = Promise.resolve()
    let isStored = false
    await ctx.store.transaction(async (tx) => {
      await tx.barrier()
      const newest = await tx.newestPosition()
      late = ctx.append(freshStream(), 2).then(() => {
        isStored = true
      })
      await pause(40)
      assert.equal(isStored, false)
      assert.equal(await tx.newestPosition(), newest)
    })
    await late
    assert.equal((await ctx.log()).length, 3)
  }),

  law('barrier: after it no event below the newest position is missing', async (ctx) => {
    const writers = counting(6).map(async () => {
      for (let i = 0; i < 12; i++) await ctx.append(freshStream(), 1)
    })
    const cuts: { readonly newest: number; readonly seen: readonly number[] }[] = []
    for (let i = 0; i < 6; i++) {
      await ctx.store.transaction(async (tx) => {
        await tx.barrier()
        const newest = await tx.newestPosition()
        const seen = positionsOf(await ctx.on(tx).readLog({ after: ctx.start, upTo: newest }))
        cuts.push({ newest, seen })
      })
      await pause(3)
    }
    await Promise.all(writers)
    await ctx.settled()
    const all = positionsOf(await ctx.log())
    assert.equal(all.length, 72)
    for (const { newest, seen } of cuts) {
      assert.deepEqual(
        seen,
        all.filter((position) => position <= newest),
      )
    }
  }),

  law('barrier: the transaction itself may append after it', async (ctx) => {
    const stream = freshStream()
    await ctx.store.transaction(async (tx) => {
      await tx.barrier()
      const { positions } = await ctx.on(tx).append(stream, 1)
      assert.equal(await tx.newestPosition(), positions[0])
    })
    assert.equal((await ctx.append(stream, 1, { expectedVersion: 1 })).version, 2)
  }),

  law(
    'barrier: holds the appends of another handle back as well',
    async (ctx) => {
      const other = await ctx.openAgain()
      let late: Promise<unknown> = Promise.resolve()
      let isStored = false
      await ctx.store.transaction(async (tx) => {
        await tx.barrier()
        late = ctx
          .on(other)
          .append(freshStream(), 1)
          .then(() => {
            isStored = true
          })
        await pause(40)
        assert.equal(isStored, false)
      })
      await late
      assert.equal((await ctx.log()).length, 1)
    },
    'shared',
  ),
]

/** How a transaction that another one stands in the way of may end: it may be tried again. */
const interferenceCodes = ['STORAGE_BUSY', 'TIMEOUT', 'TRANSACTION_TIMEOUT']
/** Past its bound, a transaction has this long to come to its end. */
const END_MS = 10_000

type Part = (tx: StoreTransaction) => Promise<unknown>

/**
 * Two transactions that each do a part, meet, and then both want the log to themselves. Gives how
 * many committed; what they appended must be there if and only if they did.
 */
async function crossing(
  ctx: EventStoreContext,
  timeoutMs: number,
  parts: readonly [Part, Part],
  ends: readonly [Part, Part],
): Promise<number> {
  await ctx.settled()
  const before = (await ctx.log()).length
  let arrived = 0
  const all = Promise.withResolvers<void>()
  // Where transactions come one after the other, nobody is ever met.
  const meeting = () => Promise.race([all.promise, pause(150)])
  const run = (which: 0 | 1) =>
    ctx.store.transaction(
      async (tx) => {
        await parts[which](tx)
        if (++arrived === parts.length) all.resolve()
        await meeting()
        await ends[which](tx)
        await ctx.on(tx).append(freshStream(), 1)
      },
      { timeoutMs },
    )
  const startedMs = systemClock.monotonic()
  const ended = await Promise.allSettled([run(0), run(1)])
  const tookMs = systemClock.monotonic() - startedMs
  // One after the other, each has the bound for itself.
  assert.ok(tookMs < 2 * timeoutMs + END_MS, `it took ${tookMs} ms, the bound is ${timeoutMs}`)
  for (const end of ended) {
    if (end.status === 'fulfilled') continue
    const { code } = end.reason as { readonly code?: string }
    assert.ok(interferenceCodes.includes(code ?? ''), `rejected with ${String(end.reason)}`)
  }
  const committed = ended.filter(({ status }) => status === 'fulfilled').length
  await ctx.append(freshStream(), 1)
  await ctx.settled()
  const stored = (await ctx.log()).length - before - 1
  assert.equal(stored % 2, 0, `${stored} events are stored: a transaction is there in part`)
  assert.equal(stored / 2, committed)
  return committed
}

const appendOne =
  (ctx: EventStoreContext): Part =>
  (tx) =>
    ctx.on(tx).append(freshStream(), 1)
const wantAll: Part = (tx) => tx.barrier()

/** Transactions that would wait for each other for ever. */
const deadlockCases: readonly ContractCase<EventStoreContext>[] = [
  law(
    'barrier: of two that wait for each other one commits, the other may be told',
    async (ctx) => {
      const append = appendOne(ctx)
      for (let round = 0; round < 3; round++) {
        const committed = await crossing(ctx, 8000, [append, append], [wantAll, wantAll])
        assert.ok(committed >= 1, 'nobody committed')
      }
    },
  ),

  law(
    'barrier: one that waits for who waits for its record is no deadlock for ever',
    async (ctx) => {
      const kind = fresh('k')
      const append = appendOne(ctx)
      await ctx.store.transaction((tx) =>
        tx.records.write([{ kind, key: 'a', expected: 0, value: 1 }]),
      )
      const lock: Part = (tx) => tx.records.lock(kind, ['a'])
      const lockAndAppend: Part = async (tx) => {
        await lock(tx)
        await append(tx)
      }
      const committed = await crossing(ctx, 8000, [lockAndAppend, append], [wantAll, lock])
      assert.ok(committed >= 1, 'nobody committed')
    },
  ),

  law('barrier: two that wait for each other keep to their bound', async (ctx) => {
    const append = appendOne(ctx)
    await crossing(ctx, 400, [append, append], [wantAll, wantAll])
  }),
]

/** Parts of transactions, and transactions that have the log to themselves. */
export const savepointAndBarrierCases: readonly ContractCase<EventStoreContext>[] = [
  ...savepointCases,
  ...barrierCases,
  ...deadlockCases,
]
