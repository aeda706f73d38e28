import { describe, expect, test } from 'vitest'
import { ConnectionError, StorageError } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { wrapStore } from '../testing/index.ts'
import { entryOf } from './entry.ts'
import { fingerprintOf } from './fingerprint.ts'
import { added, memory, program, Sums, warm } from './programs.test-support.ts'

// Kept states that cannot be read, compared or written: loads go by the events then.

/** A log with so many streams of two events, each with a kept state. */
async function kept(count: number): Promise<EventStore> {
  const port = await memory()
  const store = await program(port, { checkRate: 0 })
  for (let n = 1; n <= count; n++) await store.append(`sums-${n}`, [added(n), added(n)])
  await warm(store)
  for (let n = 1; n <= count; n++) await store.aggregate(Sums).load(`${n}`)
  await store.snapshots.settled()
  return port
}

/** A store whose reads of kept states fail while `failure` gives an error. */
function failing(inner: EventStore, failure: () => Error | undefined): EventStore {
  return wrapStore(inner, {
    records: {
      get: async (next, kind, ...args) => {
        const error = kind === 'snapshot' ? failure() : undefined
        if (error !== undefined) throw error
        return next.get(kind, ...args)
      },
    },
  })
}

/** Plants a kept state that is right in itself, of the code of today. */
async function plant(port: EventStore, stream: string, version: number): Promise<void> {
  const fingerprint = fingerprintOf(Sums as never)
  const state = { stream, version, position: 1, takenAt: 0, fingerprint }
  const value = { ...entryOf(state, '{"a":2}', undefined) }
  const change = { kind: 'snapshot', key: stream, expected: 'any', value } as const
  await port.transaction((tx) => tx.records.write([{ ...change, state: fingerprint }]))
}

describe('a kept state that cannot be read', () => {
  test('because its record is no JSON is passed over, dropped and made anew', async () => {
    const inner = await kept(1)
    let broken: Error | undefined
    const store = await program(failing(inner, () => broken))
    await warm(store)
    broken = new StorageError('read', { cause: new SyntaxError('no JSON') })
    expect(store.snapshots.stats).toMatchObject({ damaged: 0, taken: 0 })
    expect((await store.aggregate(Sums).load('1')).state).toEqual({ a: 2 })
    await store.snapshots.settled()
    // Were the old one still there, none would be taken of the same version.
    expect(store.snapshots.stats).toMatchObject({ damaged: 1, taken: 1, problem: broken })
    broken = undefined
    expect((await store.aggregate(Sums).load('1')).state).toEqual({ a: 2 })
    expect(store.snapshots.stats).toMatchObject({ damaged: 1, used: 2 })
  })

  test.each([new ConnectionError('planted'), new StorageError('read')])(
    'because the storage does not answer is an error of the load: %s',
    async (error) => {
      const inner = await kept(1)
      let broken: Error | undefined
      const store = await program(failing(inner, () => broken))
      await warm(store)
      broken = error
      await expect(store.aggregate(Sums).load('1')).rejects.toBe(error)
      expect(store.snapshots.stats.damaged).toBe(0)
      expect(await inner.records.get('snapshot', ['sums-1'])).not.toEqual([undefined])
    },
  )
})

