import assert from 'node:assert/strict'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import { fresh, freshStream, makeEvent, makeEvents, refused, succeeded, versions } from './steps.ts'

const archive = { kind: 'archive' } as const
const unarchive = { kind: 'unarchive' } as const
const remove = { kind: 'delete' } as const
const before = (version: number) => ({ kind: 'truncate', before: version }) as const

/** Archive, truncate, delete and recreate. */
export const lifecycleCases: readonly ContractCase<EventStoreContext>[] = [
  law('archive: appends its system event and makes the stream read-only', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 2)
    assert.equal((await ctx.change(stream, archive)).version, 3)
    const head = await ctx.head(stream)
    assert.equal(head.state, 'archived')
    assert.equal(head.version, 3)
    assert.equal(head.count, 3)
    assert.equal(refused(await ctx.try(stream, 1), 'stream-archived').stream, stream)
    assert.equal((await ctx.head(stream)).version, 3)
    await ctx.append(freshStream(), 1)
  }),

  law('archive: the state is told before the version', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 2)
    await ctx.change(stream, archive)
    refused(await ctx.try(stream, 1, { expectedVersion: 3 }), 'stream-archived')
    refused(await ctx.tryChange(stream, archive), 'stream-archived')
  }),

  law('archive: readStream goes on, readLog leaves the events out', async (ctx) => {
    const [stream, other] = [freshStream(), freshStream()]
    await ctx.append(stream, makeEvents(2, { tags: ['k:1'] }))
    await ctx.append(other, 1)
    await ctx.change(stream, archive)
    assert.deepEqual(versions(await ctx.read(stream)), [1, 2, 3])
    const types = (await ctx.log()).map((event) => event.type)
    assert.deepEqual(types, ['ThingHappened', '$archived'])
    assert.equal((await ctx.log({ tags: ['k:1'] })).length, 0)
    assert.equal((await ctx.log({ includeArchived: true })).length, 4)
    const backward = await ctx.log({ direction: 'backward' })
    assert.deepEqual(
      backward.map((event) => event.type),
      ['$archived', 'ThingHappened'],
    )
  }),

  law('archive: can be undone', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 1)
    await ctx.change(stream, archive)
    await ctx.change(stream, unarchive)
    assert.equal((await ctx.head(stream)).state, 'active')
    assert.equal((await ctx.append(stream, 1)).version, 4)
    assert.deepEqual(
      (await ctx.log()).map((event) => event.type),
      ['ThingHappened', '$archived', '$unarchived', 'ThingHappened'],
    )
  }),

  law('archive: an archived stream can be truncated and deleted', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 3)
    await ctx.change(stream, archive)
    await ctx.change(stream, before(3))
    assert.equal((await ctx.head(stream)).state, 'archived')
    assert.deepEqual(versions(await ctx.read(stream)), [3, 4, 5])
    await ctx.change(stream, remove)
    assert.equal((await ctx.head(stream)).state, 'deleted')
  }),

  law('truncate: removes lower versions and keeps the numbers', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, [...makeEvents(2, { time: 10 }), ...makeEvents(3, { time: 20 })])
    const cut = await ctx.change(stream, before(4))
    assert.equal(cut.version, 6)
    const events = await ctx.read(stream)
    assert.deepEqual(versions(events), [4, 5, 6])
    assert.equal(events[2]?.type, '$truncated')
    const head = await ctx.head(stream)
    assert.equal(head.firstVersion, 4)
    assert.equal(head.version, 6)
    assert.equal(head.count, 3)
    assert.equal(head.firstTime?.getTime(), 20)
    assert.equal(head.state, 'active')
    assert.deepEqual(versions(await ctx.log()), [4, 5, 6])
  }),

  law('truncate: appends and expected versions go on', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 3)
    await ctx.change(stream, before(3))
    refused(await ctx.try(stream, 1, { expectedVersion: 3 }), 'version-conflict')
    assert.equal((await ctx.append(stream, 1, { expectedVersion: 4 })).version, 5)
    assert.deepEqual(versions(await ctx.read(stream)), [3, 4, 5])
    assert.deepEqual(versions(await ctx.read(stream, { from: 1, to: 4 })), [3, 4])
  }),

  law('truncate: before the next version leaves only its system event', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 3)
    await ctx.change(stream, before(4))
    assert.deepEqual(versions(await ctx.read(stream)), [4])
    const head = await ctx.head(stream)
    assert.equal(head.firstVersion, 4)
    assert.equal(head.count, 1)
    assert.equal((await ctx.append(stream, 1)).version, 5)
  }),

  law('truncate: at or below the first kept version removes nothing', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 4)
    await ctx.change(stream, before(3))
    await ctx.change(stream, before(2))
    assert.deepEqual(versions(await ctx.read(stream)), [3, 4, 5, 6])
    assert.equal((await ctx.head(stream)).firstVersion, 3)
  }),

  law('truncate: removed events are in no filter any more', async (ctx) => {
    const [type, tag] = [fresh('T'), fresh('t:')]
    const stream = freshStream()
    await ctx.append(stream, makeEvents(3, { type, tags: [tag] }))
    await ctx.change(stream, before(3))
    assert.equal((await ctx.log({ types: [type] })).length, 1)
    assert.equal((await ctx.log({ tags: [tag] })).length, 1)
  }),

  law('delete: leaves a tombstone, at the next version', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 3)
    assert.equal((await ctx.change(stream, remove)).version, 4)
    const events = await ctx.read(stream)
    assert.deepEqual(versions(events), [4])
    assert.equal(events[0]?.type, '$deleted')
    const head = await ctx.head(stream)
    assert.equal(head.state, 'deleted')
    assert.equal(head.version, 4)
    assert.equal(head.firstVersion, 4)
    assert.equal(head.count, 1)
    assert.deepEqual(await ctx.log(), events)
  }),

  law('delete: any append is refused, whatever version it expects', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 3)
    await ctx.change(stream, remove)
    for (const expectedVersion of ['any', 0, 3, 4] as const) {
      const outcome = await ctx.try(stream, 1, { expectedVersion })
      assert.equal(refused(outcome, 'stream-deleted').stream, stream)
    }
    refused(await ctx.tryChange(stream, remove), 'stream-deleted')
    refused(await ctx.tryChange(stream, archive), 'stream-deleted')
    assert.equal((await ctx.head(stream)).version, 4)
  }),

  law('delete: exists does not hold for a deleted stream', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 1)
    await ctx.change(stream, remove)
    const outcome = await ctx.try(stream, 1, { expectedVersion: 'exists' })
    assert.ok(!outcome.ok)
  }),

  law('delete: removed events are in no filter any more', async (ctx) => {
    const [type, tag] = [fresh('T'), fresh('t:')]
    const stream = freshStream()
    await ctx.append(stream, makeEvents(3, { type, tags: [tag] }))
    await ctx.change(stream, remove)
    assert.deepEqual(await ctx.log({ types: [type] }), [])
    assert.deepEqual(await ctx.log({ tags: [tag] }), [])
    assert.deepEqual(await ctx.log({ query: [{ types: [type], tags: [tag] }] }), [])
  }),

  law('recreate: goes on at the next version, the tombstone stays', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 3)
    await ctx.change(stream, remove)
    const again = await ctx.append(stream, 2, { recreate: true, expectedVersion: 4 })
    assert.equal(again.version, 6)
    assert.deepEqual(versions(await ctx.read(stream)), [4, 5, 6])
    const head = await ctx.head(stream)
    assert.equal(head.state, 'active')
    assert.equal(head.firstVersion, 4)
    assert.equal((await ctx.append(stream, 1)).version, 7)
  }),

  law('recreate: still needs the expected version', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 3)
    await ctx.change(stream, remove)
    const outcome = await ctx.try(stream, 1, { recreate: true, expectedVersion: 0 })
    assert.equal(refused(outcome, 'version-conflict').actualVersion, 4)
    assert.equal((await ctx.head(stream)).state, 'deleted')
  }),

  law('recreate: is a plain append when nothing was deleted', async (ctx) => {
    const stream = freshStream()
    assert.equal((await ctx.append(stream, 1, { recreate: true })).version, 1)
    assert.equal((await ctx.append(stream, 1, { recreate: true })).version, 2)
  }),

  law('recreate: versions are never used again, however often it is deleted', async (ctx) => {
    const stream = freshStream()
    for (let round = 0; round < 3; round++) {
      await ctx.append(stream, 2, { recreate: true })
      await ctx.change(stream, remove)
    }
    assert.equal((await ctx.head(stream)).version, 9)
    assert.deepEqual(versions(await ctx.read(stream)), [9])
  }),

  law('lifecycle: a refused change changes nothing', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 3)
    const head = await ctx.head(stream)
    for (const change of [archive, remove, before(2)]) {
      const outcome = await ctx.tryChange(stream, change, { expectedVersion: 1 })
      refused(outcome, 'version-conflict')
    }
    assert.deepEqual(await ctx.head(stream), head)
    assert.deepEqual(versions(await ctx.log()), [1, 2, 3])
  }),

  law('lifecycle: a change shares the fate of the other entries', async (ctx) => {
    const [a, b] = [freshStream(), freshStream()]
    await ctx.append(a, 2)
    const deletion = {
      stream: a,
      expectedVersion: 2,
      events: [makeEvent({ type: '$deleted', data: null })],
      change: remove,
    }
    const entry = { stream: b, expectedVersion: 5, events: makeEvents(1) }
    refused(await ctx.tryAll([deletion, entry]), 'version-conflict')
    assert.deepEqual(versions(await ctx.read(a)), [1, 2])
    succeeded(await ctx.tryAll([deletion, { ...entry, expectedVersion: 0 }]))
    assert.equal((await ctx.head(a)).state, 'deleted')
    assert.equal((await ctx.head(b)).version, 1)
  }),

  law(
    'lifecycle: appends at the same time as a deletion come before or not at all',
    async (ctx) => {
      for (let round = 0; round < 5; round++) {
        const stream = freshStream()
        await ctx.append(stream, 1)
        const calls = Array.from({ length: 12 }, (_, i) =>
          i === 6 ? ctx.tryChange(stream, remove) : ctx.try(stream, 1),
        )
        const outcomes = await Promise.all(calls)
        const done = outcomes.filter((outcome) => outcome.ok).length
        for (const outcome of outcomes) if (!outcome.ok) refused(outcome, 'stream-deleted')
        assert.deepEqual(versions(await ctx.read(stream)), [1 + done])
      }
    },
  ),
]
