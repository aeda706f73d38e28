import { expect, test } from 'vitest'
import { deadlineIn } from '../../kernel/index.ts'
import { manualClock } from '../../testing/index.ts'
import { Lanes } from './lanes.ts'

const forEver = { leftMs: () => Number.POSITIVE_INFINITY, signal: undefined }

test('a place is waited for in order, and given back', async () => {
  const clock = manualClock()
  const lanes = new Lanes(clock, 1)
  const order: string[] = []
  const enter = async (name: string) => {
    const leave = await lanes.enter(forEver, 'an append')
    order.push(name)
    return leave
  }
  const leaveFirst = await enter('first')
  const [second, third] = [enter('second'), enter('third')]
  // Without a bound there is no timer either.
  expect([lanes.waitingCount, clock.pending]).toEqual([2, 0])
  leaveFirst()
  ;(await second)()
  ;(await third)()
  expect(order).toEqual(['first', 'second', 'third'])
  const free = enter('fourth')
  expect(lanes.waitingCount).toBe(0)
  ;(await free)()
})

test('who waits too long or is told to stop goes, and those behind move up', async () => {
  const clock = manualClock()
  const lanes = new Lanes(clock, 1)
  const leave = await lanes.enter(forEver, 'an append')
  const stop = new AbortController()
  const late = lanes.enter(deadlineIn(clock, 100), 'an append')
  const stopped = lanes.enter(deadlineIn(clock, 1000, stop.signal), 'an append')
  const patient = lanes.enter(deadlineIn(clock, 1000), 'an append')
  const refused = expect(late).rejects.toMatchObject({
    ...{ code: 'TIMEOUT', message: expect.stringContaining('an append') },
  })
  await clock.advance(100)
  await refused
  expect(lanes.waitingCount).toBe(2)
  stop.abort(new Error('enough'))
  await expect(stopped).rejects.toThrow('enough')
  expect(lanes.waitingCount).toBe(1)
  leave()
  ;(await patient)()
  // Nothing is left that could fire, and the place is free.
  expect([lanes.waitingCount, clock.pending]).toEqual([0, 0])
  const again = await lanes.enter(deadlineIn(clock, 1), 'an append')
  again()
  await expect(lanes.enter(deadlineIn(clock, 1, stop.signal), 'x')).rejects.toThrow('enough')
})
