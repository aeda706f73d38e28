import assert from 'node:assert/strict'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import {
  fresh,
  freshStream,
  givenEvent,
  makeEvent,
  makeEvents,
  numbers,
  positionsOf,
  rejectsWith,
  Steps,
} from './steps.ts'

/** A copy of the store up to a position. */
export const forkCases: readonly ContractCase<EventStoreContext>[] = [
  law(
    'fork: holds the log up to a position as it is, and nothing after it',
    async (ctx) => {
      const [stream, other, later] = [freshStream(), freshStream(), freshStream()]
      const tag = fresh('k:')
      const tagged = { tags: [tag], metadata: { actor: 'ada' } }
      await ctx.append(stream, makeEvents(3, tagged))
      const { positions } = await ctx.append(other, [makeEvent({ data: { text: 'Grüße 🚀' } })])
      await ctx.append(stream, makeEvents(2, tagged))
      await ctx.append(later, 1)
      await ctx.settled()
      const upTo = positions[0] as number
      const before = await ctx.readLog({ includeArchived: true })
      const { into, open } = ctx.forkPlace()
      const outcome = await ctx.store.fork({ into, upTo })
      const steps = new Steps(await open())
      const wanted = before.filter(({ position }) => position <= upTo)
      assert.deepEqual(await steps.readLog({ includeArchived: true }), wanted)
      assert.deepEqual(numbers(await steps.readLog({ tags: [tag] })), [1, 2, 3])
      assert.equal((await steps.head(stream)).version, 3)
      assert.equal(await steps.info(later), undefined)
      assert.equal(outcome.events, wanted.length)
      assert.equal(outcome.streams, new Set(wanted.map((event) => event.stream)).size)
      assert.deepEqual(await ctx.readLog({ includeArchived: true }), before)
    },
    'fork',
  ),

  law(
    'fork: is a store of its own, with its own incarnation and nothing of the read side',
    async (ctx) => {
      const stream = freshStream()
      const { positions } = await ctx.append(stream, [givenEvent('one'), givenEvent('two')])
      await ctx.settled()
      const [upTo = 0, second = 0] = positions
      const kind = fresh('kind')
      const record = { kind, key: 'k', expected: 'any', value: 1 } as const
      await ctx.store.transaction((tx) => tx.records.write([record]))
      const { into, open } = ctx.forkPlace()
      const { incarnation } = await ctx.store.fork({ into, upTo })
      const fork = await open()
      assert.equal(fork.incarnation, incarnation)
      assert.notEqual(fork.incarnation, ctx.store.incarnation)
      assert.deepEqual(await fork.records.get(kind, ['k']), [undefined])
      assert.equal((await fork.positions()).newest, upTo)
      const steps = new Steps(fork)
      // An id that was used up to there is known, the later one is free.
      assert.ok((await steps.append(stream, [givenEvent('one')])).duplicate !== undefined)
      const appended = await steps.append(stream, [givenEvent('two', { n: 5 })])
      assert.deepEqual(appended.positions, [upTo + 1])
      assert.equal(appended.version, 2)
      await ctx.append(stream, 1)
      assert.deepEqual(positionsOf(await ctx.read(stream)).slice(0, 2), [upTo, second])
      assert.equal((await steps.head(stream)).version, 2)
    },
    'fork',
  ),

  law(
    'fork: has each stream in the state that it had there',
    async (ctx) => {
      const [archived, undone, deleted, again] = Array.from({ length: 4 }, () => freshStream())
      const [a = '', b = '', c = '', d = ''] = [archived, undone, deleted, again]
      for (const stream of [a, b, c, d]) await ctx.append(stream, 2)
      for (const stream of [a, b]) await ctx.change(stream, { kind: 'archive' })
      // The event that tells of the archive is gone, the state stays.
      await ctx.change(b, { kind: 'truncate', before: 4 })
      for (const stream of [c, d]) await ctx.change(stream, { kind: 'delete' })
      const { positions } = await ctx.append(d, 1, { recreate: true })
      const upTo = positions[0] as number
      const before = await Promise.all([a, b, c, d].map((stream) => ctx.head(stream)))
      for (const stream of [a, b]) await ctx.change(stream, { kind: 'unarchive' })
      await ctx.append(c, 1, { recreate: true })
      await ctx.change(d, { kind: 'archive' })
      await ctx.settled()
      const { into, open } = ctx.forkPlace()
      const { reduced } = await ctx.store.fork({ into, upTo })
      const steps = new Steps(await open())
      const after = await Promise.all([a, b, c, d].map((stream) => steps.head(stream)))
      assert.deepEqual(after, before)
      assert.deepEqual(
        after.map(({ state }) => state),
        ['archived', 'archived', 'deleted', 'active'],
      )
      assert.deepEqual(reduced, [])
    },
    'fork',
  ),

  law(
    'fork: names the streams that have lost events since',
    async (ctx) => {
      const [cut, gone] = [freshStream(), freshStream()]
      await ctx.append(cut, 3)
      const { positions } = await ctx.append(gone, 2)
      await ctx.change(cut, { kind: 'truncate', before: 3 })
      await ctx.change(gone, { kind: 'delete' })
      await ctx.settled()
      const { into, open } = ctx.forkPlace()
      const outcome = await ctx.store.fork({ into, upTo: positions[1] as number })
      assert.deepEqual(outcome.reduced, [cut, gone].sort())
      assert.equal(outcome.reducedCount, 2)
      const steps = new Steps(await open())
      assert.deepEqual(numbers(await steps.read(cut)), [3])
      const { firstVersion, state } = await steps.head(cut)
      assert.deepEqual({ firstVersion, state }, { firstVersion: 3, state: 'active' })
      assert.equal(await steps.info(gone), undefined)
    },
    'fork',
  ),

  law(
    'fork: never goes where something is, and leaves nothing when it is broken off',
    async (ctx) => {
      await ctx.append(freshStream(), 2)
      const upTo = await ctx.settled()
      const { into, open } = ctx.forkPlace()
      const stop = new AbortController()
      const onProgress = () => stop.abort(new Error('enough'))
      const broken = ctx.store.fork({ into, upTo, onProgress }, { signal: stop.signal })
      await assert.rejects(broken, /enough/)
      await ctx.store.fork({ into, upTo })
      await rejectsWith('FORK_TARGET_EXISTS', () => ctx.store.fork({ into, upTo }))
      assert.equal((await new Steps(await open()).readLog()).length, (await ctx.readLog()).length)
    },
    'fork',
  ),
]
