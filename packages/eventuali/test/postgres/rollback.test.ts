import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  migrateStore,
  migrationStatus,
  openStore,
  rollbackStore,
  type Store,
} from '../../src/index.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'

const queries = [
  `SELECT table_name, column_name, data_type, column_default, is_nullable
   FROM information_schema.columns WHERE table_schema = 'eventuali' ORDER BY 1, 2`,
  `SELECT p.proname, pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_namespace n
   ON n.oid = p.pronamespace WHERE n.nspname = 'eventuali' ORDER BY 1`,
  `SELECT viewname, definition FROM pg_views WHERE schemaname = 'eventuali' ORDER BY 1`,
  `SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'eventuali' ORDER BY 1`,
  `SELECT conname, pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN pg_namespace n
   ON n.oid = c.connamespace WHERE n.nspname = 'eventuali' ORDER BY 1`,
  `SELECT sequencename, max_value FROM pg_sequences WHERE schemaname = 'eventuali' ORDER BY 1`,
  `SELECT c.relname, d.objsubid, d.description FROM pg_description d JOIN pg_class c
   ON c.oid = d.objoid JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = 'eventuali' ORDER BY 1, 2`,
  `SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1`,
]

/** All that the schema consists of, as the server tells it. */
async function schemaOf(url: string): Promise<unknown[][]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const found: unknown[][] = []
  for (const query of queries) found.push((await client.query(query)).rows)
  await client.end()
  return found
}

async function fill(store: Store): Promise<void> {
  for (let n = 0; n < 30; n++) {
    await store.append(`cart-${n % 5}`, { type: 'Added', data: { n }, tags: [`n:${n % 2}`] })
  }
  await store.archive('cart-1')
  await store.truncate('cart-2', { before: 3 })
  await store.deleteStream('cart-3')
}

const contentOf = async (store: Store) => ({
  log: await store.readAll({ includeArchived: true }).toArray(),
  streams: await store.streams().toArray(),
})

describe.skipIf(postgresSkipReason() !== undefined)('schemas of a store with data', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  }, 60_000)
  afterAll(() => server?.stop())

  it.each([4, 3, 2, 1])('go back to %i and on again', async (to) => {
    const url = await server.database()
    const store = await openStore(url)
    await fill(store)
    // The trigger is there from the first registration on.
    await store.port.transaction((tx) =>
      tx.inline.register({ name: 'p', version: 1, types: ['Other'] }),
    )
    await store.port.transaction((tx) => tx.inline.unregister('p'))
    const before = await contentOf(store)
    await store.close()
    const whole = await schemaOf(url)
    await rollbackStore(url, { to, dryRun: true })
    expect(await schemaOf(url)).toEqual(whole)
    expect(await rollbackStore(url, { to })).toMatchObject({ from: 5, to })
    const fresh = await server.database()
    await migrateStore(fresh, { to })
    expect(await schemaOf(url)).toEqual(await schemaOf(fresh))
    expect(await migrationStatus(url)).toMatchObject({ version: to, newest: 5 })
    const again = await openStore(url)
    expect(await contentOf(again)).toEqual(before)
    expect((await again.verify()).problems).toEqual([])
    await again.append('cart-0', { type: 'Added', data: { n: 31 } })
    await again.close()
  })

  it('stay where something would be lost, and are only looked at otherwise', async () => {
    const url = await server.database()
    expect(await migrationStatus(url)).toMatchObject({ version: 0, newest: 5 })
    expect(await migrateStore(url, { dryRun: true })).toMatchObject({ from: 0, to: 5 })
    expect((await schemaOf(url)).flat()).toEqual([])
    const store = await openStore(url, { codec: { encoding: 'msgpack' } })
    await store.append('cart-1', { type: 'Added', data: { n: 1 } })
    await store.port.transaction((tx) =>
      tx.records.write([{ kind: 'schema', key: 'Added', expected: 'any', value: 1 }]),
    )
    await store.close()
    const whole = await schemaOf(url)
    const refused = (version: number) => ({ code: 'MIGRATION_IRREVERSIBLE', version })
    await expect(rollbackStore(url, { to: 2 })).rejects.toMatchObject(refused(3))
    await expect(rollbackStore(url, { to: 0 })).rejects.toMatchObject(refused(1))
    expect(await schemaOf(url)).toEqual(whole)
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query(`UPDATE eventuali.events SET codec = 0, data = '{"n":1}', body = NULL`)
    await client.end()
    await expect(rollbackStore(url, { to: 1 })).rejects.toMatchObject(refused(2))
    expect((await migrationStatus(url)).version).toBe(5)
  })
})
