import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from 'eventuali'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type PostgresServer,
  postgresSkipReason,
  startPostgres,
} from '../../eventuali/test/servers/postgres.ts'
import { backupsAndRestores, migratesAndRollsBack } from '../src/backup-commands.test-support.ts'
import { run } from '../src/run.test-support.ts'

describe.skipIf(postgresSkipReason() !== undefined)('backups and schemas of PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  }, 60_000)
  afterAll(() => server?.stop())

  it('backs a store up and restores it', async () => {
    await backupsAndRestores(await server.database(), () => server.database())
  })

  it('leaves copies of files to the server', async () => {
    const url = await server.database()
    await (await openStore(url)).close()
    const out = join(tmpdir(), 'eventuali-never-made')
    const refused = await run(['backup', '--store', url, '--out', out, '--physical'])
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('pg_basebackup') })
  })

  it('shows, makes and takes back the schema migrations of a store', async () => {
    await migratesAndRollsBack(await server.database(), 4)
  })
})
