import { expect, it } from 'vitest'
import { sleep, systemClock } from './clock.ts'

it('a timer beyond what the platform can set does not go off at once', async () => {
  let count = 0
  const stops = [2 ** 31, Number.POSITIVE_INFINITY].map((ms) =>
    systemClock.timer(ms, () => {
      count += 1
    }),
  )
  await sleep(systemClock, 20)
  for (const stop of stops) stop()
  expect(count).toBe(0)
})
