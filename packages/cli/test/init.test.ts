import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type PostgresServer,
  postgresSkipReason,
  startPostgres,
} from '../../eventuali/test/servers/postgres.ts'
import { runCli } from './run-cli.ts'

const root = join(import.meta.dirname, '../../..')
const run = promisify(execFile)
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventuali-init-'))
  // What npm install would bring.
  mkdirSync(join(folder, 'node_modules/@types'), { recursive: true })
  symlinkSync(join(root, 'packages/eventuali'), join(folder, 'node_modules/eventuali'))
  symlinkSync(join(root, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('what init writes', () => {
  it('passes its own test, its types hold, and commands work with it', async () => {
    const made = await runCli(['init', '--yes', '--aggregate', 'lineItem'], {
      cwd: folder,
      input: '',
    })
    expect(made).toMatchObject({ code: 0 })
    const tested = await run(process.execPath, ['--test', 'src/line-item.test.ts'], { cwd: folder })
    expect(tested.stdout).toMatch(/pass 2\b/)
    expect(tested.stdout).toMatch(/fail 0\b/)
    const compiler = join(root, 'node_modules/typescript/bin/tsc')
    const checked = await run(process.execPath, [compiler, '-p', '.'], { cwd: folder })
    expect(checked).toEqual({ stdout: '', stderr: '' })

    const append = ['append', 'lineItem-1', 'LineItemOpened', '{"title":"first"}']
    expect(await runCli(append, { cwd: join(folder, 'src') })).toMatchObject({ code: 0, err: '' })
    const wrong = await runCli(['append', 'lineItem-1', 'LineItemOpend', '{}'], { cwd: folder })
    expect(wrong.err).toContain('EVENT_TYPE_UNKNOWN')
    const shown = await runCli(['query', '--json'], { cwd: folder })
    expect(JSON.parse(shown.out)).toMatchObject({ stream: 'lineItem-1', type: 'LineItemOpened' })
  })
})

describe.skipIf(postgresSkipReason() !== undefined)('init on PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server?.stop())

  const other = (name: string) => join(folder, name)

  it('writes no password, makes the store, and leaves an existing one alone', async () => {
    const url = new URL(await server.database())
    url.password = 'hunter2'
    const env = { DB_PASSWORD: 'hunter2' }
    mkdirSync(other('a'))
    const made = await runCli(['init', '--yes', '-s', url.href], {
      cwd: other('a'),
      input: '',
      env,
    })
    expect(made).toMatchObject({ code: 0 })
    expect(made.out + made.err).not.toContain('hunter2')
    const config = readFileSync(join(other('a'), 'eventuali.config.ts'), 'utf8')
    expect(config).not.toContain('hunter2')
    expect(config).toContain(`:\${secret('env:DB_PASSWORD')}@`)
    const append = ['append', 'order-1', 'OrderOpened', '{"title":"first"}']
    expect(await runCli(append, { cwd: other('a'), env })).toMatchObject({ code: 0, err: '' })
    mkdirSync(other('b'))
    const again = await runCli(['init', '--yes', '-s', url.href], { cwd: other('b'), input: '' })
    expect(again).toMatchObject({ code: 1, out: '' })
    expect(again.err).toContain('init touches nothing that exists')
    expect(readdirSync(other('b'))).toEqual([])
  })

  it('leaves no schema behind when it fails', async () => {
    const url = await server.database()
    const client = new pg.Client(url)
    await client.connect()
    // Opening a store makes a function after its tables: here it may not.
    await client.query(`CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'not here'; END $$`)
    await client.query(`CREATE EVENT TRIGGER refuse ON ddl_command_end
      WHEN TAG IN ('CREATE FUNCTION') EXECUTE FUNCTION refuse()`)
    mkdirSync(other('c'))
    const failed = await runCli(['init', '--yes', '-s', url], { cwd: other('c'), input: '' })
    expect(failed.code).toBe(1)
    expect(failed.err).toContain('not here')
    expect(readdirSync(other('c'))).toEqual([])
    const found = await client.query("SELECT 1 FROM pg_namespace WHERE nspname = 'eventuali'")
    expect(found.rows).toEqual([])
    await client.end()
  })
})
