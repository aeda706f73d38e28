import assert from 'node:assert/strict'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import {
  assertGrowing,
  counting,
  fresh,
  freshStream,
  makeEvent,
  makeEvents,
  numbers,
  positionsOf,
  succeeded,
  versions,
} from './steps.ts'

/** Appends, as they are when nothing stands against them. */
export const appendCases: readonly ContractCase<EventStoreContext>[] = [
  law('append: the first event of a stream has version 1 and reads back', async (ctx) => {
    const stream = freshStream()
    const result = await ctx.append(stream, 1)
    assert.equal(result.stream, stream)
    assert.equal(result.version, 1)
    assert.equal(result.positions.length, 1)
    assert.equal(result.duplicate, undefined)
    const [event] = await ctx.read(stream)
    assert.equal(event?.version, 1)
    assert.equal(event.position, result.positions[0])
  }),

  law('append: a batch gets dense versions and growing positions', async (ctx) => {
    const stream = freshStream()
    const result = await ctx.append(stream, 5)
    assert.equal(result.version, 5)
    assertGrowing(result.positions, 'positions')
    const events = await ctx.read(stream)
    assert.deepEqual(versions(events), [1, 2, 3, 4, 5])
    assert.deepEqual(numbers(events), [1, 2, 3, 4, 5])
    assert.deepEqual(positionsOf(events), result.positions)
  }),

  law('append: one after another goes on where the last one ended', async (ctx) => {
    const stream = freshStream()
    const first = await ctx.append(stream, 2)
    const second = await ctx.append(stream, 3)
    assert.equal(second.version, 5)
    assertGrowing([...first.positions, ...second.positions], 'positions')
    assert.deepEqual(numbers(await ctx.read(stream)), [1, 2, 1, 2, 3])
  }),

  law('append: several streams in one request give one result each, in order', async (ctx) => {
    const names = [freshStream(), freshStream(), freshStream()]
    await ctx.append(names[1] as string, 1)
    const entries = names.map((stream, i) => ({
      stream,
      expectedVersion: 'any' as const,
      events: makeEvents(i + 1),
    }))
    const results = succeeded(await ctx.tryAll(entries))
    assert.deepEqual(
      results.map((result) => result.stream),
      names,
    )
    assert.deepEqual(
      results.map((result) => result.version),
      [1, 3, 3],
    )
    const all = results.flatMap((result) => result.positions)
    assertGrowing(all, 'positions of the request')
    assert.equal(all.length, 6)
  }),

  law('append: ordinals decide the order in the log, entries the versions', async (ctx) => {
    const [a, b] = [freshStream(), freshStream()]
    const results = succeeded(
      await ctx.tryAll([
        { stream: a, expectedVersion: 0, events: makeEvents(3), ordinals: [0, 2, 4] },
        { stream: b, expectedVersion: 0, events: makeEvents(3), ordinals: [1, 3, 5] },
      ]),
    )
    const log = await ctx.log()
    assert.deepEqual(
      log.map((event) => event.stream),
      [a, b, a, b, a, b],
    )
    assert.deepEqual(numbers(log), [1, 1, 2, 2, 3, 3])
    const [first, second] = results
    assert.deepEqual(first?.positions, positionsOf(log.filter((e) => e.stream === a)))
    assert.deepEqual(second?.positions, positionsOf(log.filter((e) => e.stream === b)))
    assert.deepEqual(versions(await ctx.read(b)), [1, 2, 3])
  }),

  law('append: every field comes back as it was given', async (ctx) => {
    const stream = freshStream()
    const event = makeEvent({
      type: fresh('Placed'),
      data: { total: 30, lines: [{ sku: 'tea', count: 2 }] },
      metadata: { correlationId: 'c-1', actor: 'ada', tenant: 't1', free: { deep: [1] } },
      time: 1_234_567_890_123,
      schemaVersion: 7,
      tags: ['order:1', 'customer:ada'],
    })
    await ctx.append(stream, [event])
    const [stored] = await ctx.read(stream)
    assert.equal(stored?.id, event.id)
    assert.equal(stored.stream, stream)
    assert.equal(stored.type, event.type)
    assert.deepEqual(stored.data, event.data)
    assert.deepEqual(stored.metadata, event.metadata)
    assert.equal(stored.time.getTime(), event.time)
    assert.equal(stored.schemaVersion, 7)
    assert.deepEqual(stored.tags, event.tags)
    assert.deepEqual(await ctx.log(), [stored], 'the log returns the same event')
  }),

  law('append: an event without metadata and tags comes back with empty ones', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 1)
    const [stored] = await ctx.read(stream)
    assert.deepEqual(stored?.metadata, {})
    assert.deepEqual(stored.tags, [])
  }),

  law('append: one request has one recordedAt, which its events carry', async (ctx) => {
    const [a, b] = [freshStream(), freshStream()]
    const results = succeeded(
      await ctx.tryAll([
        { stream: a, expectedVersion: 0, events: makeEvents(2) },
        { stream: b, expectedVersion: 0, events: makeEvents(2) },
      ]),
    )
    const times = new Set(results.map((result) => result.recordedAt))
    for (const event of await ctx.log()) times.add(event.recordedAt.getTime())
    assert.equal(times.size, 1, 'more than one recordedAt')
    assert.ok(Number.isSafeInteger([...times][0]))
  }),

  law('append: what was acknowledged is visible at once everywhere', async (ctx) => {
    for (let round = 0; round < 5; round++) {
      const stream = freshStream()
      const result = await ctx.append(stream, 2)
      assert.equal((await ctx.read(stream)).length, 2)
      assert.equal((await ctx.head(stream)).version, 2)
      const { newest } = await ctx.store.positions()
      assert.ok(newest >= (result.positions[1] as number), 'newest is behind the append')
      const upTo = await ctx.settled()
      assert.equal(
        (await ctx.readLog({ categories: [stream.split('-')[0] as string], upTo })).length,
        2,
      )
    }
  }),

  law('append: 10,000 events in one request', async (ctx) => {
    const stream = freshStream()
    const result = await ctx.append(stream, makeEvents(10_000, { tags: ['bulk'] }))
    assert.equal(result.version, 10_000)
    assert.equal(result.positions.length, 10_000)
    assertGrowing(result.positions, 'positions')
    const events = await ctx.read(stream)
    assert.deepEqual(versions(events), counting(10_000))
    assert.deepEqual(numbers(await ctx.read(stream, { from: 9_999 })), [9_999, 10_000])
  }),

  law('append: 400 new streams in one request', async (ctx) => {
    const category = fresh('many')
    const entries = counting(400).map(() => ({
      stream: freshStream(category),
      expectedVersion: 0,
      events: makeEvents(2),
    }))
    const results = succeeded(await ctx.tryAll(entries))
    assert.equal(results.length, 400)
    assert.ok(results.every((result) => result.version === 2))
    assert.equal((await ctx.log({ categories: [category] })).length, 800)
    assert.equal((await ctx.streamNames({ category })).length, 400)
  }),

  law('append: 300 new types with tags of their own in one request', async (ctx) => {
    const stream = freshStream()
    const types = counting(300).map(() => fresh('T'))
    await ctx.append(
      stream,
      types.map((type) => makeEvent({ type, tags: [`of:${type}`] })),
    )
    const read = await ctx.read(stream)
    assert.deepEqual(
      read.map((event) => event.type),
      types,
    )
    const type = types[299] as string
    assert.deepEqual(versions(await ctx.log({ types: [type] })), [300])
    assert.deepEqual(versions(await ctx.log({ tags: [`of:${type}`] })), [300])
  }),

  law('append: changing what was read changes nothing stored', async (ctx) => {
    const stream = freshStream()
    const data = { list: [1, 2] }
    await ctx.append(stream, [makeEvent({ data, metadata: { free: { x: 1 } }, tags: ['t:1'] })])
    data.list.push(3)
    const [first] = await ctx.read(stream)
    const mutable = first as unknown as {
      data: { list: number[] }
      metadata: { free: { x: number } }
      tags: string[]
      time: Date
    }
    mutable.data.list.push(4)
    mutable.metadata.free.x = 2
    mutable.tags.push('t:2')
    mutable.time.setTime(0)
    const [again] = await ctx.read(stream)
    assert.deepEqual(again?.data, { list: [1, 2] })
    assert.deepEqual(again.metadata, { free: { x: 1 } })
    assert.deepEqual(again.tags, ['t:1'])
    assert.equal(again.time.getTime(), 1_700_000_000_000)
  }),
]
