import { readFileSync } from 'node:fs'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import { foreign, one, open, readAll } from './setup.ts'

/** A store of schema 1 with data, as a released library wrote it and pg_dump keeps it. */
const schemaV1 = readFileSync(new URL('./fixtures/schema-v1.sql', import.meta.url), 'utf8')

describe.skipIf(postgresSkipReason() !== undefined)('a store of schema 1', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  }, 60_000)
  afterAll(() => server?.stop())

  async function restored(): Promise<string> {
    const url = await server.database()
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query(schemaV1)
    await client.end()
    return url
  }

  it('keeps every event over the migration, and takes what schema 2 brings', async () => {
    const url = await restored()
    const store = await open({ url })
    const events = []
    const everything = { direction: 'forward', upTo: Number.MAX_SAFE_INTEGER } as const
    for await (const page of store.readLog({ ...everything, includeArchived: true })) {
      events.push(...page.map(({ stream, version, type }) => `${stream}@${version} ${type}`))
    }
    expect(events).toMatchSnapshot()
    for await (const fault of store.faults()) expect(fault).toBeUndefined()
    const given = await store.eventById('order-1', 'given-1')
    expect(given).toMatchObject({ type: 'OrderPaid', data: { cents: 1000 }, version: 3 })

    const { newest } = await store.positions()
    const outcome = await store.append(one('order-1', { expectedVersion: 3 }))
    expect(outcome).toMatchObject({ ok: true, entries: [{ version: 4, positions: [newest + 1] }] })
    await store.transaction(async (tx) => {
      await tx.records.write([{ kind: 'k', key: 'a', expected: 0, value: [1] }])
      await tx.inline.register({ name: 'p', version: 1, types: ['Happened'] })
    })
    expect(await store.records.get('k', ['a'])).toMatchObject([{ revision: 1, value: [1] }])
    expect(await store.append(one('order-1'))).toMatchObject({ reason: 'projection-missing' })
    await store.close()
  })

  it('is migrated once when several open it at the same time', async () => {
    const url = await restored()
    const stores = await Promise.all(Array.from({ length: 4 }, () => open({ url })))
    const client = await foreign(url)
    const { rows } = await client.query(
      `SELECT value FROM eventuali.meta WHERE key = 'schema_version'`,
    )
    await client.end()
    expect(rows).toEqual([{ value: '5' }])
    for (const store of stores) expect(await readAll(store)).toHaveLength(11)
    await Promise.all(stores.map((store) => store.close()))
  })
})
