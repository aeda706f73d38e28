import { drizzle } from 'drizzle-orm/node-postgres'
import { integer, pgTable, text } from 'drizzle-orm/pg-core'
import { Kysely, PostgresDialect } from 'kysely'
import type { PoolClient } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openStore, type Store } from '../../src/index.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import { foreign } from './setup.ts'

const placed = { type: 'OrderPlaced', data: { total: 30 } }
const orders = pgTable('orders', { id: text().primaryKey(), total: integer() })

function kyselyOn(client: PoolClient): Kysely<{ orders: { id: string; total: number } }> {
  const lent = { query: client.query.bind(client), release: () => {} } as unknown as PoolClient
  const pool = { options: {}, connect: async () => lent, end: async () => {} }
  return new Kysely({ dialect: new PostgresDialect({ pool }) })
}

// The recipes of docs/guide/sql.md, where they need a server.
describe.skipIf(postgresSkipReason() !== undefined)('own tables in the same transaction', () => {
  let server: PostgresServer
  let url: string
  let store: Store
  beforeAll(async () => {
    server = await startPostgres()
    url = await server.database()
    store = await openStore(url)
    const client = await foreign(url)
    await client.query('CREATE TABLE orders (id text PRIMARY KEY, total integer)')
    await client.end()
  }, 60_000)
  afterAll(async () => {
    await store?.close()
    await server?.stop()
  })

  const count = async (id: string): Promise<number> => {
    const client = await foreign(url)
    const { rowCount } = await client.query('SELECT 1 FROM orders WHERE id = $1', [id])
    await client.end()
    return rowCount ?? 0
  }

  it('commits what Kysely and Drizzle write together with the events', async () => {
    await store.transaction(async (tx) => {
      const client = tx.sql as PoolClient
      await tx.append('order-1', placed)
      await kyselyOn(client).insertInto('orders').values({ id: 'kysely', total: 30 }).execute()
      await drizzle({ client }).insert(orders).values({ id: 'drizzle', total: 30 })
    })
    expect(await store.stream('order-1')).toMatchObject({ version: 1 })
    expect(await count('kysely')).toBe(1)
    expect(await count('drizzle')).toBe(1)
  })

  it('rolls both back together', async () => {
    const failed = store.transaction(async (tx) => {
      await tx.append('order-2', placed)
      await drizzle({ client: tx.sql as PoolClient })
        .insert(orders)
        .values({ id: 'gone', total: 30 })
      throw new Error('no')
    })
    await expect(failed).rejects.toThrow('no')
    expect(await store.stream('order-2')).toBeUndefined()
    expect(await count('gone')).toBe(0)
  })

  it('joins a transaction that the caller began', async () => {
    const client = await foreign(url)
    await client.query('BEGIN')
    await client.query("INSERT INTO orders VALUES ('within', 1)")
    const result = await store.append('order-3', placed, { within: client })
    expect(result.version).toBe(1)
    expect(await store.stream('order-3')).toBeUndefined()
    await client.query('COMMIT')
    await client.end()
    expect(await store.stream('order-3')).toMatchObject({ version: 1 })
    await store.caughtUp(result.position, { timeoutMs: 5000 })
  })
})
