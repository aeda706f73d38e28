import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type PgbouncerServer,
  pgbouncerSkipReason,
  startPgbouncer,
} from '../../../test/servers/pgbouncer.ts'
import {
  type PostgresServer,
  postgresSkipReason,
  startPostgres,
} from '../../../test/servers/postgres.ts'
import { systemClock, systemRandom, uuidV7Source } from '../../kernel/index.ts'
import { bindVitest, eventStoreContract } from '../../testing/index.ts'
import { manifest, openPostgresStore } from './index.ts'

const ids = uuidV7Source(systemClock, systemRandom)
let server: PostgresServer
let pooler: PgbouncerServer

const open = (schema?: string) =>
  openPostgresStore({ url: pooler.url, schema, clock: systemClock, random: systemRandom, ids })

let forks = 0
const forkPlace = () => {
  const into = `fork${++forks}`
  return { into, open: () => open(into) }
}

async function begin() {
  const client = new pg.Client({ connectionString: pooler.url })
  await client.connect()
  await client.query('BEGIN')
  const end = (sql: string) => async (): Promise<void> => {
    await client.query(sql)
    await client.end()
  }
  return { client, commit: end('COMMIT'), rollback: end('ROLLBACK') }
}

const skipped = postgresSkipReason() ?? pgbouncerSkipReason()

describe.skipIf(skipped !== undefined)('behind PgBouncer in transaction mode', () => {
  beforeAll(async () => {
    server = await startPostgres()
    pooler = await startPgbouncer(await server.database())
  }, 60_000)
  afterAll(async () => {
    await pooler?.stop()
    await server?.stop()
  })

  it('the pooler is noticed', async () => {
    const store = await open()
    expect((await store.settings()).pooler).toBe('transaction')
    await store.close()
  })

  bindVitest(eventStoreContract, {
    describe,
    it,
    manifest,
    label: 'PgBouncer',
    make: async () => {
      const store = await open()
      return { store, openAgain: () => open(), begin, forkPlace, dispose: async () => {} }
    },
  })
})
