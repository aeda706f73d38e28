import assert from 'node:assert/strict'
import type { StoreTransaction } from '../../ports/index.ts'
import { type EventStoreContext, law, pause, until } from './context.ts'
import type { ContractCase } from './contract.ts'
import {
  counting,
  fresh,
  freshStream,
  givenEvent,
  makeEvent,
  makeEvents,
  refused,
  rejectsWith,
  rolledBack,
  versions,
} from './steps.ts'

/** Several steps in one transaction. */
export const transactionCases: readonly ContractCase<EventStoreContext>[] = [
  law('transaction: commits all of its appends and returns its value', async (ctx) => {
    const [a, b] = [freshStream(), freshStream()]
    const value = await ctx.store.transaction(async (tx) => {
      await ctx.on(tx).append(a, 2)
      await ctx.on(tx).append(b, 1)
      await ctx.on(tx).append(a, 1, { expectedVersion: 2 })
      return { done: true }
    })
    assert.deepEqual(value, { done: true })
    assert.deepEqual(versions(await ctx.read(a)), [1, 2, 3])
    assert.deepEqual(versions(await ctx.read(b)), [1])
    assert.equal((await ctx.log()).length, 4)
  }),

  law('transaction: a throw rolls everything back and comes out as it was', async (ctx) => {
    const [a, b] = [freshStream(), freshStream()]
    await ctx.append(a, 1)
    await rolledBack(ctx.store, async (tx) => {
      await ctx.on(tx).append(a, 2)
      await ctx.on(tx).append(b, [givenEvent('x')])
    })
    assert.deepEqual(versions(await ctx.read(a)), [1])
    assert.equal(await ctx.info(b), undefined)
    assert.equal(await ctx.store.eventById(b, 'x'), undefined)
    assert.equal((await ctx.log()).length, 1)
    assert.equal((await ctx.append(a, 1, { expectedVersion: 1 })).version, 2)
    assert.equal((await ctx.append(b, [givenEvent('x')])).duplicate, undefined)
  }),

  law('transaction: sees its own appends in every read', async (ctx) => {
    const stream = freshStream()
    await ctx.store.transaction(async (tx) => {
      const steps = ctx.on(tx)
      await steps.append(stream, [givenEvent('x'), makeEvent()])
      assert.deepEqual(versions(await steps.read(stream)), [1, 2])
      assert.equal((await steps.head(stream)).version, 2)
      assert.equal((await tx.eventById(stream, 'x'))?.version, 1)
      assert.deepEqual(versions(await steps.readLog({ after: ctx.start })), [1, 2])
      refused(await steps.try(stream, 1, { expectedVersion: 0 }), 'version-conflict')
      const again = await steps.try(stream, [givenEvent('x')])
      assert.ok(again.ok && again.entries[0]?.duplicate?.length === 1)
    })
    assert.equal((await ctx.head(stream)).version, 2)
  }),

  law('transaction: nobody outside sees what is rolled back', async (ctx) => {
    const stream = freshStream()
    // A store with one connection may let these wait until the transaction has ended.
    const outside: Promise<unknown[]>[] = []
    await rolledBack(ctx.store, async (tx) => {
      await ctx.on(tx).append(stream, 2)
      outside.push(ctx.read(stream), ctx.log())
      await pause(20)
    })
    assert.deepEqual(await Promise.all(outside), [[], []])
  }),

  law('transaction: a refusal inside is a result, and the transaction may go on', async (ctx) => {
    const [a, b] = [freshStream(), freshStream()]
    await ctx.append(a, 1)
    await ctx.store.transaction(async (tx) => {
      const steps = ctx.on(tx)
      refused(await steps.try(a, 1, { expectedVersion: 0 }), 'version-conflict')
      await steps.append(b, [givenEvent('x', 1)])
      refused(await steps.try(b, [givenEvent('x', 2)]), 'idempotency-conflict')
    })
    assert.equal((await ctx.head(a)).version, 1)
    assert.equal((await ctx.head(b)).version, 1)
  }),

  law('transaction: bad data inside is an error of that call alone', async (ctx) => {
    const stream = freshStream()
    await ctx.store.transaction(async (tx) => {
      const steps = ctx.on(tx)
      await rejectsWith('DATA_NOT_JSON', () => steps.try(stream, [makeEvent({ data: Number.NaN })]))
      await steps.append(stream, 1)
    })
    assert.equal((await ctx.head(stream)).version, 1)
  }),

  law('transaction: a condition is checked inside', async (ctx) => {
    const type = fresh('T')
    const position = await ctx.settled()
    await ctx.append(freshStream(), [makeEvent({ type, tags: ['a:1'] })])
    const stream = freshStream()
    await ctx.store.transaction(async (tx) => {
      const query = [{ types: [type], tags: ['a:1'] }]
      const outcome = await ctx.on(tx).try(stream, 1, { condition: { query, position } })
      refused(outcome, 'condition-failed')
    })
    assert.equal(await ctx.info(stream), undefined)
  }),

  law('transaction: lifecycle changes are rolled back too', async (ctx) => {
    const [a, b, c] = [freshStream(), freshStream(), freshStream()]
    for (const stream of [a, b, c]) {
      await ctx.append(
        stream,
        makeEvents(3, { tags: ['k:1'] }).map((e, i) => ({ ...e, idGiven: true, id: `i${i}` })),
      )
    }
    const heads = await Promise.all([a, b, c].map((stream) => ctx.head(stream)))
    const log = await ctx.log()
    await rolledBack(ctx.store, async (tx) => {
      const steps = ctx.on(tx)
      await steps.change(a, { kind: 'archive' })
      await steps.change(b, { kind: 'truncate', before: 3 })
      await steps.change(c, { kind: 'delete' })
      assert.equal((await steps.read(c)).length, 1)
    })
    assert.deepEqual(await Promise.all([a, b, c].map((stream) => ctx.head(stream))), heads)
    assert.deepEqual(await ctx.log({ tags: ['k:1'] }), log)
    assert.equal((await ctx.store.eventById(c, 'i0'))?.version, 1)
  }),

  law('transaction: is bounded in time, and rolls back then', async (ctx) => {
    const stream = freshStream()
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const work = () =>
      ctx.store.transaction(
        async (tx) => {
          await ctx.on(tx).append(stream, 1)
          await held
        },
        { timeoutMs: 100 },
      )
    await rejectsWith('TRANSACTION_TIMEOUT', work)
    release()
    assert.equal(await ctx.info(stream), undefined)
    assert.equal((await ctx.append(stream, 1)).version, 1)
  }),

  law('transaction: its handle is of no use after it ended', async (ctx) => {
    const stream = freshStream()
    let kept: StoreTransaction | undefined
    await ctx.store.transaction(async (tx) => {
      kept = tx
      await ctx.on(tx).append(stream, 1)
    })
    const tx = kept as StoreTransaction
    await assert.rejects(async () => ctx.on(tx).append(stream, 1))
    assert.equal((await ctx.head(stream)).version, 1)
  }),

  law('transaction: a failing one does not touch appends beside it', async (ctx) => {
    const streams = counting(20).map(() => freshStream())
    const failing = counting(4).map(() =>
      rolledBack(ctx.store, async (tx) => void (await ctx.on(tx).append(freshStream(), 1))),
    )
    const plain = streams.map((stream) => ctx.append(stream, 1))
    await Promise.all([...failing, ...plain])
    assert.equal((await ctx.log()).length, 20)
  }),

  law('transaction: appends outside go on once it has ended', async (ctx) => {
    const [inside, outside] = [freshStream(), freshStream()]
    const waiting: Promise<unknown>[] = []
    await ctx.store.transaction(async (tx) => {
      await ctx.on(tx).append(inside, 1)
      waiting.push(ctx.append(outside, 1), ctx.append(outside, 1))
      await pause(20)
      await ctx.on(tx).append(inside, 1)
    })
    await Promise.all(waiting)
    assert.deepEqual(versions(await ctx.read(inside)), [1, 2])
    assert.deepEqual(versions(await ctx.read(outside)), [1, 2])
  }),

  law('transaction: 8 at once that read, then write, lose no update', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 1)
    const outcomes = await Promise.all(
      counting(8).map(() =>
        ctx.store.transaction(async (tx) => {
          const { version } = await ctx.on(tx).head(stream)
          return ctx.on(tx).try(stream, 1, { expectedVersion: version })
        }),
      ),
    )
    const done = outcomes.filter((outcome) => outcome.ok).length
    assert.ok(done >= 1)
    assert.deepEqual(versions(await ctx.read(stream)), counting(1 + done))
  }),

  law('transaction: an abort while it runs rolls it back', async (ctx) => {
    const stream = freshStream()
    const abort = new AbortController()
    const reason = new Error('no longer wanted')
    const work = ctx.store.transaction(
      async (tx) => {
        await ctx.on(tx).append(stream, 1)
        abort.abort(reason)
        await pause(50)
      },
      { signal: abort.signal },
    )
    await assert.rejects(work, (error: unknown) => error === reason)
    assert.equal(await ctx.info(stream), undefined)
    await ctx.append(stream, 1)
  }),

  law('transaction: watchers hear of it after the commit', async (ctx) => {
    const stream = freshStream()
    await ctx.append(freshStream(), 1)
    await pause(50)
    let heard = 0
    const stop = ctx.store.watch(() => heard++)
    await ctx.store.transaction(async (tx) => void (await ctx.on(tx).append(stream, 1)))
    await until('the hint', () => heard > 0)
    stop()
  }),

  law('transaction: an empty one does nothing', async (ctx) => {
    assert.equal(await ctx.store.transaction(async () => 5), 5)
    assert.deepEqual(await ctx.log(), [])
  }),
]
