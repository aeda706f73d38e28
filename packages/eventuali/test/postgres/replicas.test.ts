import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { systemClock, systemRandom } from '../../src/kernel/index.ts'
import { type ReplicaStatus, withReplicas } from '../../src/replicas/index.ts'
import { onReplica } from '../../src/replicas/on-replica.test-support.ts'
import { type OpenStoreSettings, openStore, type Store } from '../../src/store/index.ts'
import { manifest } from '../../src/stores/postgres/index.ts'
import { bindVitest, eventStoreContract } from '../../src/testing/index.ts'
import { FaultyProxy } from '../servers/faulty-proxy.ts'
import {
  type PostgresServer,
  postgresSkipReason,
  startPostgres,
  startReplica,
} from '../servers/postgres.ts'
import { foreign, one, open, pause } from './setup.ts'

const reason =
  postgresSkipReason() ??
  (process.env.EVENTUALI_TEST_POSTGRES_URL === undefined
    ? undefined
    : 'a server that is not ours cannot be copied')

let primary: PostgresServer
let replica: PostgresServer
let schemaCount = 0
let schema: string
let store: Store

const happened = (n: number) => ({ type: 'Happened', data: { n } })
const status = (): ReplicaStatus => store.replicas[0] as ReplicaStatus
const anyAge = { withinMs: Number.POSITIVE_INFINITY }

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 15_000
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`${what}: ${JSON.stringify(store.replicas)}`)
    await pause(5)
  }
}

