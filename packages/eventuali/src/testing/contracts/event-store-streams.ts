import assert from 'node:assert/strict'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import {
  counting,
  drain,
  fresh,
  freshStream,
  makeEvent,
  makeEvents,
  numbers,
  versions,
} from './steps.ts'

/** Reads of one stream, and the list of streams. */
export const streamCases: readonly ContractCase<EventStoreContext>[] = [
  law('readStream: from and to are inclusive', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 10)
    assert.deepEqual(versions(await ctx.read(stream, { from: 4 })), counting(7, 4))
    assert.deepEqual(versions(await ctx.read(stream, { to: 3 })), [1, 2, 3])
    assert.deepEqual(versions(await ctx.read(stream, { from: 3, to: 5 })), [3, 4, 5])
    assert.deepEqual(versions(await ctx.read(stream, { from: 7, to: 7 })), [7])
  }),

  law('readStream: limit stops at that many events', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 10)
    assert.deepEqual(versions(await ctx.read(stream, { limit: 3 })), [1, 2, 3])
    assert.deepEqual(versions(await ctx.read(stream, { from: 9, limit: 5 })), [9, 10])
  }),

  law('readStream: backward is the exact reverse, with the same bounds', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 10)
    const direction = 'backward'
    const forward = await ctx.read(stream)
    assert.deepEqual(await ctx.read(stream, { direction }), forward.toReversed())
    assert.deepEqual(versions(await ctx.read(stream, { direction, limit: 3 })), [10, 9, 8])
    const bounded = await ctx.read(stream, { direction, from: 2, to: 5 })
    assert.deepEqual(versions(bounded), [5, 4, 3, 2])
    const cut = await ctx.read(stream, { direction, to: 5, limit: 2 })
    assert.deepEqual(versions(cut), [5, 4])
  }),

  law('readStream: a stream that never was has no pages', async (ctx) => {
    assert.deepEqual(await ctx.read(freshStream()), [])
    assert.deepEqual(await ctx.read(freshStream(), { direction: 'backward' }), [])
    assert.equal(await ctx.info(freshStream()), undefined)
  }),

  law('readStream: beyond the end there is nothing', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 2)
    assert.deepEqual(await ctx.read(stream, { from: 3 }), [])
    assert.deepEqual(await ctx.read(stream, { from: 2, to: 1 }), [])
  }),

  law('readStream: 3,500 events come in pages without a seam, both ways', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 3500)
    assert.deepEqual(versions(await ctx.read(stream)), counting(3500))
    const backward = await ctx.read(stream, { direction: 'backward' })
    assert.deepEqual(versions(backward), counting(3500).toReversed())
  }),

  law('readStream: only its own events, whatever else is written', async (ctx) => {
    const [a, b] = [freshStream(), freshStream()]
    for (let i = 0; i < 5; i++) {
      await ctx.append(a, makeEvents(1, { type: 'A' }))
      await ctx.append(b, makeEvents(1, { type: 'B' }))
    }
    const events = await ctx.read(a)
    assert.equal(events.length, 5)
    assert.ok(events.every((event) => event.type === 'A' && event.stream === a))
  }),

  law('readStream: asOf by time is inclusive and goes by each event', async (ctx) => {
    const stream = freshStream()
    // An importer may give times that are not in order.
    const times = [100, 300, 200, 400]
    await ctx.append(
      stream,
      times.map((time, i) => makeEvent({ time, data: { n: i + 1 } })),
    )
    const asOf = (at: number) => ctx.read(stream, { asOf: { at, by: 'time' } })
    assert.deepEqual(numbers(await asOf(99)), [])
    assert.deepEqual(numbers(await asOf(200)), [1, 3])
    assert.deepEqual(numbers(await asOf(300)), [1, 2, 3])
    assert.deepEqual(numbers(await asOf(1000)), [1, 2, 3, 4])
    const backward = await ctx.read(stream, {
      asOf: { at: 300, by: 'time' },
      direction: 'backward',
      limit: 2,
    })
    assert.deepEqual(numbers(backward), [3, 2])
  }),

  law("readStream: asOf by recordedAt goes by the store's clock", async (ctx) => {
    const stream = freshStream()
    const { recordedAt } = await ctx.append(stream, makeEvents(2, { time: 5_000_000_000_000 }))
    const by = 'recordedAt'
    assert.equal((await ctx.read(stream, { asOf: { at: recordedAt, by } })).length, 2)
    assert.equal((await ctx.read(stream, { asOf: { at: recordedAt - 1, by } })).length, 0)
  }),

  law('readStream: a reader that leaves early holds nothing up', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 3000)
    for (let i = 0; i < 20; i++) {
      for await (const page of ctx.store.readStream({ stream, direction: 'forward' })) {
        assert.ok(page.length > 0)
        break
      }
    }
    assert.equal((await ctx.append(stream, 1)).version, 3001)
  }),

  law('readStream: an append between two pages does no harm', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 2500)
    const seen: number[] = []
    let first = true
    for await (const page of ctx.store.readStream({ stream, direction: 'forward' })) {
      if (first) await ctx.append(stream, 1)
      first = false
      seen.push(...versions(page))
    }
    assert.deepEqual(seen, counting(seen.length))
    assert.ok(seen.length >= 2500)
  }),

  law('stream: tells version, count, category, state and times', async (ctx) => {
    const category = fresh('cat')
    const stream = `${category}-a-b`
    await ctx.append(stream, [
      makeEvent({ time: 1000 }),
      makeEvent({ time: 3000 }),
      makeEvent({ time: 2000 }),
    ])
    assert.deepEqual(await ctx.info(stream), {
      stream,
      category,
      version: 3,
      firstVersion: 1,
      count: 3,
      state: 'active',
      firstTime: new Date(1000),
      lastTime: new Date(2000),
    })
  }),

  law('streams: tells the same as stream does, by prefix and category', async (ctx) => {
    const category = fresh('cat')
    const names = ['a1', 'a2', 'b1'].map((id) => `${category}-${id}`)
    for (const name of names) await ctx.append(name, 2)
    await ctx.append(`${category}x-a1`, 1)
    await ctx.append(category, 1)
    assert.deepEqual(await ctx.streamNames({ category }), [category, ...names])
    assert.deepEqual(await ctx.streamNames({ prefix: `${category}-a` }), names.slice(0, 2))
    assert.deepEqual(await ctx.streamNames({ prefix: `${category}-a`, category: fresh('no') }), [])
    assert.deepEqual(
      await ctx.streamNames({ prefix: `${category}-a`, category }),
      names.slice(0, 2),
    )
    const infos = await drain(ctx.store.streams({ prefix: `${category}-` }))
    for (const info of infos) assert.deepEqual(info, await ctx.info(info.stream))
  }),

  law('streams: limit and after page through in the order of names', async (ctx) => {
    const category = fresh('cat')
    const names = counting(25).map((n) => `${category}-${String(n).padStart(3, '0')}`)
    for (const stream of names.toReversed()) await ctx.append(stream, 1)
    const seen: string[] = []
    for (;;) {
      const after = seen.at(-1)
      const page = await ctx.streamNames({ category, limit: 10, ...(after && { after }) })
      if (page.length === 0) break
      seen.push(...page)
    }
    assert.deepEqual(seen, names)
    // The bare name is the first of its category, and counts.
    await ctx.append(category, 1)
    assert.deepEqual(await ctx.streamNames({ category, limit: 2 }), [category, names[0]])
  }),

  law('streams: names sort by the bytes of their UTF-8 text', async (ctx) => {
    const prefix = `${fresh('sort')}-`
    const ends = ['B', 'Z', 'a', 'é', 'ｱ', '😀']
    for (const end of ends.toReversed()) await ctx.append(prefix + end, 1)
    const expected = ends.map((end) => prefix + end)
    assert.deepEqual(await ctx.streamNames({ prefix }), expected)
  }),

  law('streams: a prefix is plain text, and case counts', async (ctx) => {
    const base = fresh('like')
    const names = [`${base}-100%`, `${base}-1000`, `${base}-a_b`, `${base}-axb`, `${base}-A_b`]
    for (const name of names) await ctx.append(name, 1)
    const found = (text: string) => ctx.streamNames({ prefix: `${base}-${text}` })
    assert.deepEqual(await found('100%'), [names[0]])
    assert.deepEqual(await found('a_'), [names[2]])
    assert.deepEqual(await found('A'), [names[4]])
    assert.deepEqual(await found('*'), [])
    assert.deepEqual(await found('\\'), [])
  }),

  law('streams: 1,200 streams come in pages without a seam', async (ctx) => {
    const category = fresh('cat')
    const entries = counting(1200).map((n) => ({
      stream: `${category}-${String(n).padStart(5, '0')}`,
      expectedVersion: 0,
      events: makeEvents(1),
    }))
    await ctx.tryAll(entries)
    const names = await ctx.streamNames({ category })
    assert.deepEqual(
      names,
      entries.map((entry) => entry.stream),
    )
    const after = names[50]
    assert.deepEqual(await ctx.streamNames({ category, after }), names.slice(51))
  }),
]
