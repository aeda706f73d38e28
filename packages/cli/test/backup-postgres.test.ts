import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from 'eventuali'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { pgbouncerSkipReason, startPgbouncer } from '../../eventuali/test/servers/pgbouncer.ts'
import {
  type PostgresServer,
  postgresSkipReason,
  startPostgres,
  startReplica,
} from '../../eventuali/test/servers/postgres.ts'
import {
  backupsAndRestores,
  migratesAndRollsBack,
  temporaryFolder,
} from '../src/backup-commands.test-support.ts'
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

  it('goes through a pooler in transaction mode, both ways', async (test) => {
    const reason = pgbouncerSkipReason()
    if (reason !== undefined) return test.skip(reason)
    const pooler = await startPgbouncer(server.url)
    onTestFinished(() => pooler.stop())
    const through = async (): Promise<string> => {
      const url = new URL(await server.database())
      url.port = new URL(pooler.url).port
      return url.href
    }
    await backupsAndRestores(await through(), through)
  })

  it('is made of a physical replica, and says what cannot be done there', async (test) => {
    if (server.dataDir === '') return test.skip('a server that is not ours cannot be copied')
    const primary = await server.database()
    const append = (n: number) =>
      run(['append', `cart-${n % 3}`, 'Added', `{"n":${n}}`, '--store', primary])
    for (let n = 0; n < 7; n++) expect((await append(n)).code).toBe(0)
    const replica = await startReplica(server)
    onTestFinished(() => replica.stop())
    const url = new URL(primary)
    url.port = String(replica.port)
    const there = ['--store', url.href]
    const newest = async () =>
      (await run(['query', '--json', '--reverse', '-n', '1', ...there])).out.match(/"n":\d+/)?.[0]
    /** As programs do that read the log on the primary. */
    const proved = async (position: number) => {
      await using store = await openStore(primary)
      await store.caughtUp(position)
    }
    const folder = temporaryFolder()
    // Nobody has proved on the primary yet what is safe.
    const early = await run(['backup', '--out', join(folder, 'early'), ...there])
    expect(early).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^0 events up to position 0/),
    })
    expect(early.err).toContain('the store goes up to position 7; what lies above 0')
    await proved(7)
    await expect.poll(newest, { timeout: 20_000 }).toBe('"n":6')
    const full = await run(['backup', '--out', folder, '--json', ...there])
    expect(full).toMatchObject({ code: 0, err: '' })
    expect(JSON.parse(full.out)).toMatchObject({ events: 7, upTo: 7 })
    for (let n = 7; n < 9; n++) await append(n)
    await proved(9)
    await expect.poll(newest, { timeout: 20_000 }).toBe('"n":8')
    // What goes on is the same log, wherever it is read.
    const next = await run(['backup', '--out', folder, '--incremental', '--json', ...there])
    expect(JSON.parse(next.out)).toMatchObject({ events: 2, from: 7, upTo: 9 })
    const again = await server.database()
    const restored = await run(['restore', folder, '--store', again])
    expect(restored).toMatchObject({ code: 0, out: expect.stringContaining('no problems') })
    const exported = async (place: string) => (await run(['export', '--store', place])).out
    expect(await exported(again)).toBe(await exported(primary))
    const refused = await run(['append', 'cart-1', 'Added', '{}', ...there])
    expect(refused).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining('is a replica'),
    })
  })

  it('shows, makes and takes back the schema migrations of a store', async () => {
    await migratesAndRollsBack(await server.database(), 5)
  })
})
