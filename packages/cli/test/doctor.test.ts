import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type PostgresServer,
  postgresSkipReason,
  startPostgres,
} from '../../eventuali/test/servers/postgres.ts'
import { runCli } from './run-cli.ts'

const nobody = 65534
const isRoot = process.getuid?.() === 0

interface Check {
  readonly name: string
  readonly state: string
  readonly found: string
  readonly advice?: string
}

async function doctor(store: string, uid?: number) {
  const options = uid === undefined ? {} : { uid }
  const { code, out } = await runCli(['doctor', '--no-config', '--json', '-s', store], options)
  const { checks } = JSON.parse(out) as { readonly checks: readonly Check[] }
  return { code, checks: checks.filter(({ name }) => name.startsWith('store ')) }
}

it('doctor tells of a folder that this user may not write to', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-doctor-'))
  const closed = join(folder, 'closed')
  mkdirSync(closed)
  // Nobody may look into it, and nobody is who asks: root may always write.
  chmodSync(folder, 0o755)
  chmodSync(closed, 0o555)
  // Where temporary files go he may not write either, which stops none of the other checks.
  const { code, checks } = await doctor(`sqlite:${closed}/a.db`, isRoot ? nobody : undefined)
  expect(code).toBe(1)
  expect(checks[0]).toMatchObject({
    state: 'problem',
    found: `this user may not write ${closed}`,
    advice: expect.stringContaining('SQLite needs the folder too'),
  })
  chmodSync(closed, 0o755)
  rmSync(folder, { recursive: true, force: true })
})

describe.skipIf(postgresSkipReason() !== undefined)('doctor on PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres({ settings: { fsync: 'on' } })
  })
  afterAll(() => server?.stop())

  const states = (checks: readonly Check[]) => checks.map(({ state }) => state)

  it('looks at the server, and makes nothing in it', async () => {
    const store = await server.database()
    const empty = await doctor(store)
    expect(empty.code).toBe(0)
    expect(states(empty.checks)).toEqual(['ok', 'warning', 'ok', 'ok'])
    expect(empty.checks[0]?.found).toMatch(/^answers, PostgreSQL \d+/)
    expect(empty.checks[1]?.found).toBe('are not there yet')
    expect((await doctor(store)).checks[1]?.found).toBe('are not there yet')
    await runCli(['append', 'a-1', 'A', '1', '--no-config', '-s', store])
    expect(states((await doctor(store)).checks)).toEqual(['ok', 'ok', 'ok', 'ok'])
    const client = new pg.Client(store)
    await client.connect()
    await client.query('CREATE ROLE guest LOGIN')
    await client.end()
    const guest = new URL(store)
    guest.username = 'guest'
    const { code, checks } = await doctor(guest.href)
    expect(code).toBe(1)
    expect(checks[1]?.found).toBe('are there, and this user may not write to them')
  })

  it('tells of settings that lose events', async () => {
    const unsafe = await startPostgres({ settings: { fsync: 'off', full_page_writes: 'off' } })
    const { code, checks } = await doctor(await unsafe.database())
    await unsafe.stop()
    expect(code).toBe(1)
    const problems = checks.filter(({ state }) => state === 'problem')
    expect(problems.map(({ advice }) => advice)).toEqual([
      'ALTER SYSTEM SET fsync = on',
      'ALTER SYSTEM SET full_page_writes = on',
    ])
  })
})
