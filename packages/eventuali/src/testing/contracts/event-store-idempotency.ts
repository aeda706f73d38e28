import assert from 'node:assert/strict'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import {
  counting,
  fresh,
  freshStream,
  givenEvent,
  makeEvent,
  refused,
  succeeded,
  versions,
} from './steps.ts'

const any = 'any' as const

/** Ids given by the caller make an append repeatable. */
export const idempotencyCases: readonly ContractCase<EventStoreContext>[] = [
  law('idempotency: a repeated append gives the first result and stores once', async (ctx) => {
    const stream = freshStream()
    const events = [givenEvent('a', { n: 1 }), givenEvent('b', { n: 2 })]
    const first = await ctx.append(stream, events)
    const again = await ctx.append(stream, events)
    const stored = await ctx.read(stream)
    assert.equal(stored.length, 2)
    assert.deepEqual(again, { ...first, duplicate: stored })
  }),

  law('idempotency: it is looked at before the expected version', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, [givenEvent('a')], { expectedVersion: 0 })
    const again = await ctx.append(stream, [givenEvent('a')], { expectedVersion: 0 })
    assert.equal(again.duplicate?.length, 1)
    assert.equal((await ctx.head(stream)).version, 1)
  }),

  law('idempotency: later events do not change the first result', async (ctx) => {
    const stream = freshStream()
    const first = await ctx.append(stream, [givenEvent('a'), givenEvent('b')])
    await ctx.append(stream, 3)
    const again = await ctx.append(stream, [givenEvent('a'), givenEvent('b')])
    assert.equal(again.version, 2)
    assert.deepEqual(again.positions, first.positions)
    assert.deepEqual(versions(again.duplicate ?? []), [1, 2])
  }),

  law('idempotency: other data under a known id is a conflict', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, [givenEvent('a', { n: 1 })])
    const outcome = await ctx.try(stream, [givenEvent('a', { n: 2 })])
    const refusal = refused(outcome, 'idempotency-conflict')
    assert.equal(refusal.stream, stream)
    assert.ok(refusal.ids.includes('a'))
    assert.deepEqual((await ctx.read(stream))[0]?.data, { n: 1 })
    assert.equal((await ctx.head(stream)).version, 1)
  }),

  law('idempotency: another type under a known id is a conflict', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, [givenEvent('a', 1, { type: 'One' })])
    const outcome = await ctx.try(stream, [givenEvent('a', 1, { type: 'Two' })])
    refused(outcome, 'idempotency-conflict')
    assert.equal((await ctx.read(stream)).length, 1)
  }),

  law('idempotency: data is compared as its stored text', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, [givenEvent('a', { x: 1, y: 2 })])
    refused(await ctx.try(stream, [givenEvent('a', { y: 2, x: 1 })]), 'idempotency-conflict')
    const again = await ctx.append(stream, [givenEvent('a', { x: 1, y: 2 })])
    assert.equal(again.duplicate?.length, 1)
  }),

  law('idempotency: the same ids in another order are a conflict', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, [givenEvent('a'), givenEvent('b')])
    const outcome = await ctx.try(stream, [givenEvent('b'), givenEvent('a')])
    refused(outcome, 'idempotency-conflict')
    assert.equal((await ctx.read(stream)).length, 2)
  }),

  law('idempotency: a batch known in part is a conflict and stores nothing', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, [givenEvent('a')])
    const outcome = await ctx.try(stream, [givenEvent('a'), givenEvent('b')])
    refused(outcome, 'idempotency-conflict')
    refused(await ctx.try(stream, [givenEvent('b'), givenEvent('a')]), 'idempotency-conflict')
    assert.equal((await ctx.read(stream)).length, 1)
    assert.equal(await ctx.store.eventById(stream, 'b'), undefined)
  }),

  law('idempotency: a known id beside an event without one is a conflict', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, [givenEvent('a')])
    refused(await ctx.try(stream, [givenEvent('a'), makeEvent()]), 'idempotency-conflict')
    assert.equal((await ctx.read(stream)).length, 1)
  }),

  law('idempotency: one id twice in one append is a conflict', async (ctx) => {
    const stream = freshStream()
    const outcome = await ctx.try(stream, [givenEvent('a', 1), givenEvent('a', 2)])
    refused(outcome, 'idempotency-conflict')
    assert.equal(await ctx.info(stream), undefined)
  }),

  law('idempotency: the same id in another stream is another event', async (ctx) => {
    const [a, b] = [freshStream(), freshStream()]
    await ctx.append(a, [givenEvent('same', { n: 1 })])
    const second = await ctx.append(b, [givenEvent('same', { n: 2 })])
    assert.equal(second.duplicate, undefined)
    assert.deepEqual((await ctx.read(b))[0]?.data, { n: 2 })
    assert.deepEqual((await ctx.store.eventById(a, 'same'))?.data, { n: 1 })
  }),

  law(
    'idempotency: a repeated request over several streams gives all first results',
    async (ctx) => {
      const [a, b] = [freshStream(), freshStream()]
      const entries = [
        { stream: a, expectedVersion: 0, events: [givenEvent('x'), givenEvent('y')] },
        { stream: b, expectedVersion: 0, events: [givenEvent('z')] },
      ]
      const first = succeeded(await ctx.tryAll(entries))
      const again = succeeded(await ctx.tryAll(entries))
      assert.deepEqual(
        again.map(({ duplicate, ...rest }) => rest),
        first,
      )
      assert.deepEqual(
        again.map(({ duplicate }) => duplicate?.map((event) => event.id)),
        [['x', 'y'], ['z']],
      )
    },
  ),

  law('idempotency: one known stream of two is a conflict and stores nothing', async (ctx) => {
    const [a, b] = [freshStream(), freshStream()]
    await ctx.append(b, [givenEvent('z')])
    const outcome = await ctx.tryAll([
      { stream: a, expectedVersion: any, events: [givenEvent('x')] },
      { stream: b, expectedVersion: any, events: [givenEvent('z')] },
    ])
    assert.equal(refused(outcome, 'idempotency-conflict').stream, b)
    assert.equal(await ctx.info(a), undefined)
  }),

  law('idempotency: other metadata, time and tags are still the same append', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, [givenEvent('a', 1, { metadata: { actor: 'ada' } })])
    const over = { metadata: { actor: 'bob' }, time: 5, tags: ['t:1'] }
    const again = await ctx.append(stream, [givenEvent('a', 1, over)])
    assert.deepEqual(again.duplicate?.[0]?.metadata, { actor: 'ada' })
  }),

  law('idempotency: 16 identical appends at once store one', async (ctx) => {
    const stream = freshStream()
    const events = [givenEvent('a', { n: 1 }), givenEvent('b', { n: 2 })]
    const all = await Promise.all(counting(16).map(() => ctx.append(stream, events)))
    assert.equal(all.filter((result) => result.duplicate === undefined).length, 1)
    assert.equal(new Set(all.map((result) => result.positions.join())).size, 1)
    assert.equal((await ctx.read(stream)).length, 2)
  }),

  law('idempotency: different content under one id at once stores one', async (ctx) => {
    const stream = freshStream()
    const outcomes = await Promise.all(
      counting(16).map((n) => ctx.try(stream, [givenEvent('a', { n })])),
    )
    assert.equal(outcomes.filter((outcome) => outcome.ok).length, 1)
    for (const outcome of outcomes) if (!outcome.ok) refused(outcome, 'idempotency-conflict')
    assert.equal((await ctx.read(stream)).length, 1)
  }),

  law('idempotency: it is looked at before the condition', async (ctx) => {
    const stream = freshStream()
    const type = fresh('T')
    const condition = { query: [{ types: [type], tags: [] }], position: ctx.start }
    const events = [givenEvent('a', 1, { type })]
    await ctx.append(stream, events, { condition })
    const again = await ctx.append(stream, events, { condition })
    assert.equal(again.duplicate?.length, 1)
  }),

  law('idempotency: it is looked at before the archived state', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, [givenEvent('a')])
    await ctx.change(stream, { kind: 'archive' })
    assert.equal((await ctx.append(stream, [givenEvent('a')])).duplicate?.length, 1)
    refused(await ctx.try(stream, [givenEvent('b')]), 'stream-archived')
  }),

  law('idempotency: a deletion forgets the ids', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, [givenEvent('a', { n: 1 })])
    await ctx.change(stream, { kind: 'delete' })
    assert.equal(await ctx.store.eventById(stream, 'a'), undefined)
    refused(await ctx.try(stream, [givenEvent('a', { n: 1 })]), 'stream-deleted')
    const again = await ctx.append(stream, [givenEvent('a', { n: 2 })], { recreate: true })
    assert.equal(again.version, 3)
    assert.equal(again.duplicate, undefined)
  }),

  law('idempotency: a refused append leaves its ids free', async (ctx) => {
    const stream = freshStream()
    refused(await ctx.try(stream, [givenEvent('a')], { expectedVersion: 3 }), 'version-conflict')
    const result = await ctx.append(stream, [givenEvent('a', { n: 9 })])
    assert.equal(result.duplicate, undefined)
  }),

  law('idempotency: 1,000 given ids repeat as one', async (ctx) => {
    const stream = freshStream()
    const events = counting(1000).map((n) => givenEvent(`id-${n}`, { n }))
    const first = await ctx.append(stream, events)
    const again = await ctx.append(stream, events)
    assert.deepEqual(again.positions, first.positions)
    assert.equal(again.duplicate?.length, 1000)
    assert.equal((await ctx.head(stream)).version, 1000)
  }),

  law('eventById: finds given ids of the stream, and nothing else', async (ctx) => {
    const stream = freshStream()
    const drawn = makeEvent()
    const id = 'id "with" \\ ünï 漢 😀'
    await ctx.append(stream, [givenEvent(id, { n: 7 }), drawn])
    const found = await ctx.store.eventById(stream, id)
    assert.deepEqual(found, (await ctx.read(stream))[0])
    assert.equal(await ctx.store.eventById(stream, drawn.id), undefined)
    assert.equal(await ctx.store.eventById(stream, 'ID'), undefined)
    assert.equal(await ctx.store.eventById(freshStream(), id), undefined)
  }),
]
