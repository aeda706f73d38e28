import { expect, it } from 'vitest'
import { manualClock } from '../testing/index.ts'
import { InlineQueue } from './inline-queue.ts'

it('an append that has joined a group ends by its deadline, with its outcome unknown', async () => {
  const clock = manualClock()
  const queue = new InlineQueue(clock, () => new Promise(() => {}))
  const joined = queue.add({ entries: [] }, { timeoutMs: 100 })
  await clock.advance(1)
  const waiting = queue.add({ entries: [] }, { timeoutMs: 50 })
  const outcomes = Promise.allSettled([joined, waiting])
  await clock.advance(100)
  expect(await outcomes).toMatchObject([
    { reason: { code: 'OUTCOME_UNKNOWN' } },
    { reason: { code: 'TIMEOUT' } },
  ])
})

it('an append that has joined a group is not taken back by its signal', async () => {
  const clock = manualClock()
  const group = Promise.withResolvers<readonly { ok: true; entries: [] }[]>()
  const queue = new InlineQueue(clock, () => group.promise)
  const abort = new AbortController()
  const joined = queue.add({ entries: [] }, { timeoutMs: 100, signal: abort.signal })
  await clock.advance(1)
  abort.abort()
  group.resolve([{ ok: true, entries: [] }])
  expect(await joined).toEqual({ ok: true, entries: [] })
  expect(clock.pending).toBe(0)
})
