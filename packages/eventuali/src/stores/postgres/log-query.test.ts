import { expect, test } from 'vitest'
import type { Row } from './connections.ts'
import { eventColumnCount } from './event-rows.ts'
import { rowGroups } from './log-query.ts'

/** A row of a page: whole, or with data of so many bytes left out. */
const rowOf = (position: number, leftOut?: number): Row => [
  String(position),
  ...Array.from({ length: eventColumnCount - 1 }, () => null),
  leftOut === undefined ? null : String(leftOut),
]

test('large rows of a page are fetched together up to a mebibyte, in their places', () => {
  const half = 512 * 1024
  const sizes = [undefined, undefined, half, half, 9000, half, 9_000_000, 9000, undefined]
  const rows = sizes.map((size, n) => rowOf(n, size))
  const groups = [...rowGroups(rows)].map((group) => ({
    at: group.rows.map(([position]) => Number(position)),
    large: group.large,
  }))
  expect(groups).toEqual([
    { at: [0, 1], large: false },
    { at: [2, 3], large: true },
    { at: [4, 5], large: true },
    { at: [6], large: true },
    { at: [7], large: true },
    { at: [8], large: false },
  ])
  const whole = rows.slice(0, 2)
  expect([...rowGroups(whole)]).toEqual([{ rows: whole, large: false }])
  expect([...rowGroups([])]).toEqual([])
})
