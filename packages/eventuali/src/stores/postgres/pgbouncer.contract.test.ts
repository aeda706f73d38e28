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
import { bindVitest, eventStoreContract } from '../../testing/index.ts'
import { ContractServer } from './contract.test-support.ts'
import { manifest } from './index.ts'

const place = new ContractServer()
let server: PostgresServer
let pooler: PgbouncerServer

const skipped = postgresSkipReason() ?? pgbouncerSkipReason()

describe.skipIf(skipped !== undefined)('behind PgBouncer in transaction mode', () => {
  beforeAll(async () => {
    server = await startPostgres()
    pooler = await startPgbouncer(await server.database())
    place.url = pooler.url
  }, 60_000)
  afterAll(async () => {
    await pooler?.stop()
    await server?.stop()
  })

  it('the pooler is noticed', async () => {
    const store = await place.open()
    expect((await store.settings()).pooler).toBe('transaction')
    await store.close()
  })

  bindVitest(eventStoreContract, {
    describe,
    it,
    manifest,
    label: 'PgBouncer',
    make: async () => {
      const openAgain = () => place.open()
      return { store: await openAgain(), openAgain, dispose: async () => {}, ...place.parts }
    },
  })
})
