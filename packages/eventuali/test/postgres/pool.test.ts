import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openStore } from '../../src/index.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import { foreign, pause } from './setup.ts'

const happened = { type: 'Happened', data: { n: 1 } }

describe.skipIf(postgresSkipReason() !== undefined)('connections in lanes', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  }, 60_000)
  afterAll(() => server?.stop())

  it('readers that hang keep no append, subscriber or transaction waiting', async () => {
    const url = await server.database()
    await using store = await openStore(url, { poolSize: { reads: 2 }, acquireTimeoutMs: 400 })
    await store.append('thing-1', happened)
    const client = await foreign(url)
    try {
      // Appends and followers do not look at this table; these reads wait for it.
      await client.query('BEGIN; LOCK TABLE eventuali.records IN ACCESS EXCLUSIVE MODE')
      const hanging = [1, 2].map((n) => store.port.records.get('checkpoint', [`${n}`]))
      while (store.pool.reads.inUse < 2) await pause(5)
      const third = store.port.records.get('checkpoint', ['3'])
      await expect(third).rejects.toMatchObject({ code: 'TIMEOUT', message: /reads lane/ })

      const seen: number[] = []
      const subscription = store.subscribe({ after: 0 }, ({ position }) => void seen.push(position))
      for (let n = 0; n < 20; n++) await store.append('thing-1', happened)
      await store.transaction((tx) => tx.append('thing-2', happened))
      while (seen.length < 22) await pause(5)
      await subscription.stop()
      expect(seen).toEqual(seen.toSorted((a, b) => a - b))

      const { appends, reads, subscriptions, transactions } = store.pool
      expect(reads).toMatchObject({ size: 2, inUse: 2, waits: 1, timeouts: 1 })
      expect([appends.waits, subscriptions.waits, transactions.waits]).toEqual([0, 0, 0])
      expect(Math.min(appends.acquired, subscriptions.acquired)).toBeGreaterThan(0)
      expect(transactions.acquired).toBe(1)
      await client.query('ROLLBACK')
      await Promise.all(hanging)
      expect(store.pool.reads).toMatchObject({ inUse: 0, waiting: 0 })
    } finally {
      await client.end()
    }
  })

  it('more callers than connections take turns, and all are served', async () => {
    const url = await server.database()
    await using store = await openStore(url, { poolSize: 2 })
    await store.append('thing-1', happened)
    const reads = Array.from({ length: 40 }, () => store.readStream('thing-1').toArray())
    expect((await Promise.all(reads)).every((events) => events.length === 1)).toBe(true)
    const { waits, timeouts, inUse } = store.pool.reads
    expect([waits > 0, timeouts, inUse]).toEqual([true, 0, 0])
    const { rows } = await store.transaction(async (tx) => {
      const sql = tx.sql as { query(text: string): Promise<{ rows: { count: string }[] }> }
      const mine = "application_name = 'eventuali' AND datname = current_database()"
      return sql.query(`SELECT count(*) FROM pg_stat_activity WHERE ${mine}`)
    })
    // Two for reads, one for the transaction, some for appends and for those who follow the log.
    expect(Number(rows[0]?.count)).toBeLessThanOrEqual(2 + 1 + 6 + 1 + 2)
  })
})

it('stores without a pool say so', async () => {
  await using store = await openStore('memory:')
  expect(() => store.pool).toThrow(/has no pool/)
})
