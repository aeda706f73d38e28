import assert from 'node:assert/strict'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import { freshStream, makeEvents, numbers, refused, succeeded, versions } from './steps.ts'

/** Expected versions and what a refusal leaves behind: nothing. */
export const expectedVersionCases: readonly ContractCase<EventStoreContext>[] = [
  law('expected version: 0 begins a stream', async (ctx) => {
    const stream = freshStream()
    assert.equal((await ctx.append(stream, 2, { expectedVersion: 0 })).version, 2)
  }),

  law('expected version: 0 is refused once the stream exists', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 3)
    const outcome = await ctx.try(stream, 1, { expectedVersion: 0 })
    const refusal = refused(outcome, 'version-conflict')
    assert.equal(refusal.stream, stream)
    assert.equal(refusal.expectedVersion, 0)
    assert.equal(refusal.actualVersion, 3)
  }),

  law('expected version: the right number appends', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 3)
    assert.equal((await ctx.append(stream, 2, { expectedVersion: 3 })).version, 5)
  }),

  law('expected version: a stale number changes nothing', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 3)
    const before = await ctx.head(stream)
    const refusal = refused(await ctx.try(stream, 2, { expectedVersion: 2 }), 'version-conflict')
    assert.equal(refusal.actualVersion, 3)
    assert.deepEqual(await ctx.head(stream), before)
    assert.equal((await ctx.read(stream)).length, 3)
    assert.equal((await ctx.log()).length, 3)
  }),

  law('expected version: a number ahead of the stream is refused', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 1)
    const refusal = refused(await ctx.try(stream, 1, { expectedVersion: 2 }), 'version-conflict')
    assert.equal(refusal.actualVersion, 1)
    const fresh = freshStream()
    const other = refused(await ctx.try(fresh, 1, { expectedVersion: 1 }), 'version-conflict')
    assert.equal(other.actualVersion, 0)
    assert.equal(await ctx.info(fresh), undefined)
  }),

  law('expected version: any appends to new and existing streams', async (ctx) => {
    const stream = freshStream()
    assert.equal((await ctx.append(stream, 1, { expectedVersion: 'any' })).version, 1)
    assert.equal((await ctx.append(stream, 1, { expectedVersion: 'any' })).version, 2)
  }),

  law('expected version: exists is refused for a stream that never was', async (ctx) => {
    const stream = freshStream()
    const outcome = await ctx.try(stream, 1, { expectedVersion: 'exists' })
    const refusal = refused(outcome, 'version-conflict')
    assert.equal(refusal.expectedVersion, 'exists')
    assert.equal(refusal.actualVersion, 0)
    assert.equal(await ctx.info(stream), undefined)
  }),

  law('expected version: exists appends to an existing stream', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 1)
    assert.equal((await ctx.append(stream, 1, { expectedVersion: 'exists' })).version, 2)
  }),

  law('expected version: a conflict of the second entry undoes the first', async (ctx) => {
    const [a, b] = [freshStream(), freshStream()]
    await ctx.append(b, 1)
    const outcome = await ctx.tryAll([
      { stream: a, expectedVersion: 0, events: makeEvents(2) },
      { stream: b, expectedVersion: 0, events: makeEvents(2) },
    ])
    const refusal = refused(outcome, 'version-conflict')
    assert.equal(refusal.stream, b)
    assert.equal(await ctx.info(a), undefined)
    assert.equal((await ctx.read(a)).length, 0)
    assert.equal((await ctx.log()).length, 1)
  }),

  law('expected version: a conflict of the first entry keeps the second out', async (ctx) => {
    const [a, b] = [freshStream(), freshStream()]
    await ctx.append(a, 1)
    const outcome = await ctx.tryAll([
      { stream: a, expectedVersion: 0, events: makeEvents(1) },
      { stream: b, expectedVersion: 0, events: makeEvents(1) },
    ])
    assert.equal(refused(outcome, 'version-conflict').stream, a)
    assert.equal(await ctx.info(b), undefined)
  }),

  law('expected version: of two conflicts the first entry is told', async (ctx) => {
    const [a, b] = [freshStream(), freshStream()]
    const outcome = await ctx.tryAll([
      { stream: a, expectedVersion: 4, events: makeEvents(1) },
      { stream: b, expectedVersion: 5, events: makeEvents(1) },
    ])
    const refusal = refused(outcome, 'version-conflict')
    assert.equal(refusal.stream, a)
    assert.equal(refusal.expectedVersion, 4)
  }),

  law('expected version: each entry of a request has its own', async (ctx) => {
    const [a, b] = [freshStream(), freshStream()]
    await ctx.append(a, 2)
    const results = succeeded(
      await ctx.tryAll([
        { stream: a, expectedVersion: 2, events: makeEvents(1) },
        { stream: b, expectedVersion: 0, events: makeEvents(1) },
      ]),
    )
    assert.deepEqual(
      results.map((result) => result.version),
      [3, 1],
    )
  }),

  law('expected version: a refusal leaves no hole in the versions', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 1)
    refused(await ctx.try(stream, 5, { expectedVersion: 0 }), 'version-conflict')
    await ctx.append(stream, 2, { expectedVersion: 1 })
    const events = await ctx.read(stream)
    assert.deepEqual(versions(events), [1, 2, 3])
    assert.deepEqual(numbers(events), [1, 1, 2])
  }),

  law('expected version: 16 appenders with the same one have one winner', async (ctx) => {
    const stream = freshStream()
    for (let round = 0; round < 10; round++) {
      const racers = Array.from({ length: 16 }, () =>
        ctx.try(stream, 1, { expectedVersion: round }),
      )
      const outcomes = await Promise.all(racers)
      assert.equal(outcomes.filter((outcome) => outcome.ok).length, 1, `round ${round}`)
      for (const outcome of outcomes) {
        if (!outcome.ok) assert.equal(refused(outcome, 'version-conflict').actualVersion, round + 1)
      }
    }
    assert.deepEqual(versions(await ctx.read(stream)), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  }),
]
