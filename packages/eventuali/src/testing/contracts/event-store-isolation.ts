import assert from 'node:assert/strict'
import type { AppendOutcome } from '../../ports/index.ts'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import {
  counting,
  fresh,
  freshStream,
  givenEvent,
  makeEvent,
  refused,
  rejectsWith,
  versions,
} from './steps.ts'

/** One bad call among fifty good ones: only the bad one learns of it. */
async function oneAmongFifty(
  ctx: EventStoreContext,
  bad: () => Promise<AppendOutcome>,
): Promise<PromiseSettledResult<AppendOutcome>> {
  const category = fresh('many')
  const shared = freshStream(category)
  const calls = counting(50).map((n) => {
    if (n === 25) return bad()
    return ctx.try(n % 5 === 0 ? shared : freshStream(category), 2)
  })
  const settled = await Promise.allSettled(calls)
  const [failed] = settled.splice(24, 1)
  for (const result of settled) {
    assert.equal(result.status, 'fulfilled', 'a good call was touched')
    assert.ok(result.value.ok, `a good call was refused: ${JSON.stringify(result.value)}`)
  }
  await ctx.settled()
  assert.equal((await ctx.log({ categories: [category] })).length, 98)
  assert.deepEqual(versions(await ctx.read(shared)), counting(18))
  return failed as PromiseSettledResult<AppendOutcome>
}

async function refusedAmongFifty(
  ctx: EventStoreContext,
  reason: Parameters<typeof refused>[1],
  bad: () => Promise<AppendOutcome>,
): Promise<void> {
  const result = await oneAmongFifty(ctx, bad)
  assert.equal(result.status, 'fulfilled', 'an expected refusal was thrown')
  refused(result.value, reason)
}

async function rejectedAmongFifty(
  ctx: EventStoreContext,
  code: string,
  bad: () => Promise<AppendOutcome>,
): Promise<void> {
  const result = await oneAmongFifty(ctx, bad)
  assert.equal(result.status, 'rejected', 'the bad call was not rejected')
  await rejectsWith(code, () => Promise.reject(result.reason))
}

/** What one call may do to another: nothing. */
export const isolationCases: readonly ContractCase<EventStoreContext>[] = [
  law('isolation: a version conflict touches its own call only', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, 1)
    await refusedAmongFifty(ctx, 'version-conflict', () =>
      ctx.try(stream, 2, { expectedVersion: 0 }),
    )
    assert.equal((await ctx.head(stream)).version, 1)
  }),

  law('isolation: a failed condition touches its own call only', async (ctx) => {
    const type = fresh('T')
    const condition = { query: [{ types: [type], tags: ['a:1'] }], position: await ctx.settled() }
    await ctx.append(freshStream(), [makeEvent({ type, tags: ['a:1'] })])
    const stream = freshStream()
    await refusedAmongFifty(ctx, 'condition-failed', () => ctx.try(stream, 2, { condition }))
    assert.equal(await ctx.info(stream), undefined)
  }),

  law('isolation: an idempotency conflict touches its own call only', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, [givenEvent('a', 1)])
    await refusedAmongFifty(ctx, 'idempotency-conflict', () =>
      ctx.try(stream, [givenEvent('a', 2)]),
    )
  }),

  law('isolation: a deleted or archived stream touches its own call only', async (ctx) => {
    const [gone, kept] = [freshStream(), freshStream()]
    for (const stream of [gone, kept]) await ctx.append(stream, 1)
    await ctx.change(gone, { kind: 'delete' })
    await ctx.change(kept, { kind: 'archive' })
    await refusedAmongFifty(ctx, 'stream-deleted', () => ctx.try(gone, 1))
    await refusedAmongFifty(ctx, 'stream-archived', () => ctx.try(kept, 1))
  }),

  law('isolation: data that is not JSON touches its own call only', async (ctx) => {
    const event = makeEvent({ data: Number.NaN })
    await rejectedAmongFifty(ctx, 'DATA_NOT_JSON', () => ctx.try(freshStream(), [event]))
  }),

  law('isolation: an event over the limit touches its own call only', async (ctx) => {
    const event = makeEvent({ data: 'x'.repeat(17 * 1024 * 1024) })
    await rejectedAmongFifty(ctx, 'EVENT_TOO_LARGE', () => ctx.try(freshStream(), [event]))
  }),

  law('isolation: an aborted call touches itself only', async (ctx) => {
    const stream = freshStream()
    const reason = Object.assign(new Error('gone'), { code: 'MY_REASON' })
    await rejectedAmongFifty(ctx, 'MY_REASON', () =>
      ctx.try(stream, 1, {}, { signal: AbortSignal.abort(reason) }),
    )
    assert.equal(await ctx.info(stream), undefined)
  }),

  law('isolation: 50 callers with every cause of failure among them', async (ctx) => {
    const taken = freshStream()
    await ctx.append(taken, [givenEvent('a', 1)])
    const good = counting(40).map(() => ctx.try(freshStream(), 1))
    const bad = [
      ctx.try(taken, 1, { expectedVersion: 0 }),
      ctx.try(taken, [givenEvent('a', 2)]),
      ctx.try(freshStream(), [makeEvent({ data: 1n as unknown as number })]),
      ctx.try(freshStream(), 1, {}, { signal: AbortSignal.abort() }),
      ctx.try(freshStream(), 1, { expectedVersion: 'exists' }),
    ]
    const [goodResults, badResults] = await Promise.all([
      Promise.all(good),
      Promise.allSettled(bad),
    ])
    assert.ok(goodResults.every((outcome) => outcome.ok))
    for (const result of badResults) {
      assert.ok(result.status === 'rejected' || !result.value.ok, 'a bad call succeeded')
    }
    await ctx.settled()
    assert.equal((await ctx.log()).length, 41)
  }),

  law('isolation: concurrent callers each see their predecessors', async (ctx) => {
    const stream = freshStream()
    const outcomes = await Promise.all(
      counting(16).map((n) => ctx.try(stream, 1, { expectedVersion: n - 1 })),
    )
    const done = outcomes.filter((outcome) => outcome.ok).length
    assert.ok(done >= 1)
    assert.deepEqual(versions(await ctx.read(stream)), counting(done))
  }),
]
