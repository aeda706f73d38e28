import assert from 'node:assert/strict'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import {
  counting,
  fresh,
  freshStream,
  makeEvent,
  makeEvents,
  numbers,
  positionsOf,
} from './steps.ts'

/** Reads of the whole log, with filters. */
export const logCases: readonly ContractCase<EventStoreContext>[] = [
  law('readLog: after and before are exclusive, upTo is inclusive', async (ctx) => {
    const { positions: p } = await ctx.append(freshStream(), 5)
    const at = (i: number) => p[i] as number
    assert.deepEqual(positionsOf(await ctx.readLog({ after: at(1) })), p.slice(2))
    assert.deepEqual(positionsOf(await ctx.log({ before: at(3) })), p.slice(0, 3))
    assert.deepEqual(positionsOf(await ctx.log({ upTo: at(3) })), p.slice(0, 4))
    const both = { after: at(0), before: at(4), upTo: at(2) }
    assert.deepEqual(positionsOf(await ctx.log(both)), p.slice(1, 3))
    const backward = await ctx.log({ ...both, direction: 'backward' })
    assert.deepEqual(positionsOf(backward), [at(2), at(1)])
  }),

  law('readLog: nothing after the end', async (ctx) => {
    await ctx.append(freshStream(), 1)
    const { newest } = await ctx.store.positions()
    assert.deepEqual(await ctx.readLog({ after: newest }), [])
    assert.deepEqual(await ctx.log({ upTo: ctx.start }), [])
  }),

  law('readLog: limit stops at that many matches, from either end', async (ctx) => {
    const { positions: p } = await ctx.append(freshStream(), 10)
    assert.deepEqual(positionsOf(await ctx.log({ limit: 3 })), p.slice(0, 3))
    const backward = await ctx.log({ limit: 3, direction: 'backward' })
    assert.deepEqual(positionsOf(backward), p.slice(-3).toReversed())
  }),

  law('readLog: types are joined by OR', async (ctx) => {
    const types = [fresh('A'), fresh('B'), fresh('C')]
    await ctx.append(
      freshStream(),
      counting(9).map((n) => makeEvent({ type: types[n % 3] as string, data: { n } })),
    )
    const [a, , c] = types as [string, string, string]
    assert.deepEqual(numbers(await ctx.log({ types: [a] })), [3, 6, 9])
    assert.deepEqual(numbers(await ctx.log({ types: [c, a] })), [2, 3, 5, 6, 8, 9])
    assert.deepEqual(await ctx.log({ types: [fresh('Never')] }), [])
    assert.deepEqual(numbers(await ctx.log({ types: [fresh('Never'), a] })), [3, 6, 9])
  }),

  law('readLog: a category is what stands before the first dash', async (ctx) => {
    const category = fresh('order')
    const names = [`${category}-1`, `${category}-1-2`, category, `${category}s-1`, `${category}_-1`]
    for (const [i, stream] of names.entries()) {
      await ctx.append(stream, [makeEvent({ data: { n: i } })])
    }
    assert.deepEqual(numbers(await ctx.log({ categories: [category] })), [0, 1, 2])
    const two = await ctx.log({ categories: [`${category}_`, `${category}s`] })
    assert.deepEqual(numbers(two), [3, 4])
    assert.deepEqual(await ctx.log({ categories: [`${category}-1`] }), [])
  }),

  law('readLog: tags are joined by AND', async (ctx) => {
    const [a, b] = [fresh('a:'), fresh('b:')]
    await ctx.append(freshStream(), [
      makeEvent({ data: { n: 1 }, tags: [a] }),
      makeEvent({ data: { n: 2 }, tags: [b] }),
      makeEvent({ data: { n: 3 }, tags: [b, 'other:1', a] }),
      makeEvent({ data: { n: 4 } }),
    ])
    assert.deepEqual(numbers(await ctx.log({ tags: [a] })), [1, 3])
    assert.deepEqual(numbers(await ctx.log({ tags: [a, b] })), [3])
    assert.deepEqual(await ctx.log({ tags: [a, fresh('c:')] }), [])
    assert.deepEqual(await ctx.log({ tags: [a.toUpperCase()] }), [])
  }),

  law('readLog: different filters are joined by AND', async (ctx) => {
    const [type, tag, category] = [fresh('T'), fresh('t:'), fresh('c')]
    const hit = makeEvent({ type, tags: [tag], data: { n: 1 }, time: 500 })
    await ctx.append(freshStream(category), [
      hit,
      makeEvent({ type, tags: [tag], time: 50 }),
      makeEvent({ type, time: 500 }),
      makeEvent({ tags: [tag], time: 500 }),
    ])
    await ctx.append(freshStream(), [makeEvent({ type, tags: [tag], time: 500 })])
    const query = { types: [type], tags: [tag], categories: [category], since: 100 }
    assert.deepEqual(
      (await ctx.log(query)).map((event) => event.id),
      [hit.id],
    )
  }),

  law('readLog: since is inclusive, until exclusive, by the time of the event', async (ctx) => {
    await ctx.append(
      freshStream(),
      [300, 100, 200, 400].map((time, i) => makeEvent({ time, data: { n: i } })),
    )
    assert.deepEqual(numbers(await ctx.log({ since: 200 })), [0, 2, 3])
    assert.deepEqual(numbers(await ctx.log({ until: 300 })), [1, 2])
    assert.deepEqual(numbers(await ctx.log({ since: 200, until: 400 })), [0, 2])
    assert.deepEqual(numbers(await ctx.log({ since: 100, until: 200, by: 'time' })), [1])
  }),

  law('readLog: since and until go by recordedAt when asked', async (ctx) => {
    const { recordedAt } = await ctx.append(freshStream(), makeEvents(2, { time: 7 }))
    const by = 'recordedAt'
    assert.equal((await ctx.log({ since: recordedAt, by })).length, 2)
    assert.equal((await ctx.log({ until: recordedAt, by })).length, 0)
    assert.equal((await ctx.log({ since: recordedAt, until: recordedAt + 1, by })).length, 2)
    assert.equal((await ctx.log({ since: recordedAt + 1, by })).length, 0)
  }),

  law('readLog: items of a query are joined by OR', async (ctx) => {
    const [one, two, tag] = [fresh('One'), fresh('Two'), fresh('t:')]
    await ctx.append(freshStream(), [
      makeEvent({ type: one, data: { n: 1 } }),
      makeEvent({ type: one, tags: [tag], data: { n: 2 } }),
      makeEvent({ type: two, data: { n: 3 } }),
      makeEvent({ type: two, tags: [tag], data: { n: 4 } }),
    ])
    const query = [
      { types: [one], tags: [tag] },
      { types: [two], tags: [] },
    ]
    assert.deepEqual(numbers(await ctx.log({ query })), [2, 3, 4])
    const overlapping = [...query, { types: [one, two], tags: [tag] }]
    assert.deepEqual(numbers(await ctx.log({ query: overlapping })), [2, 3, 4], 'each event once')
    const backward = await ctx.log({ query, direction: 'backward', limit: 2 })
    assert.deepEqual(numbers(backward), [4, 3])
  }),

  law('readLog: pages hold at most pageSize events and lose none between them', async (ctx) => {
    const { positions } = await ctx.append(freshStream(), 25)
    for (const pageSize of [1, 7, 25, 26]) {
      for (const direction of ['forward', 'backward'] as const) {
        const seen: number[] = []
        const query = { direction, after: ctx.start, upTo: Number.MAX_SAFE_INTEGER, pageSize }
        for await (const page of ctx.store.readLog(query)) {
          assert.ok(page.length > 0 && page.length <= pageSize, `a page of ${page.length}`)
          seen.push(...positionsOf(page))
        }
        const expected = direction === 'forward' ? positions : positions.toReversed()
        assert.deepEqual(seen, expected, `pages of ${pageSize}, ${direction}`)
      }
    }
  }),

  law('readLog: a rare match is found across many pages', async (ctx) => {
    const [type, tag] = [fresh('Rare'), fresh('rare:')]
    const noise = makeEvents(700)
    const hits = [makeEvent({ type, tags: [tag], data: { n: 1 } })]
    await ctx.append(freshStream(), [...noise, ...hits, ...noise, ...hits])
    for (const filter of [
      { types: [type] },
      { tags: [tag] },
      { query: [{ types: [type], tags: [tag] }] },
    ]) {
      assert.equal((await ctx.log({ ...filter, pageSize: 10 })).length, 2)
      assert.equal((await ctx.log({ ...filter, pageSize: 10, direction: 'backward' })).length, 2)
    }
  }),

  law('readLog: 3,000 events by default pages, both ways', async (ctx) => {
    const { positions } = await ctx.append(freshStream(), 3000)
    assert.deepEqual(positionsOf(await ctx.log()), positions)
    const backward = await ctx.log({ direction: 'backward' })
    assert.deepEqual(positionsOf(backward), positions.toReversed())
  }),

  law('readLog: filters on data in quotes, percent signs and other scripts', async (ctx) => {
    const base = fresh('x')
    const odd = ["it's", '"', '%', '_', '\\', '漢字', '😀', 'a,b', '{}', "'; --"]
    await ctx.append(
      freshStream(),
      odd.map((text, n) =>
        makeEvent({ type: base + text, tags: [`${base}:${text}`], data: { n } }),
      ),
    )
    for (const [n, text] of odd.entries()) {
      assert.deepEqual(numbers(await ctx.log({ types: [base + text] })), [n])
      assert.deepEqual(numbers(await ctx.log({ tags: [`${base}:${text}`] })), [n])
    }
  }),

  law('readLog: a reader that leaves early holds nothing up', async (ctx) => {
    await ctx.append(freshStream(), 100)
    const query = { direction: 'forward', upTo: Number.MAX_SAFE_INTEGER, pageSize: 5 } as const
    for (let i = 0; i < 20; i++) {
      for await (const page of ctx.store.readLog(query)) {
        assert.ok(page.length > 0)
        break
      }
    }
    await ctx.append(freshStream(), 1)
  }),
]
