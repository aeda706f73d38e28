import { describe, expect, it } from 'vitest'
import type { RecordedEvent } from '../../model/index.ts'
import { EventQueue, estimateBytes } from './event-queue.ts'

let position = 0

function events(count: number, length: number): RecordedEvent[] {
  return Array.from({ length: count }, () => ({
    ...{ position: ++position, stream: 'a-1', version: position, type: 'T', id: `${position}` },
    ...{ data: 'x'.repeat(length), metadata: {}, tags: [], schemaVersion: 1 },
    ...{ time: new Date(0), recordedAt: new Date(0), category: 'a' },
  })) as unknown as RecordedEvent[]
}

const positions = (taken: readonly RecordedEvent[]) => taken.map((event) => event.position)

describe('EventQueue', () => {
  it('measures its first chunk unless it is the only queue', () => {
    const chunk = events(3, 10_000)
    const bytes = chunk.reduce((sum, event) => sum + estimateBytes(event), 0)
    const one = new EventQueue(false)
    const many = new EventQueue()
    for (const queue of [one, many]) queue.push(chunk)
    expect([one.bytes, many.bytes]).toEqual([0, bytes])
    for (const queue of [one, many]) queue.push(chunk)
    expect([one.bytes, many.bytes]).toEqual([bytes, 2 * bytes])
  })

  it('takes no more than the bytes allow, in order, and at least one', () => {
    const queue = new EventQueue()
    const small = events(10, 10)
    const large = events(10, 100_000)
    queue.push(small)
    queue.push(large)
    expect(positions(queue.take(1000, 250_000))).toEqual(
      positions([...small, ...large.slice(0, 2)]),
    )
    expect(positions(queue.take(1000, 1))).toEqual(positions(large.slice(2, 3)))
    expect(queue.count).toBe(7)
    expect(positions(queue.take(5))).toEqual(positions(large.slice(3, 8)))
    expect(positions(queue.take(1000))).toEqual(positions(large.slice(8)))
    expect([queue.count, queue.bytes]).toEqual([0, 0])
    expect(queue.take(1000, 1)).toEqual([])
  })

  it('counts what it has taken of one chunk against the next', () => {
    const queue = new EventQueue()
    const large = events(3, 100_000)
    for (const event of large) queue.push([event])
    expect(positions(queue.take(1000, 250_000))).toEqual(positions(large.slice(0, 2)))
    expect(positions(queue.take(1000, 250_000))).toEqual(positions(large.slice(2)))
  })

  it('goes on in chunks that were never measured', () => {
    const queue = new EventQueue(false)
    const first = events(4, 100_000)
    queue.push(first)
    expect(positions(queue.take(3, 1))).toEqual(positions(first.slice(0, 3)))
    expect(positions(queue.take(3, 1))).toEqual(positions(first.slice(3)))
  })
})
