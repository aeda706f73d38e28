import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type PostgresServer,
  postgresSkipReason,
  startPostgres,
} from '../../eventuali/test/servers/postgres.ts'
import { type RunResult, runCli } from './run-cli.ts'

const january = join(import.meta.dirname, '../../../examples/data/flights-2013-01.ndjson.gz')

describe.skipIf(postgresSkipReason() !== undefined)('the program on PostgreSQL', () => {
  let server: PostgresServer
  let store: string
  beforeAll(async () => {
    server = await startPostgres()
    store = await server.database()
  })
  afterAll(() => server?.stop())

  const run = (...argv: string[]): Promise<RunResult> => runCli([...argv, '--store', store])

  it('imports the January log twice as once, and its log verifies', async () => {
    const first = await run('import', january, '--json')
    expect(JSON.parse(first.out)).toMatchObject({ events: 80_491, streams: 27_004, skipped: 0 })
    const second = await run('import', january, '--json')
    expect(JSON.parse(second.out)).toMatchObject({ events: 0, streams: 27_004, skipped: 0 })
    const verified = await run('verify')
    const healthy = '80,491 events, 27,004 streams: no problems\n'
    // The program installs no extension of its own accord; it says what it could not look at.
    const unchecked =
      'not checked: the indexes of the database: amcheck is not installed; CREATE EXTENSION amcheck\n'
    expect(verified).toMatchObject({ code: 0, out: unchecked + healthy })
    const client = new pg.Client(store)
    await client.connect()
    await client.query('CREATE EXTENSION amcheck')
    await client.end()
    expect(await run('verify')).toMatchObject({ code: 0, out: healthy })
  }, 240_000)

  it('appends, and shows what is there', async () => {
    const appended = await run('append', 'order-1', 'OrderPlaced', '{"total":30}', '--json')
    expect(JSON.parse(appended.out)).toMatchObject({ stream: 'order-1', version: 1 })
    const shown = await run('query', '--stream', 'order-1', '--json')
    expect(JSON.parse(shown.out)).toMatchObject({ type: 'OrderPlaced', data: { total: 30 } })
    const streams = await run('streams', '--prefix', 'order-', '--json')
    expect(JSON.parse(streams.out)).toMatchObject({ stream: 'order-1', version: 1 })
  })

  it('exports what an import into another store takes', async () => {
    const exported = await run('export', '--stream', 'order-1')
    const other = await server.database()
    const argv = ['import', '-', '--store', other, '--source', 'orders', '--json']
    const imported = await runCli(argv, { input: exported.out })
    expect(JSON.parse(imported.out)).toMatchObject({ events: 1, streams: 1 })
  })

  it('forks into a schema beside', async () => {
    const forked = await run('fork', '--into', 'preview', '--at', '1')
    expect(forked).toMatchObject({ code: 0, err: '' })
    const preview = new URL(store)
    preview.searchParams.set('schema', 'preview')
    const shown = await runCli(['query', '--json', '--store', preview.href])
    expect(shown.out.trim().split('\n')).toHaveLength(1)
  })

  it('says what is wrong with a server that is not there', async () => {
    const away = await runCli(['streams', '--store', 'postgres://127.0.0.1:1/none'])
    expect(away.code).toBe(1)
    expect(away.err).toContain('CONNECTION')
  })
})
