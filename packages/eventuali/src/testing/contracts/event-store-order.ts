import assert from 'node:assert/strict'
import type { RecordedEvent } from '../../model/index.ts'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import {
  assertGrowing,
  counting,
  fresh,
  freshStream,
  makeEvents,
  positionsOf,
  refused,
  succeeded,
  versions,
} from './steps.ts'

/** Fails when a stream's versions are not in the order of the log. */
function assertStreamsInOrder(log: readonly RecordedEvent[]): void {
  const last = new Map<string, number>()
  for (const event of log) {
    const previous = last.get(event.stream) ?? 0
    assert.ok(previous < event.version, `${event.stream} goes back to version ${event.version}`)
    last.set(event.stream, event.version)
  }
}

/** The order of the log, positions and what readers may rely on. */
export const orderCases: readonly ContractCase<EventStoreContext>[] = [
  law('positions: safe is never above newest, newest covers what was acknowledged', async (ctx) => {
    for (let i = 0; i < 10; i++) {
      const { positions } = await ctx.append(freshStream(), 2)
      const now = await ctx.store.positions()
      assert.ok(now.newest >= (positions[1] as number))
      assert.ok(now.safe <= now.newest)
    }
  }),

  law('positions: safe reaches newest when nothing is open', async (ctx) => {
    const { positions } = await ctx.append(freshStream(), 3)
    assert.ok((await ctx.settled()) >= (positions[2] as number))
  }),

  law('positions: are safe integers above 0', async (ctx) => {
    const { positions } = await ctx.append(freshStream(), 2)
    for (const position of positions) {
      assert.ok(Number.isSafeInteger(position) && position > 0)
    }
    const { safe, newest } = await ctx.store.positions()
    assert.ok(Number.isSafeInteger(safe) && Number.isSafeInteger(newest))
  }),

  law('positions: grow from one append to the next', async (ctx) => {
    const all: number[] = []
    for (let i = 0; i < 10; i++) all.push(...(await ctx.append(freshStream(), 2)).positions)
    assertGrowing(all, 'positions')
  }),

  law('positions: are not used again after the newest stream is deleted', async (ctx) => {
    const stream = freshStream()
    const { positions } = await ctx.append(stream, 3)
    const tombstone = await ctx.change(stream, { kind: 'delete' })
    const next = await ctx.append(freshStream(), 1)
    assertGrowing([...positions, ...tombstone.positions, ...next.positions], 'positions')
    assert.deepEqual(
      positionsOf(await ctx.log()),
      [...tombstone.positions, ...next.positions],
      'a reader that stood at the end misses the new event',
    )
  }),

  law('positions: are not used again after the newest stream is truncated', async (ctx) => {
    const stream = freshStream()
    const { positions } = await ctx.append(stream, 3)
    const cut = await ctx.change(stream, { kind: 'truncate', before: 4 })
    const next = await ctx.append(stream, 1)
    assertGrowing([...positions, ...cut.positions, ...next.positions], 'positions')
  }),

  law('positions: a refused append does not disturb them', async (ctx) => {
    const stream = freshStream()
    const first = await ctx.append(stream, 1)
    refused(await ctx.try(stream, 3, { expectedVersion: 0 }), 'version-conflict')
    const second = await ctx.append(stream, 1)
    assertGrowing([...first.positions, ...second.positions], 'positions')
    assert.deepEqual(positionsOf(await ctx.log()), [...first.positions, ...second.positions])
  }),

  law('positions: are not used again after a rolled back transaction', async (ctx) => {
    const before = await ctx.append(freshStream(), 1)
    const failure = new Error('roll back')
    const work = ctx.store.transaction(async (tx) => {
      await ctx.on(tx).append(freshStream(), 2)
      throw failure
    })
    await assert.rejects(work, failure)
    const after = await ctx.append(freshStream(), 1)
    assertGrowing([...before.positions, ...after.positions], 'positions')
    await ctx.settled()
    assert.deepEqual(positionsOf(await ctx.log()), [...before.positions, ...after.positions])
  }),

  law('order: the log holds every event once, in position order, both ways', async (ctx) => {
    const appended: number[] = []
    for (let i = 0; i < 5; i++) {
      const entries = counting(3).map((n) => ({
        stream: freshStream(),
        expectedVersion: 'any' as const,
        events: makeEvents(n),
      }))
      for (const entry of succeeded(await ctx.tryAll(entries))) appended.push(...entry.positions)
    }
    const log = await ctx.log()
    assert.deepEqual(positionsOf(log), appended)
    const backward = await ctx.log({ direction: 'backward' })
    assert.deepEqual(backward, log.toReversed())
  }),

  law('order: 16 appenders on one stream leave dense versions', async (ctx) => {
    const stream = freshStream()
    const results = await Promise.all(
      counting(16).map(async (n) => {
        const mine: number[] = []
        for (let i = 0; i < 10; i++)
          mine.push((await ctx.append(stream, n % 3 === 0 ? 2 : 1)).version)
        return mine
      }),
    )
    const events = await ctx.read(stream)
    assert.deepEqual(versions(events), counting(events.length))
    assertGrowing(positionsOf(events), 'positions')
    assert.equal(events.length, 5 * 10 * 2 + 11 * 10)
    assert.equal(new Set(results.flat()).size, 160, 'two appends were told the same version')
  }),

  law('order: no stream goes back under 16 concurrent writers', async (ctx) => {
    const category = fresh('w')
    const streams = counting(8).map(() => freshStream(category))
    await Promise.all(
      counting(16).map(async (n) => {
        for (let i = 0; i < 10; i++) {
          const [a, b] = [streams[(n + i) % 8] as string, streams[(n * 3 + i + 1) % 8] as string]
          const names = a === b ? [a] : [a, b]
          succeeded(
            await ctx.tryAll(
              names.map((stream) => ({ stream, expectedVersion: 'any', events: makeEvents(1) })),
            ),
          )
        }
      }),
    )
    await ctx.settled()
    const log = await ctx.log({ categories: [category] })
    assertGrowing(positionsOf(log), 'positions')
    assertStreamsInOrder(log)
    let count = 0
    for (const stream of streams) count += (await ctx.head(stream)).version
    assert.equal(log.length, count)
  }),

  law('order: what a request appended stays together in each stream', async (ctx) => {
    const stream = freshStream()
    const results = await Promise.all(
      counting(16).map((n) => ctx.append(stream, makeEvents(5, { type: `By${n}` }))),
    )
    const events = await ctx.read(stream)
    results.forEach((result, i) => {
      const mine = events.filter((event) => event.type === `By${i + 1}`)
      assert.deepEqual(versions(mine), counting(5, result.version - 4))
      assert.deepEqual(positionsOf(mine), result.positions)
    })
  }),

  law('order: a reader that follows the safe position misses nothing', async (ctx) => {
    const category = fresh('f')
    let writing = true
    const write = async (n: number): Promise<void> => {
      for (let i = 0; i < 15; i++) {
        const stream = freshStream(category)
        if (n % 4 !== 0) await ctx.append(stream, 2)
        else await ctx.store.transaction(async (tx) => void (await ctx.on(tx).append(stream, 2)))
      }
    }
    const writers = Promise.all(counting(12).map(write)).finally(() => {
      writing = false
    })
    const seen: RecordedEvent[] = []
    let after = ctx.start
    const follow = async (upTo: number): Promise<void> => {
      seen.push(...(await ctx.readLog({ after, upTo, categories: [category], pageSize: 7 })))
      after = Math.max(after, upTo)
    }
    while (writing) {
      const { safe } = await ctx.store.positions()
      await follow(safe)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await writers
    await follow(await ctx.settled())
    assert.equal(seen.length, 12 * 15 * 2, 'an event appeared at or below a safe position')
    assertGrowing(positionsOf(seen), 'positions')
  }),

  law('order: a subscriber at the end sees the next event after any removal', async (ctx) => {
    const [a, b] = [freshStream(), freshStream()]
    await ctx.append(a, 4)
    await ctx.append(b, 4)
    await ctx.change(b, { kind: 'truncate', before: 5 })
    await ctx.change(b, { kind: 'delete' })
    await ctx.change(a, { kind: 'delete' })
    const end = await ctx.settled()
    const next = await ctx.append(freshStream(), 1)
    const seen = await ctx.readLog({ after: end, upTo: await ctx.settled() })
    assert.deepEqual(positionsOf(seen), next.positions)
  }),

  law('incarnation: is a non-empty text that does not change by itself', async (ctx) => {
    const before = ctx.store.incarnation
    assert.match(before, /^[0-9a-f-]{36}$/)
    await ctx.append(freshStream(), 1)
    assert.equal(ctx.store.incarnation, before)
  }),
]
