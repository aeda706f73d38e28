import { describe, expect, it } from 'vitest'
import type { RecordedEvent } from '../../model/index.ts'
import { fairShare, planPartitions } from '../consumer/assignment.ts'
import { keyBy, keyHash, partitionOf } from './key-hash.ts'

const event = (stream: string, tags: readonly string[]) => ({ stream, tags }) as RecordedEvent

describe('keyHash', () => {
  it('is frozen', () => {
    const values = ['', 'a', 'order-1', 'order-2', 'Zürich', '😀'].map(keyHash)
    expect(values).toEqual([2872998923, 444641715, 2449496732, 2010665664, 2490234560, 1787143206])
  })

  it('spreads the keys over the partitions', () => {
    const counts = new Array<number>(64).fill(0)
    for (let i = 0; i < 64_000; i++) {
      const partition = partitionOf(`order-${i}`, 64)
      counts[partition] = (counts[partition] ?? 0) + 1
    }
    expect(Math.min(...counts)).toBeGreaterThan(850)
    expect(Math.max(...counts)).toBeLessThan(1150)
  })
})

describe('keyBy', () => {
  it('goes by stream, by a tag with the stream in its place, or by a function', () => {
    const tagged = event('s-1', ['x:1', 'course:math'])
    expect(keyBy('stream').keyOf(tagged)).toBe('s-1')
    expect(keyBy({ tag: 'course' }).keyOf(tagged)).toBe('course:math')
    expect(keyBy({ tag: 'course' }).keyOf(event('s-2', ['coursework:1']))).toBe('s-2')
    const own = keyBy({ name: 'first', key: ({ stream }) => stream.slice(0, 1) })
    expect([own.keyOf(tagged), own.keyLabel]).toEqual(['s', 'key:first'])
  })
})

describe('planPartitions', () => {
  it('gives shares that differ by one at most and sum up to all', () => {
    for (const count of [1, 7, 64]) {
      for (const size of [1, 3, 8, 100]) {
        const members = Array.from({ length: size }, (_, i) => `w${String(i).padStart(3, '0')}`)
        const shares = members.map((self) => fairShare(count, members, self))
        expect(shares.reduce((a, b) => a + b)).toBe(count)
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1)
      }
    }
    expect(fairShare(8, ['a'], 'stranger')).toBe(0)
  })

  it('begins elsewhere for each member, and gives back what is too much', () => {
    const free = Array.from({ length: 4 }, (_, partition) => ({
      partition,
      own: false,
      free: true,
    }))
    expect(planPartitions(free, ['a', 'b'], 'a').claim).toEqual([0, 1])
    expect(planPartitions(free, ['a', 'b'], 'b').claim).toEqual([2, 3])
    const own = free.map((one) => ({ ...one, own: true, free: false }))
    expect(planPartitions(own, ['a', 'b'], 'a')).toEqual({ claim: [], release: [2, 3] })
  })
})
