import { expect, test } from 'vitest'
import { deadlineIn, seededRandom } from '../../kernel/index.ts'
import { manualClock } from '../../testing/index.ts'
import { Connections, type PoolSizes } from './connections.ts'
import type { Driver, DriverPool, DriverPoolClient } from './driver.ts'
import { poolSizes } from './pool-sizes.ts'

const limits = { groupCountMax: 1, laneCountMax: 4 }
const forEver = { leftMs: () => Number.POSITIVE_INFINITY, signal: undefined }

const client = {
  on: () => {},
  query: async () => ({ rows: [['7', '1.5']] }),
  release: () => {},
} as unknown as DriverPoolClient

/** A pool that never keeps anybody waiting: who waits, waits for a place in a lane. */
const generous = (max?: number) =>
  ({
    ...{ on: () => {}, off: () => {}, connect: async () => client, end: async () => {} },
    options: { max },
  }) as unknown as DriverPool

function opened(sizes: PoolSizes, pool?: DriverPool) {
  const clock = manualClock()
  const made: number[] = []
  class Pool {
    constructor({ max }: { max: number }) {
      made.push(max)
      Object.assign(this, generous(max))
    }
  }
  const driver = { Pool, Client: Pool } as unknown as Driver
  const connections = new Connections({
    ...{ driver, url: 'postgres://somewhere', pool, sizes, connectTimeoutMs: 1000 },
    ...{ clock, random: seededRandom(1) },
  })
  return { clock, connections, made }
}

test('who fills one lane keeps nobody waiting in another', async () => {
  const { connections, made } = opened({ appends: 2, reads: 1, subscriptions: 1, transactions: 1 })
  expect(made).toEqual([2, 1, 1, 1])
  const reading = await connections.acquire('reads', forEver)
  const second = connections.acquire('reads', forEver)
  for (const lane of ['appends', 'subscriptions', 'transactions'] as const) {
    ;(await connections.acquire(lane, forEver)).release()
  }
  const { reads, appends } = connections.statistics()
  expect(reads).toMatchObject({ size: 1, inUse: 1, waiting: 1, acquired: 1, waits: 1 })
  expect(appends).toMatchObject({ size: 2, inUse: 0, waiting: 0, acquired: 1, waits: 0 })
  reading.release()
  ;(await second).release()
  expect(connections.statistics().reads).toMatchObject({ inUse: 0, waiting: 0, acquired: 2 })
})

test('a wait ends with the deadline of the call, or sooner when the store says so', async () => {
  const sizes = { appends: 1, reads: 2, subscriptions: 1, transactions: 1, acquireTimeoutMs: 200 }
  const { clock, connections } = opened(sizes)
  const held = [
    await connections.acquire('reads', forEver),
    await connections.acquire('reads', forEver),
  ]
  const patient = connections.acquire('reads', deadlineIn(clock, 10_000))
  const hasty = connections.acquire('reads', deadlineIn(clock, 50))
  const refusals = Promise.all(
    [patient, hasty].map((call) => call.catch((error: unknown) => error)),
  )
  await clock.advance(50)
  await clock.advance(150)
  const message = /wait for a connection of the reads lane \(all 2 are in use\)/
  const [late, early] = await refusals
  expect(late).toMatchObject({ code: 'TIMEOUT', retryable: true, message })
  expect(early).toMatchObject({ code: 'TIMEOUT', message: /50 ms/ })
  const told = connections.statistics().reads
  expect(told).toMatchObject({ timeouts: 2, waits: 2, waitedMs: 250, waitedMsMax: 200 })
  for (const session of held) session.release()
  expect(connections.statistics().reads).toMatchObject({ inUse: 0, waiting: 0 })
})

test('one connection of a pool that was handed in is left for appends', async () => {
  const shared = opened({ appends: 6, reads: 8, subscriptions: 4, transactions: 6 }, generous(3))
  const first = await shared.connections.acquire('reads', forEver)
  const second = await shared.connections.acquire('transactions', forEver)
  const third = shared.connections.acquire('subscriptions', forEver)
  const append = await shared.connections.acquire('appends', forEver)
  expect(shared.connections.statistics().subscriptions).toMatchObject({ size: 2, waiting: 1 })
  first.release()
  ;(await third).release()
  second.release()
  append.release()
  const only = opened({ appends: 6, reads: 8, subscriptions: 4, transactions: 6 }, generous(1))
  expect(only.connections.statistics().reads.size).toBe(1)
})

test('a place is free again when no connection is to be had', async () => {
  const broken = { ...generous(2), connect: () => Promise.reject(new Error('no server')) }
  const sizes = { appends: 1, reads: 1, subscriptions: 1, transactions: 1 }
  const { connections } = opened(sizes, broken as unknown as DriverPool)
  for (let n = 0; n < 3; n++) {
    await expect(connections.acquire('reads', forEver, false)).rejects.toThrow('no server')
  }
  expect(connections.statistics().reads).toMatchObject({ inUse: 0, acquired: 3 })
})

test('sizes are a number or given by name, and the rest keeps its own', () => {
  expect(poolSizes({}, limits)).toMatchObject({
    ...{ appends: 6, reads: 8, subscriptions: 4, transactions: 6 },
  })
  expect(poolSizes({ poolSize: 5, acquireTimeoutMs: 100 }, limits)).toEqual({
    ...{ appends: 6, reads: 5, subscriptions: 3, transactions: 5, acquireTimeoutMs: 100 },
  })
  const poolSize = { reads: 2, transactions: undefined as never }
  expect(poolSizes({ poolSize }, limits)).toMatchObject({ reads: 2, transactions: 6 })
  const wrong: readonly [object, RegExp][] = [
    [{ poolSize: 0 }, /poolSize.*1 or more/],
    [{ poolSize: 'many' }, /poolSize/],
    [{ poolSize: null }, /poolSize/],
    [{ poolSize: { reads: 1.5 } }, /poolSize\.reads/],
    [{ poolSize: { writers: 2 } }, /poolSize\.writers.*appends, reads/],
    [{ acquireTimeoutMs: 0 }, /acquireTimeoutMs/],
    [{ acquireTimeoutMs: Number.NaN }, /acquireTimeoutMs/],
  ]
  for (const [options, message] of wrong) {
    expect(() => poolSizes(options, limits)).toThrow(message)
  }
})