/** Runs SQL on the replica itself. */
async function onReplicaServer(sql: string): Promise<void> {
  const client = await foreign(replica.url)
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

function openBoth(more: OpenStoreSettings = {}): Promise<Store> {
  return openStore(primary.url, { schema, replicas: [replica.url], ...more })
}

/** Waits until the replica shows everything that the primary holds. */
async function caughtUp(): Promise<void> {
  const { newest } = await store.positions()
  await until('the replica caught up', async () => {
    await store.port.positions({ fresh: {} })
    return status().state === 'ready' && status().position >= newest
  })
}

const positionsOf = async (events: AsyncIterable<{ readonly position: number }>) => {
  const positions: number[] = []
  for await (const { position } of events) positions.push(position)
  return positions
}

describe.skipIf(reason !== undefined)('with a streaming replica', () => {
  beforeAll(async () => {
    primary = await startPostgres({ settings: { wal_keep_size: '512MB' } })
    replica = await startReplica(primary)
  }, 60_000)
  afterAll(async () => {
    await replica?.stop()
    await primary?.stop()
  })
  bindVitest(
    {
      ...eventStoreContract,
      cases: eventStoreContract.cases.filter(({ name }) => /^(readLog|streams)/.test(name)),
    },
    {
      ...{ describe, it, manifest, label: 'on a streaming replica' },
      make: async () => {
        const parts = { schema: 'contract', clock: systemClock, random: systemRandom }
        const main = await open({ url: primary.url, ...parts })
        const opening = () => open({ url: replica.url, standby: true, ...parts })
        const replicas = [{ name: 'replica', open: opening }]
        const replicated = withReplicas(main, { replicas, ...parts, withinMs: 10_000 })
        const count = (readCount: number) => expect(readCount).toBeGreaterThan(0)
        return { store: onReplica(replicated, count), dispose: async () => {} }
      },
    },
  )

  describe('a store', () => {
    beforeEach(async () => {
      schema = `replicas_${++schemaCount}`
      store = await openBoth()
      return () => store.close()
    })

    it('opens at once, and serves reads from the replica as soon as it was looked at', async () => {
      const { position } = await store.append('a-1', [happened(1), happened(2), happened(3)])
      expect(await positionsOf(store.readAll())).toHaveLength(3)
      await caughtUp()
      const before = status().readCount
      expect(await positionsOf(store.readAll())).toHaveLength(3)
      expect(await positionsOf(store.readStream('a-1', { fresh: { position } }))).toHaveLength(3)
      expect(await store.stream('a-1', { fresh: { position } })).toMatchObject({ version: 3 })
      expect((await store.streams().toArray()).map(({ stream }) => stream)).toEqual(['a-1'])
      expect(status()).toMatchObject({ state: 'ready', position, readCount: before + 4 })
      expect(status().name).toBe(`127.0.0.1:${replica.port}/postgres`)
    })

    it('skips no event while writers append and leave transactions open', async () => {
      const seen: number[] = []
      const subscription = store.subscribe({}, ({ position }) => {
        seen.push(position)
      })
      const durable: number[] = []
      const named = store.subscribe({ name: 'followers' }, ({ position }) => {
        durable.push(position)
      })
      const writers = [
        await openStore(primary.url, { schema }),
        await open({ url: primary.url, schema }),
      ]
      const [plain, port] = writers as [Store, Awaited<ReturnType<typeof open>>]
      const ledger: number[] = []
      const end = performance.now() + 4000
      const appending = Array.from({ length: 4 }, async (_, writer) => {
        for (let n = 0; performance.now() < end; n++) {
          ledger.push((await plain.append(`w-${writer}`, happened(n))).position)
          await pause(Math.random() * 10)
        }
      })
      const holding = Array.from({ length: 3 }, async (_, holder) => {
        const client = await foreign(primary.url)
        for (let n = 0; performance.now() < end; n++) {
          await client.query('BEGIN')
          const outcome = await port.join(client).append(one(`held-${holder}-${n}`))
          await pause(20 + Math.random() * 200)
          const commits = n % 3 > 0
          await client.query(commits ? 'COMMIT' : 'ROLLBACK')
          if (commits && outcome.ok) ledger.push(outcome.entries[0]?.positions[0] as number)
        }
        await client.end()
      })
      const reads: number[][] = []
      const reading = (async () => {
        while (performance.now() < end) {
          reads.push(await positionsOf(store.readAll()))
          await pause(20)
        }
      })()
      await Promise.all([...appending, ...holding, reading])
      const log = await positionsOf(store.readAll({ fresh: 'primary' }))
      expect(log).toEqual(ledger.toSorted((a, b) => a - b))
      for (const read of reads) expect(read).toEqual(log.slice(0, read.length))
      await until('the subscription is through', () => seen.length >= log.length)
      expect(seen).toEqual(log)
      await until('the consumer is through', () => durable.length >= log.length)
      expect(durable).toEqual(log)
      const { readCount, failedReadCount } = status()
      // Almost all: what was asked before the replica had been looked at is the primary's.
      expect(readCount).toBeGreaterThan(reads.length)
      expect(failedReadCount).toBe(0)
      await Promise.all([subscription.stop(), named.stop()])
      await plain.close()
      await port.close()
    }, 30_000)

    it('delivers through the replica soon after the commit', async () => {
      const waits: number[] = []
      let wake: (() => void) | undefined
      const subscription = store.subscribe({}, () => wake?.())
      await store.append('a-1', happened(0))
      await caughtUp()
      for (let n = 1; n <= 10; n++) {
        const woken = new Promise<void>((resolve) => {
          wake = resolve
        })
        const startedAt = performance.now()
        await store.append('a-1', happened(n))
        await woken
        waits.push(performance.now() - startedAt)
        await pause(60)
      }
      expect(waits.toSorted((a, b) => a - b)[5]).toBeLessThan(200)
      expect(status().readCount).toBeGreaterThanOrEqual(10)
      await subscription.stop()
    })

    it('skips the replica while its replay is paused, and uses it again afterwards', async () => {
      await store.close()
      store = await openBoth({ replicaReads: { withinMs: 400 } })
      await store.append('a-1', happened(1))
      await caughtUp()
      const seen: number[] = []
      const subscription = store.subscribe({}, ({ position }) => {
        seen.push(position)
      })
      await onReplicaServer('SELECT pg_wal_replay_pause()')
      try {
        const { position } = await store.append('a-1', happened(2))
        // What a program appended itself it sees at once, however far the replica is.
        expect(await positionsOf(store.readAll())).toContain(position)
        await pause(800)
        expect(await positionsOf(store.readAll({ fresh: {} }))).toContain(position)
        expect(status()).toMatchObject({ state: 'lagging' })
        expect(status().lagMs).toBeGreaterThan(400)
        const before = status().readCount
        expect(await positionsOf(store.readAll({ fresh: {} }))).toContain(position)
        expect(await positionsOf(store.readAll({ fresh: { withinMs: 600 } }))).toContain(position)
        expect(status().readCount).toBe(before)
        await until('the subscription has it', () => seen.includes(position))
        // A caller who does not mind gets the old state.
        expect(await positionsOf(store.readStream('a-1', { fresh: anyAge }))).toHaveLength(1)
      } finally {
        await onReplicaServer('SELECT pg_wal_replay_resume()')
      }
      await caughtUp()
      const before = status().readCount
      expect(await positionsOf(store.readAll())).toHaveLength(2)
      expect(status().readCount).toBe(before + 1)
      await subscription.stop()
    })

    it('lets each session read its own writes, on the replica or not', async () => {
      await store.append('a-1', happened(0))
      await caughtUp()
      const session = store.session()
      for (let n = 1; n <= 20; n++) {
        const { version, position } = await session.append('a-1', happened(n))
        expect((await session.stream('a-1'))?.version).toBe(version)
        expect(await positionsOf(session.readAll())).toContain(position)
        // The next request of the same caller comes with the token.
        const next = store.session({ position: session.position })
        expect((await next.readStream('a-1').toArray()).at(-1)?.version).toBe(version)
        await pause(n)
      }
      await caughtUp()
      const before = status().readCount
      expect(await positionsOf(session.readStream('a-1'))).toHaveLength(21)
      expect(status().readCount).toBe(before + 1)
    })

    it('waits for a session’s own event while an older transaction is open below it', async () => {
      const port = await open({ url: primary.url, schema })
      const client = await foreign(primary.url)
      await client.query('BEGIN')
      await port.join(client).append(one('held-1'))
      const session = store.session()
      const { position } = await session.append('a-1', happened(1))
      expect(await positionsOf(session.readStream('a-1'))).toEqual([position])
      const reading = positionsOf(session.readAll())
      await pause(150)
      await client.query('COMMIT')
      expect(await reading).toEqual([position - 1, position])
      await client.end()
      await port.close()
    })

    it('refuses a primary as a replica, and another log', async () => {
      const other = await openStore(primary.url, { schema: `${schema}_other` })
      await other.close()
      await store.append('a-1', happened(1))
      await store.close()
      store = await openStore(primary.url, { schema, replicas: [primary.url] })
      await until('it is refused', () => status().state === 'refused')
      expect(status().reason).toMatch(/^NOT_A_REPLICA: the server is a primary/)
      expect(await positionsOf(store.readAll())).toHaveLength(1)
      expect(status().readCount).toBe(0)
    })

    it('serves from the primary, in time, when the replica is killed', async () => {
      const count = 5000
      for (let n = 0; n < count; n += 500) {
        await store.append(
          'a-1',
          Array.from({ length: 500 }, (_, i) => happened(n + i)),
        )
      }
      await caughtUp()
      const seen: number[] = []
      const subscription = store.subscribe({ fresh: anyAge }, ({ position }) => {
        seen.push(position)
      })
      let isKilled = false
      const found: number[] = []
      for await (const { version } of store.readStream('a-1', { fresh: anyAge, timeoutMs: 2000 })) {
        found.push(version)
        if (version !== 300 || isKilled) continue
        await replica.kill()
        isKilled = true
      }
      expect(found).toEqual(Array.from({ length: count }, (_, i) => i + 1))
      for (let n = 0; n < 10; n++) {
        const startedAt = performance.now()
        const options = { fresh: anyAge, timeoutMs: 2000 }
        const { version } = await store.append('a-1', happened(n))
        expect(await positionsOf(store.readStream('a-1', options))).toHaveLength(version)
        expect(performance.now() - startedAt).toBeLessThan(2000)
      }
      expect(status().state).toBe('down')
      expect(status().failedReadCount).toBeGreaterThan(0)
      await until('the subscription is through', () => seen.length >= count + 10)
      expect(new Set(seen).size).toBe(seen.length)
      // A store opens beside a dead replica, and finds it when it is back.
      const second = await openBoth()
      expect(await positionsOf(second.readStream('a-1', { fresh: anyAge }))).toHaveLength(
        count + 10,
      )
      await replica.restart()
      await caughtUp()
      await until('the second store sees it', () => second.replicas[0]?.state === 'ready')
      await second.close()
      await subscription.stop()
    }, 60_000)

    it('serves from the primary, in time, when the network to the replica is silent', async () => {
      const proxy = await FaultyProxy.open(replica.port)
      try {
        await store.close()
        store = await openBoth({ replicas: [{ url: proxy.through(replica.url), poolSize: 1 }] })
        await store.append('a-1', happened(1))
        await caughtUp()
        expect(await positionsOf(store.readStream('a-1', { fresh: anyAge }))).toHaveLength(1)
        proxy.freeze()
        const reads = Array.from({ length: 20 }, async () => {
          const startedAt = performance.now()
          const options = { fresh: anyAge, timeoutMs: 2000 }
          const found = await positionsOf(store.readStream('a-1', options))
          return { count: found.length, ms: performance.now() - startedAt }
        })
        const served = await Promise.all(reads)
        for (const { count, ms } of served) {
          expect(count).toBe(1)
          expect(ms).toBeLessThan(1700)
        }
        // Nobody was told: it took half of the time to find out.
        expect(Math.max(...served.map(({ ms }) => ms))).toBeGreaterThan(900)
        expect(status().failedReadCount).toBeGreaterThan(0)
        await caughtUp()
        expect(await positionsOf(store.readStream('a-1', { fresh: {} }))).toHaveLength(1)
      } finally {
        await store.close()
        await proxy.close()
      }
    }, 30_000)

    it('reads what there is while the primary is away, and follows it afterwards', async () => {
      await store.append('a-1', [happened(1), happened(2)])
      await caughtUp()
      await primary.kill()
      expect(await positionsOf(store.readStream('a-1', { fresh: anyAge }))).toHaveLength(2)
      expect(await positionsOf(store.readAll({ fresh: anyAge }))).toHaveLength(2)
      // Nobody can say any more that nothing has been appended since.
      await pause(150)
      const bounded = store.readAll({ fresh: { withinMs: 100 }, timeoutMs: 500 }).toArray()
      await expect(bounded).rejects.toMatchObject({ retryable: true })
      await primary.restart()
      const { position } = await store.append('a-1', happened(3))
      await caughtUp()
      expect(status()).toMatchObject({ state: 'ready', position })
      expect(await positionsOf(store.readAll({ fresh: {} }))).toHaveLength(3)
    }, 30_000)

    // The last one: afterwards there is no replica any more.
    it('never shows what a promoted replica goes on to store', async () => {
      await store.append('a-1', [happened(1), happened(2)])
      await caughtUp()
      const wrong: unknown[] = []
      let isOver = false
      const reading = (async () => {
        while (!isOver) {
          const events = await store.readStream('a-1', { fresh: anyAge }).toArray()
          const log = await store.readAll({ fresh: anyAge }).toArray()
          for (const { stream, data } of [...events, ...log]) {
            if (stream !== 'a-1' || (data as { n: number }).n > 2) wrong.push({ stream, data })
          }
        }
      })()
      await onReplicaServer('SELECT pg_promote()')
      const promoted = await openStore(replica.url, { schema })
      await promoted.append('a-1', happened(3))
      await promoted.append('b-1', happened(4))
      await promoted.close()
      await until('it is refused', () => status().state === 'refused')
      expect(status().reason).toMatch(/^NOT_A_REPLICA/)
      await pause(200)
      isOver = true
      await reading
      expect(wrong).toEqual([])
      expect(await positionsOf(store.readStream('a-1', { fresh: anyAge }))).toHaveLength(2)
    }, 30_000)
  })
})
