import { manifest } from 'eventuali/client'
import { bindVitest, checkpointContract, eventStoreContract } from 'eventuali/testing'
import { afterAll, describe, it } from 'vitest'
import {
  type PostgresServer,
  postgresSkipReason,
  startPostgres,
} from '../../eventuali/test/servers/postgres.ts'
import { served } from '../src/client.test-support.ts'

describe.skipIf(postgresSkipReason() !== undefined)('over the wire, PostgreSQL behind it', () => {
  let postgres: PostgresServer | undefined
  let server: ReturnType<typeof served> | undefined
  const start = async () => {
    postgres = await startPostgres()
    return served(await postgres.database())
  }
  afterAll(async () => {
    await (await server)?.close()
    await postgres?.stop()
  })
  for (const contract of [eventStoreContract, checkpointContract()]) {
    bindVitest(contract, {
      ...{ describe, it, manifest, label: 'PostgreSQL behind it' },
      make: async () => {
        server ??= start()
        const { open } = await server
        return { store: await open(), openAgain: open, dispose: async () => {} }
      },
    })
  }
})
