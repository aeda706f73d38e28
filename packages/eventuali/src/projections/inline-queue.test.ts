import { describe, expect, it } from 'vitest'
import { systemClock } from '../kernel/index.ts'
import { OutcomeUnknownError, ProjectionOrderError } from '../model/index.ts'
import type { AppendOutcome, AppendRequest } from '../ports/index.ts'
import { manualClock } from '../testing/index.ts'
import { GroupFailure, InlineQueue } from './inline-queue.ts'

const requestOf = (stream: string): AppendRequest => ({
  entries: [{ stream, expectedVersion: 'any', events: [] }],
})
const namesOf = (requests: readonly AppendRequest[]) =>
  requests.map(({ entries }) => entries[0]?.stream ?? '').join()
const done: AppendOutcome = { ok: true, entries: [] }

/** A queue whose groups end as `run` says; `groups` tells who shared one. */
function queueOf(run: (names: string, attempt: number) => unknown) {
  const groups: string[] = []
  const queue = new InlineQueue(systemClock, async (requests) => {
    const names = namesOf(requests)
    groups.push(names)
    const error = await run(names, groups.filter((other) => other === names).length)
    if (error !== undefined) throw error
    return requests.map(() => done)
  })
  const addAll = (...streams: string[]) =>
    Promise.all(
      streams.map((stream) =>
        queue.add(requestOf(stream)).then(
          () => 'ok',
          (error: Error) => error.message,
        ),
      ),
    )
  return { queue, groups, addAll }
}

describe('appends that share a transaction', () => {
  it('run together, and without the one that has failed', async () => {
    const { groups, addAll } = queueOf((names) =>
      names.includes('b')
        ? new GroupFailure(names.split(',').indexOf('b'), new Error('planted'))
        : undefined,
    )
    expect(await addAll('a', 'b', 'c')).toEqual(['ok', 'planted', 'ok'])
    expect(groups).toEqual(['a,b,c', 'a,c', 'b'])
  })

  it('are halved when nobody knows whose fault it is', async () => {
    const { groups, addAll } = queueOf((names) =>
      names.includes('b') ? new RangeError('planted') : undefined,
    )
    expect(await addAll('a', 'b', 'c')).toEqual(['ok', 'planted', 'ok'])
    expect(groups).toEqual(['a,b,c', 'a', 'b,c', 'b', 'c'])
  })

  it('are never run again when nobody knows whether they were stored', async () => {
    const unknown = new OutcomeUnknownError('the append')
    const { groups, addAll } = queueOf(() => unknown)
    expect(await addAll('a', 'b')).toEqual([unknown.message, unknown.message])
    expect(groups).toEqual(['a,b'])
  })

  it('that came too late for a document try again, for a while', async () => {
    const late = new ProjectionOrderError('p', 'k', 1, 2)
    const once = queueOf((_names, attempt) => (attempt === 1 ? late : undefined))
    expect(await once.addAll('a')).toEqual(['ok'])
    expect(once.groups).toEqual(['a', 'a'])
    const always = queueOf(() => new GroupFailure(0, late))
    expect(await always.addAll('a')).toEqual([late.message])
    expect(always.groups.length).toBeGreaterThan(2)
    expect(always.groups.length).toBeLessThan(100)
  })

  it('leave the line by signal or time, and are not run', async () => {
    let letGo = () => {}
    const gate = new Promise<undefined>((resolve) => {
      letGo = () => resolve(undefined)
    })
    const { queue, groups } = queueOf((names) => (names === 'first' ? gate : undefined))
    const reason = new Error('enough')
    const aborted = queue.add(requestOf('x'), { signal: AbortSignal.abort(reason) })
    await expect(aborted).rejects.toBe(reason)
    const first = queue.add(requestOf('first'))
    await new Promise((resolve) => setTimeout(resolve, 5))
    const abort = new AbortController()
    const left = queue.add(requestOf('left'), { signal: abort.signal })
    const late = queue.add(requestOf('late'), { timeoutMs: 10 })
    const last = queue.add(requestOf('last'), {
      timeoutMs: 60_000,
      signal: new AbortController().signal,
    })
    abort.abort(reason)
    await expect(left).rejects.toBe(reason)
    await expect(late).rejects.toMatchObject({ code: 'TIMEOUT' })
    letGo()
    expect(await first).toBe(done)
    expect(await last).toBe(done)
    expect(groups).toEqual(['first', 'last'])
  })

  it('are bounded in number', async () => {
    const { queue } = queueOf(() => new Promise(() => {}))
    void queue.add(requestOf('running'))
    await new Promise((resolve) => setTimeout(resolve, 5))
    let refused: unknown
    for (let n = 0; n < 200_000 && refused === undefined; n++) {
      const adding = queue.add(requestOf('x'))
      adding.catch((error: unknown) => {
        refused = error
      })
      if (n % 1000 === 0) await Promise.resolve()
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(refused).toMatchObject({ code: 'QUEUE_FULL' })
  })
})

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
