import { expect, it } from 'vitest'
import { sleep } from '../kernel/index.ts'
import { manualClock } from './clock.ts'

it('fires timers in the order they are due, those made meanwhile included', async () => {
  const clock = manualClock(1000)
  const seen: string[] = []
  clock.timer(20, () => seen.push(`b at ${clock.now()}`))
  clock.timer(10, () => {
    seen.push(`a at ${clock.now()}`)
    clock.timer(5, () => seen.push(`c at ${clock.now()}`))
  })
  const cancel = clock.timer(15, () => seen.push('cancelled'))
  cancel()
  await clock.advance(9)
  expect(seen).toEqual([])
  await clock.advance(11)
  expect(seen).toEqual(['a at 1010', 'c at 1015', 'b at 1020'])
  expect(clock.pending).toBe(0)
})

it('lets what waited go on before time passes further', async () => {
  const clock = manualClock()
  const seen: number[] = []
  const work = async () => {
    for (let i = 0; i < 3; i++) {
      await sleep(clock, 10)
      seen.push(clock.monotonic())
    }
  }
  const done = work()
  await clock.advance(30)
  await done
  expect(seen).toEqual([10, 20, 30])
})

it('keeps timers where they are when the wall clock jumps', async () => {
  const clock = manualClock()
  let fired = false
  clock.timer(10, () => {
    fired = true
  })
  clock.set(new Date(1_000_000))
  expect(clock.now()).toBe(1_000_000)
  await clock.advance(9)
  expect(fired).toBe(false)
  await clock.advance(1)
  expect(fired).toBe(true)
})
