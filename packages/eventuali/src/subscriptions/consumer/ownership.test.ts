import { expect, it } from 'vitest'
import { stillNeeded } from './ownership.ts'

it('earlier positions are needed until every partition has passed them', () => {
  const [passed, ahead] = [
    { partitions: 2, positions: [3, 4] },
    { partitions: 3, positions: [2, 5, 1] },
  ]
  expect(stillNeeded([passed, ahead], 4)).toEqual([ahead])
  expect(stillNeeded([passed, ahead], 3)).toEqual([passed, ahead])
  expect(stillNeeded([passed, ahead], 5)).toEqual([])
})
