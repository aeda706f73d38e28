import assert from 'node:assert/strict'
import { type EventStoreContext, law, pause, until } from './context.ts'
import type { ContractCase } from './contract.ts'
import {
  counting,
  drain,
  fresh,
  freshStream,
  givenEvent,
  makeEvent,
  rejectsWith,
  versions,
} from './steps.ts'

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

/** Signals, hints, other handles and the end of a store. */
export const handleCases: readonly ContractCase<EventStoreContext>[] = [
  law('signals: an aborted one ends each call with its reason', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 1)
    const reason = new Error('stop')
    const options = { signal: AbortSignal.abort(reason) }
    const direction = 'forward'
    const upTo = Number.MAX_SAFE_INTEGER
    for (const call of [
      () => ctx.try(stream, 1, {}, options),
      () => drain(ctx.store.readStream({ stream, direction }, options)),
      () => drain(ctx.store.readLog({ direction, upTo }, options)),
      () => ctx.store.transaction(async () => 1, options),
    ]) {
      await assert.rejects(call, (error: unknown) => error === reason, String(call))
    }
    assert.equal((await ctx.head(stream)).version, 1)
  }),

  law('signals: an abort between pages ends a read', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 100)
    const abort = new AbortController()
    const reason = new Error('stop')
    const { signal } = abort
    const upTo = Number.MAX_SAFE_INTEGER
    const query = { direction: 'forward', after: ctx.start, upTo, pageSize: 10 } as const
    const read = async () => {
      for await (const page of ctx.store.readLog(query, { signal })) {
        assert.equal(page.length, 10)
        abort.abort(reason)
      }
    }
    await assert.rejects(read, (error: unknown) => error === reason)
  }),

  law('signals: one that is never aborted changes nothing', async (ctx) => {
    const stream = freshStream()
    const { signal } = new AbortController()
    const outcome = await ctx.try(stream, 2, {}, { signal, timeoutMs: 30_000 })
    assert.ok(outcome.ok)
    assert.equal((await ctx.read(stream)).length, 2)
  }),

  law('watch: calls back after an append, until it is stopped', async (ctx) => {
    let heard = 0
    const stop = ctx.store.watch(() => heard++)
    await ctx.append(freshStream(), 1)
    await until('the hint', () => heard > 0)
    stop()
    await pause(300)
    const before = heard
    await ctx.append(freshStream(), 1)
    await pause(50)
    assert.equal(heard, before, 'a stopped watcher was called')
  }),

  law('watch: each listener is called, and stops for itself', async (ctx) => {
    let [first, second] = [0, 0]
    const stopFirst = ctx.store.watch(() => first++)
    const stopSecond = ctx.store.watch(() => second++)
    stopFirst()
    await ctx.append(freshStream(), 1)
    await until('the hint', () => second > 0)
    assert.equal(first, 0)
    stopSecond()
  }),

  law('settings: are texts, and a healthy store has no faults', async (ctx) => {
    await ctx.append(freshStream(), 5)
    for (const value of Object.values(await ctx.store.settings())) {
      assert.equal(typeof value, 'string')
    }
    assert.deepEqual(await all(ctx.store.faults()), [])
  }),

  law('storage: tells of its schema and its bytes, where there is one', async (ctx) => {
    const { storage } = ctx.store
    if (storage === undefined) return
    await ctx.append(freshStream(), 5)
    const found = await ctx.store.storage?.()
    assert.equal(found?.schemaVersion, found?.schemaVersionNewest)
    assert.ok(Number(found?.schemaVersion) >= 1)
    assert.ok(Number(found?.bytes) > 0)
    assert.ok(found?.connections === undefined || found.connections.max > 0)
  }),

  law('close: refuses every later call', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 1)
    await ctx.store.close()
    const direction = 'forward'
    for (const call of [
      () => ctx.try(stream, 1),
      () => ctx.read(stream),
      () => ctx.readLog({ direction, limit: 1 }),
      () => ctx.info(stream),
      () => ctx.store.positions(),
      () => ctx.store.transaction(async () => 1),
    ]) {
      await rejectsWith('STORE_CLOSED', async () => call())
    }
  }),

  law('close: waits for what is in flight', async (ctx) => {
    const calls = counting(30).map(() => ctx.append(freshStream(), 1))
    await ctx.store.close()
    const results = await Promise.all(calls)
    assert.equal(results.length, 30)
  }),

  law('close: may be called twice, at once too', async (ctx) => {
    await ctx.append(freshStream(), 1)
    await Promise.all([ctx.store.close(), ctx.store.close()])
    await ctx.store.close()
  }),

  law(
    'durable: what was acknowledged is there after opening again',
    async (ctx) => {
      const [a, b, c] = [freshStream(), freshStream(), freshStream()]
      const results = await Promise.all(counting(20).map(() => ctx.append(a, 2)))
      await ctx.append(b, [givenEvent('x', { n: 1 }, { tags: ['k:1'] })])
      await ctx.change(b, { kind: 'archive' })
      await ctx.append(c, 2)
      const deleted = await ctx.change(c, { kind: 'delete' })
      const log = await ctx.log({ includeArchived: true })
      const heads = await Promise.all([a, b, c].map((stream) => ctx.head(stream)))
      const { incarnation } = ctx.store
      await ctx.store.close()
      const again = await ctx.openAgain()
      const steps = ctx.on(again)
      assert.equal(again.incarnation, incarnation)
      assert.deepEqual(await steps.readLog({ after: ctx.start, includeArchived: true }), log)
      assert.deepEqual(await Promise.all([a, b, c].map((stream) => steps.head(stream))), heads)
      assert.equal((await steps.append(b, [givenEvent('x')])).duplicate?.length, 1)
      const next = await steps.append(a, 1)
      assert.equal(next.version, results.length * 2 + 1)
      assert.ok((next.positions[0] as number) > (deleted.positions[0] as number))
    },
    'durable',
  ),

  law(
    'shared: a second handle sees what the first has acknowledged',
    async (ctx) => {
      const other = await ctx.openAgain()
      assert.equal(other.incarnation, ctx.store.incarnation)
      const steps = ctx.on(other)
      for (let round = 1; round <= 5; round++) {
        const stream = freshStream()
        await ctx.append(stream, 1)
        assert.equal((await steps.append(stream, 1, { expectedVersion: 1 })).version, 2)
        assert.deepEqual(versions(await ctx.read(stream)), [1, 2])
        const { newest } = await other.positions()
        assert.ok(newest >= (await ctx.store.positions()).newest)
      }
    },
    'shared',
  ),

  law(
    'shared: two handles on one stream leave dense versions',
    async (ctx) => {
      const other = ctx.on(await ctx.openAgain())
      const stream = freshStream()
      const results = await Promise.all(
        counting(40).map((n) => (n % 2 === 0 ? ctx : other).append(stream, 1)),
      )
      assert.equal(new Set(results.map((result) => result.version)).size, 40)
      assert.deepEqual(versions(await ctx.read(stream)), counting(40))
      assert.deepEqual(await other.read(stream), await ctx.read(stream))
    },
    'shared',
  ),

  law(
    'shared: racers through two handles have one winner',
    async (ctx) => {
      const other = ctx.on(await ctx.openAgain())
      const type = fresh('Taken')
      for (let round = 0; round < 5; round++) {
        const query = [{ types: [type], tags: ['s:1'] }]
        const condition = { query, position: await ctx.settled() }
        const event = () => makeEvent({ type, tags: ['s:1'] })
        const outcomes = await Promise.all(
          counting(16).map((n) =>
            (n % 2 === 0 ? ctx : other).try(freshStream(), [event()], { condition }),
          ),
        )
        assert.equal(outcomes.filter((outcome) => outcome.ok).length, 1)
      }
    },
    'shared',
  ),

  law(
    'shared: a given id is known to the other handle',
    async (ctx) => {
      const other = ctx.on(await ctx.openAgain())
      const stream = freshStream()
      const event = givenEvent('a', { n: 1 })
      const results = await Promise.all(
        counting(16).map((n) => (n % 2 === 0 ? ctx : other).append(stream, [event])),
      )
      assert.equal(results.filter((result) => result.duplicate === undefined).length, 1)
      assert.equal((await other.read(stream)).length, 1)
    },
    'shared',
  ),

  law(
    "shared: a watcher hears of the other handle's appends",
    async (ctx) => {
      const other = await ctx.openAgain()
      let heard = 0
      const stop = other.watch(() => heard++)
      await pause(200)
      const before = heard
      await ctx.append(freshStream(), 1)
      await until('the hint from the other handle', () => heard > before)
      stop()
    },
    'shared',
  ),
]
