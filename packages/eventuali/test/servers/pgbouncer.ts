import { execFileSync, spawn } from 'node:child_process'
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'

/** A PgBouncer in transaction mode before a PostgreSQL. */
export interface PgbouncerServer {
  /** Url of the same database through the pooler. */
  readonly url: string
  stop(): Promise<void>
}

const nobody = 65534
const startTimeoutMs = 10_000

/** Why tests behind a pooler cannot run here, said loudly; in CI that is an error. */
export function pgbouncerSkipReason(): string | undefined {
  try {
    execFileSync('pgbouncer', ['--version'], { stdio: 'pipe' })
    return undefined
  } catch {
    const reason = 'no PgBouncer: install it ("apt-get install pgbouncer")'
    if (process.env.CI === 'true') throw new Error(reason)
    console.warn(`\n*** SKIPPED: ${reason} ***\n`)
    return reason
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      probe.close(() => resolve(port))
    })
  })
}

/** Starts a pooler before the server of the url. */
export async function startPgbouncer(
  serverUrl: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<PgbouncerServer> {
  const target = new URL(serverUrl)
  const home = mkdtempSync(join(tmpdir(), 'eventuali-pgbouncer-'))
  const port = await freePort()
  const file = join(home, 'pgbouncer.ini')
  const all: Record<string, string> = {
    listen_addr: '127.0.0.1',
    listen_port: String(port),
    unix_socket_dir: home,
    auth_type: 'any',
    pool_mode: 'transaction',
    default_pool_size: '12',
    max_client_conn: '400',
    logfile: join(home, 'pgbouncer.log'),
    ...settings,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}\n`)
  const user = target.username === '' ? 'postgres' : target.username
  const to = `host=${target.hostname} port=${target.port} user=${user}`
  writeFileSync(file, `[databases]\n* = ${to}\n[pgbouncer]\n${lines.join('')}`)
  const asRoot = process.getuid?.() === 0
  if (asRoot) chownSync(home, nobody, nobody)
  const drop = ['--reuid', String(nobody), '--regid', String(nobody), '--clear-groups']
  const child = asRoot
    ? spawn('setpriv', [...drop, '--pdeathsig', 'KILL', 'pgbouncer', '-q', file], {
        stdio: 'ignore',
      })
    : spawn('pgbouncer', ['-q', file], { stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => void child.once('exit', () => resolve()))
  const onExit = (): void => void child.kill('SIGKILL')
  process.on('exit', onExit)
  const through = new URL(serverUrl)
  through.hostname = '127.0.0.1'
  through.port = String(port)
  const url = through.href
  const until = Date.now() + startTimeoutMs
  while (!(await answers(url))) {
    if (Date.now() > until) throw new Error('PgBouncer did not start')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return {
    url,
    stop: async () => {
      process.off('exit', onExit)
      child.kill('SIGKILL')
      await ended
      rmSync(home, { recursive: true, force: true })
    },
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('SELECT 1')
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => {})
  }
}
