import { expect, it } from 'vitest'
import { Slots } from './bell.ts'

it('lets no more works run than there are slots, first come first served', async () => {
  const slots = new Slots(2)
  const order: number[] = []
  let [running, most] = [0, 0]
  const work = (n: number) => async () => {
    order.push(n)
    running += 1
    most = Math.max(most, running)
    await new Promise((resolve) => setImmediate(resolve))
    running -= 1
    if (n === 1) throw new Error('planted')
    return n
  }
  const all = await Promise.allSettled([0, 1, 2, 3, 4].map((n) => slots.run(work(n))))
  expect(order).toEqual([0, 1, 2, 3, 4])
  expect(most).toBe(2)
  // One that fails gives its slot back.
  expect(all.map(({ status }) => status[0])).toEqual(['f', 'r', 'f', 'f', 'f'])
  expect(await slots.run(work(5))).toBe(5)
})
