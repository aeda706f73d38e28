import { expect, test } from 'vitest'
import { Aggregate, type AppliedOf, defineAggregate } from '../model/index.ts'
import { openStore } from '../store/index.ts'
import type { Entry } from './entry.ts'
import { HeldStates } from './held-states.ts'
import { added, events, memory, parts, program, Sums, warm } from './programs.test-support.ts'

const entry = (stream: string, checksum = 1): Entry => ({
  ...{ stream, version: 1, position: 1, takenAt: 0, fingerprint: 'f', codec: 'json', body: '' },
  checksum,
})

test('no more is held than asked for, and what was used last stays', () => {
  const held = new HeldStates(25)
  for (const name of ['a', 'b']) held.set(entry(name), { name }, 10)
  expect(held.get(entry('a'))).toEqual({ name: 'a' })
  held.set(entry('c'), { name: 'c' }, 10)
  const there = ['a', 'b', 'c'].filter((name) => held.get(entry(name)) !== undefined)
  expect(there).toEqual(['a', 'c'])
  const large = { name: 'large' }
  expect(Object.isFrozen(held.set(entry('a'), large, 26))).toBe(false)
  expect(held.get(entry('a'))).toBeUndefined()
  // What it took is free again.
  held.set(entry('d'), {}, 15)
  expect(held.get(entry('c'))).toBeDefined()
  expect(held.get(entry('c', 2))).toBeUndefined()
})

test('a held state serves loads, and what other programs write counts at once', async () => {
  const port = await memory()
  const options = { memoryBytes: 10_000 }
  const [one, other] = [await program(port, options), await program(port)]
  await one.append('sums-1', added(1))
  await warm(one)
  await warm(other)
  const first = await one.aggregate(Sums).load('1')
  const again = await one.aggregate(Sums).load('1')
  expect(again.state).toBe(first.state)
  await other.append('sums-1', added(2))
  await warm(other)
  expect((await one.aggregate(Sums).load('1')).state).toEqual({ a: 3 })
  await other.snapshots.drop()
  await other.deleteStream('sums-1')
  await other.append('sums-1', added(5), { recreate: true })
  expect((await one.aggregate(Sums).load('1')).state).toEqual({ a: 5 })
})

test('what changes a held state in place is told so, and loses nothing', async () => {
  const port = await memory()
  const Lists = defineAggregate('lists', {
    events,
    initial: () => ({ keys: [] as string[] }),
    commands: {},
    evolve: {
      Added: (state, { data }) => {
        state.keys.push(data.key)
        return state
      },
      Cleared: () => ({ keys: [] }),
    },
  })
  const store = await program(port, { every: 3, memoryBytes: 10_000 })
  const lists = store.aggregate(Lists)
  await store.append('lists-1', [added(1), added(2), added(3)])
  for (let n = 0; n < 2; n++) {
    await lists.load('1')
    await store.snapshots.settled()
  }
  const { state } = await lists.load('1')
  expect(() => (state as { keys: string[] }).keys.push('x')).toThrow(TypeError)
  await store.append('lists-1', added(4))
  await expect(lists.load('1')).rejects.toThrow(TypeError)
  await using plain = await openStore(port, { snapshots: { every: 3 } })
  expect((await plain.aggregate(Lists).load('1')).state.keys).toHaveLength(4)
})

test('states of classes and of a decode of its own are not held', async () => {
  class Totals extends Aggregate {
    static readonly aggregateName = 'totals'
    static readonly events = events
    static readonly snapshot = {
      encode: ({ total }: Totals) => total,
      decode: (stored: unknown) => {
        const made = new Totals()
        made.total = stored as number
        return made
      },
    }
    total = 0
    onAdded({ data }: AppliedOf<typeof events, 'Added'>): void {
      this.total += data.n
    }
    onCleared(): void {
      this.total = 0
    }
  }
  const Decoded = defineAggregate('decoded', {
    ...parts,
    initial: () => new Map<string, number>(),
    evolve: {
      Added: (state, { data }) => state.set(data.key, data.n),
      Cleared: () => new Map<string, number>(),
    },
    snapshot: {
      encode: (state) => [...state],
      decode: (stored) => new Map(stored as [string, number][]),
    },
  })
  const port = await memory()
  const store = await program(port, { memoryBytes: 10_000 })
  for (const stream of ['totals-1', 'decoded-1']) await store.append(stream, added(2))
  for (let n = 0; n < 3; n++) {
    const loaded = await store.aggregate(Totals).load('1')
    const { state } = await store.aggregate(Decoded).load('1')
    await store.snapshots.settled()
    expect(Object.isFrozen(loaded)).toBe(false)
    expect(Object.isFrozen(state)).toBe(false)
  }
  expect(store.snapshots.stats.used).toBeGreaterThan(1)
  await expect(openStore('memory:', { snapshots: { memoryBytes: -1 } })).rejects.toMatchObject({
    argument: 'snapshots.memoryBytes',
  })
})
