import { expect, test } from 'vitest'
import type { Clock } from './clock.ts'
import { SharedTimer } from './deadline.ts'

/** A clock that goes on when it is told to, and counts its timers. */
function handClock() {
  let nowMs = 0
  let drawn = 0
  const timers = new Set<{ readonly atMs: number; readonly callback: () => void }>()
  const clock: Clock = {
    now: () => nowMs,
    monotonic: () => nowMs,
    timer: (ms, callback) => {
      drawn++
      const timer = { atMs: nowMs + ms, callback }
      timers.add(timer)
      return () => timers.delete(timer)
    },
  }
  const advance = (ms: number): void => {
    nowMs += ms
    for (const timer of timers) {
      if (timer.atMs <= nowMs && timers.delete(timer)) timer.callback()
    }
  }
  return { clock, advance, armed: () => timers.size, drawn: () => drawn }
}

const never = (): Promise<never> => new Promise(() => {})
const late = (): Error => new Error('late')

test('many waits of one length share one timer, and none is left behind', async () => {
  const { clock, armed, drawn } = handClock()
  const shared = new SharedTimer(clock)
  const waits = Array.from({ length: 32 }, (_, i) =>
    shared.bound(Promise.resolve(i), 1000 + i, late),
  )
  expect(drawn()).toBe(1)
  expect(await Promise.all(waits)).toEqual(Array.from({ length: 32 }, (_, i) => i))
  expect(armed()).toBe(0)
})

test('each wait ends at its own time, whatever the order they came in', async () => {
  const { clock, advance, armed } = handClock()
  const shared = new SharedTimer(clock)
  const ended: number[] = []
  const waits = [300, 100, 200].map((ms) =>
    shared.bound(never(), ms, late).catch(() => ended.push(ms)),
  )
  const expected: number[] = []
  for (const ms of [100, 200, 300]) {
    advance(99)
    await Promise.resolve()
    expect(ended).toEqual(expected)
    advance(1)
    await waits[[300, 100, 200].indexOf(ms)]
    expected.push(ms)
    expect(ended).toEqual(expected)
  }
  expect(armed()).toBe(0)
})

test('a rejection passes, and after it no timer is armed', async () => {
  const { clock, armed } = handClock()
  const shared = new SharedTimer(clock)
  const failed = shared.bound(Promise.reject(new Error('refused')), 100, late)
  await expect(failed).rejects.toThrow('refused')
  expect(armed()).toBe(0)
})

test('what settles after its time changes nothing', async () => {
  const { clock, advance } = handClock()
  const shared = new SharedTimer(clock)
  let settle = (_: string): void => {}
  const wait = shared.bound(
    new Promise<string>((resolve) => {
      settle = resolve
    }),
    10,
    late,
  )
  advance(10)
  settle('too late')
  await expect(wait).rejects.toThrow('late')
})
