import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openStore } from '../../src/index.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import { foreign } from './setup.ts'

describe.skipIf(postgresSkipReason() !== undefined)('advice for a Postgres store', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  }, 60_000)
  afterAll(() => server?.stop())

  it('is what the server says of the tables, and what is applied is not said again', async () => {
    const url = await server.database()
    await using store = await openStore(url, { schema: 'shop' })
    const client = await foreign(url)
    try {
      await store.append('order-1', { type: 'Placed', data: {} })
      await client.query(`
        INSERT INTO shop.records (kind, key, revision, value)
        SELECT 'filler', n::text, 1, '{}' FROM generate_series(1, 15000) n`)
      const named = async (name: string) =>
        (await store.tune()).find((advice) => advice.name === name)
      await expect
        .poll(() => named('records.analyze'), { timeout: 20_000 })
        .toMatchObject({
          ...{ scope: 'store', applied: false, statement: 'ANALYZE shop.records' },
        })
      const done = await store.tune({ apply: ['records.analyze'] })
      expect(done.find(({ applied }) => applied)?.name).toBe('records.analyze')
      await expect.poll(() => named('records.analyze'), { timeout: 20_000 }).toBeUndefined()
      const timeout = await named('idle_in_transaction_session_timeout')
      expect(timeout).toMatchObject({ scope: 'server', now: 'no bound' })
      const theirs = store.tune({ apply: ['idle_in_transaction_session_timeout'] })
      await expect(theirs).rejects.toThrow(/whoever runs the server decides/)
      expect(await store.readStream('order-1').toArray()).toHaveLength(1)
      expect(await store.tune({ apply: 'all' })).toEqual(await store.tune())
    } finally {
      await client.end()
    }
  })
})