describe('the look at kept states before they are used', () => {
  test('is content with 20 streams, however many there are', async () => {
    const inner = await kept(30)
    let reads = 0
    const port = wrapStore(inner, {
      readStream: (next, query, options) => {
        reads++
        return next.readStream(query, options)
      },
    })
    const store = await program(port, { checkRate: 0 })
    await store.snapshots.take(Sums, 'none')
    expect(reads).toBeLessThanOrEqual(21)
    expect(reads).toBeGreaterThanOrEqual(20)
    expect(await store.snapshots.verify(Sums)).toEqual({ same: 30, passed: 0, wrong: [] })
  })

  test('is made once for all that ask at one time', async () => {
    const inner = await kept(3)
    let reads = 0
    const port = wrapStore(inner, {
      records: {
        list: (next, query, options) => {
          if (query.kind === 'snapshot') reads++
          return next.list(query, options)
        },
      },
    })
    const store = await program(port, { checkRate: 0 })
    const taken = await Promise.all(['1', '2', '3'].map((id) => store.snapshots.take(Sums, id)))
    expect(taken.map((info) => info?.stream)).toEqual(['sums-1', 'sums-2', 'sums-3'])
    expect(reads).toBe(1)
  })

  test('passes over a record that holds something else', async () => {
    const port = await kept(2)
    const change = { kind: 'snapshot', key: 'sums-1', expected: 'any', value: { a: 1 } } as const
    const state = fingerprintOf(Sums as never)
    await port.transaction((tx) => tx.records.write([{ ...change, state }]))
    const store = await program(port, { checkRate: 0 })
    expect(await store.snapshots.take(Sums, '2')).toMatchObject({ version: 2 })
    expect(await store.snapshots.verify(Sums)).toEqual({ same: 1, passed: 1, wrong: [] })
    expect((await store.aggregate(Sums).load('1')).state).toEqual({ a: 2 })
    expect(store.snapshots.stats).toMatchObject({ retired: 0, problem: undefined })
  })

  test('retires the states of a log that has fewer events than they tell of', async () => {
    const port = await kept(2)
    await plant(port, 'sums-1', 7)
    const store = await program(port, { checkRate: 0 })
    await warm(store)
    expect(store.snapshots.stats).toMatchObject({ retired: 1 })
    expect(String(store.snapshots.stats.problem)).toContain('"sums-1" is not what its events give')
    expect((await store.aggregate(Sums).load('1')).state).toEqual({ a: 2 })
  })

  test('cannot judge a state whose events were removed, and lets it pass', async () => {
    const port = await kept(2)
    const store = await program(port, { checkRate: 0 })
    await warm(store)
    await store.truncate('sums-1', { before: 3 })
    expect(await store.snapshots.verify(Sums)).toEqual({ same: 1, passed: 1, wrong: [] })
    // Nor is it a reason for a program that begins today to believe none of them.
    const next = await program(port, { checkRate: 0 })
    await warm(next, Sums, '2')
    expect(next.snapshots.stats).toMatchObject({ retired: 0, problem: undefined })
    expect((await next.aggregate(Sums).load('1')).state).toEqual({ a: 2 })
  })

  test('that fails is told, and nothing is used until it is made again', async () => {
    const inner = await kept(1)
    const error = new ConnectionError('planted')
    let isDown = false
    let now = 1_000_000
    const port = wrapStore(inner, {
      readStream: (next, query, options) => {
        if (isDown) throw error
        return next.readStream(query, options)
      },
    })
    const clock = { now: () => now, monotonic: () => now, timer: () => () => {} }
    const store = await program(port, { checkRate: 0 }, { clock })
    isDown = true
    expect(await store.snapshots.take(Sums, '1')).toBeUndefined()
    expect(store.snapshots.stats).toMatchObject({ retired: 0, problem: error })
    isDown = false
    expect(await store.snapshots.take(Sums, '1')).toBeUndefined()
    now += 10_001
    expect(await store.snapshots.take(Sums, '1')).toMatchObject({ version: 2 })
    isDown = true
    await expect(store.snapshots.verify(Sums)).rejects.toBe(error)
  })
})

describe('a program that is far behind with its kept states', () => {
  /** A program whose writes wait until they are let go. */
  async function behind(count: number) {
    const gate = Promise.withResolvers<void>()
    let isSlow = false
    const inner = await memory()
    const port = wrapStore(inner, {
      transaction: async (next, work, options) => {
        if (isSlow && options?.timeoutMs === 30_000) await gate.promise
        return next.transaction(work, options)
      },
    })
    const store = await program(port, { checkRate: 1 })
    await store.append('sums-0', added(1))
    await warm(store, Sums, '0')
    for (let n = 1; n <= count; n++) await store.append(`sums-${n}`, added(n))
    const { checked } = store.snapshots.stats
    isSlow = true
    const load = async (id: number) => (await store.aggregate(Sums).load(`${id}`)).state
    return { inner, store, load, checked, letGo: () => gate.resolve() }
  }

  test('leaves states out when a thousand wait, until a later load', async () => {
    const { store, load, checked, letGo } = await behind(1002)
    // One is being written, a thousand wait.
    for (let n = 1; n <= 1001; n++) await load(n)
    expect(store.snapshots.stats.refused).toBe(0)
    expect(await load(1002)).toEqual({ a: 1002 })
    expect(store.snapshots.stats.refused).toBe(1)
    // One that waits anyway is replaced by its newest state.
    await store.append('sums-1001', added(5))
    expect(await load(1001)).toEqual({ a: 1006 })
    expect(store.snapshots.stats.refused).toBe(1)
    // A kept state is used as ever, and its comparison is what has to wait.
    expect(await load(0)).toEqual({ a: 1 })
    letGo()
    await store.snapshots.settled()
    expect(await store.snapshots.list('sums-1002')).toEqual([])
    expect(await store.snapshots.list('sums-1001')).toMatchObject([{ version: 2 }])
    expect(store.snapshots.stats.checked).toBe(checked)
    expect(await load(1002)).toEqual({ a: 1002 })
    await store.snapshots.settled()
    expect(await store.snapshots.list('sums-1002')).toHaveLength(1)
  })

  test('keeps nothing more once its store is closing', async () => {
    const { inner, store, load, checked, letGo } = await behind(2)
    await load(1)
    const closed = store.snapshots.stop()
    expect(await load(2)).toEqual({ a: 2 })
    expect(await load(0)).toEqual({ a: 1 })
    letGo()
    await closed
    expect(store.snapshots.stats).toMatchObject({ refused: 1, checked })
    const rows = await inner.records.get('snapshot', ['sums-1', 'sums-2'])
    expect(rows).toMatchObject([{ key: 'sums-1' }, undefined])
    expect(rows[1]).toBeUndefined()
  })
})
