import { accessSync, constants, existsSync, statfsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Config, isEventualiError, type StorePlace } from 'eventuali'
import { type Check, ok, problem, reasonOf, skipped, warning } from './doctor-check.ts'
import { hasStore, isPostgres, mayWrite, withPostgres } from './postgres-probe.ts'

const MIB = 1024 * 1024
const FREE_BYTES_MIN = 100 * MIB
/** Clocks that differ by less tell nothing: events of one moment may change places, no more. */
const SKEW_MS_MAX = 1000
const POSTGRES_MAJOR_MIN = 15

/** File systems over a network, by the number that `statfs` gives them: NFS, SMB, CIFS, SMB2. */
const networkKinds: ReadonlySet<number> = new Set([0x6969, 0x517b, 0xff534d42, 0xfe534d42])

/** One store of the configuration, or the one that was named; nothing is made. */
export async function checkStore(
  config: Config,
  store: string | undefined,
): Promise<readonly Check[]> {
  let place: StorePlace | undefined
  try {
    place = config.place(store)
  } catch (error) {
    const name = `store ${store ?? ''}`.trim()
    return [problem(name, reasonOf(error), 'mend what it names')]
  }
  if (place === undefined) return []
  const name = `store ${place.name ?? place.shownUrl}`
  if (isPostgres(place.url)) return checkPostgres(place, name)
  const file = /^sqlite:(.+)$/s.exec(place.url)?.[1]
  if (/^(?:memory:|sqlite::memory:$)/.test(place.url)) return [skipped(name, 'lives in memory')]
  if (/^https?:/.test(place.url)) {
    return [skipped(name, 'is behind a server; eventuali health asks it')]
  }
  if (file === undefined) {
    const advice = 'take sqlite:FILE, postgres://…, or http://… for one behind a server'
    return [problem(name, 'is the url of no store that is known here', advice)]
  }
  return checkFile(config, store, resolve(file), name)
}

function mayUse(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

async function checkFile(
  config: Config,
  store: string | undefined,
  file: string,
  name: string,
): Promise<readonly Check[]> {
  const folder = dirname(file)
  if (!existsSync(folder)) {
    return [problem(name, `there is no folder ${folder}`, `make it: mkdir -p ${folder}`)]
  }
  const checks = [checkPermissions(file, folder, name), checkDisk(folder, name)]
  if (!existsSync(file)) {
    const found = `there is no file ${file} yet`
    return [
      ...checks,
      warning(name, found, 'the first append or import makes it, or: eventuali init'),
    ]
  }
  return [...checks, ...(await checkLog(config, store, name))]
}

function checkPermissions(file: string, folder: string, name: string): Check {
  const { R_OK, W_OK, X_OK } = constants
  const paths = [file, `${file}-wal`, `${file}-shm`].filter((path) => existsSync(path))
  const closed = [
    ...paths.filter((path) => !mayUse(path, R_OK | W_OK)),
    ...(mayUse(folder, W_OK | X_OK) ? [] : [folder]),
  ]
  if (closed.length === 0) return ok(`${name}: permissions`, `${folder} takes files`)
  return problem(
    `${name}: permissions`,
    `this user may not write ${closed.join(', ')}`,
    `give it the right; SQLite needs the folder too, for ${file}-wal beside the file`,
  )
}

function checkDisk(folder: string, name: string): Check {
  const at = `${name}: disk`
  const { bavail, bsize, type } = statfsSync(folder)
  if (networkKinds.has(type >>> 0)) {
    return problem(at, `${folder} is a network share`, 'SQLite needs a disk of this machine')
  }
  return checkFree(at, bavail * bsize)
}

/** Whether so many bytes are enough room. */
export function checkFree(at: string, free: number): Check {
  const found = `${Math.floor(free / MIB).toLocaleString('en-US')} MiB free`
  return free >= FREE_BYTES_MIN
    ? ok(at, found)
    : warning(at, found, 'make room; appends are refused when it is full, and nothing is lost')
}

/** Opens the file for reading, and holds its newest event against this clock. */
async function checkLog(
  config: Config,
  store: string | undefined,
  name: string,
): Promise<readonly Check[]> {
  try {
    await using opened = await config.open(store, { readOnly: true, definitions: false })
    const { sqlite_version = '', journal_mode = '' } = await opened.port.settings()
    const [newest] = await opened.readAll({ direction: 'backward', limit: 1 }).toArray()
    const found = `opens, SQLite ${sqlite_version}, ${journal_mode}`
    return [ok(name, found), checkPast(`${name}: clock`, newest?.recordedAt)]
  } catch (error) {
    const code = isEventualiError(error) ? `${error.code}: ` : ''
    return [problem(name, `${code}${reasonOf(error)}`, 'see docs/errors.md for the code')]
  }
}

function checkPast(name: string, newest: Date | undefined): Check {
  if (newest === undefined) return skipped(name, 'no event to compare with')
  const aheadMs = newest.getTime() - Date.now()
  if (aheadMs <= SKEW_MS_MAX) return ok(name, 'the newest event is in the past')
  return warning(
    name,
    `the newest event was recorded ${seconds(aheadMs)} from now`,
    "set this machine's clock; reads by time go by it",
  )
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

interface ServerFacts {
  readonly version: string
  readonly major: number
  readonly skewMs: number
  readonly settings: Readonly<Record<string, unknown>>
  readonly isThere: boolean
  readonly mayMake: boolean
  readonly mayWrite: boolean
}

const FACTS = `SELECT current_setting('server_version') AS version,
    current_setting('server_version_num')::int / 10000 AS major,
    current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit,
    has_database_privilege(current_database(), 'CREATE') AS may_make,
    extract(epoch FROM clock_timestamp()) * 1000 AS now`

async function checkPostgres(place: StorePlace, name: string): Promise<readonly Check[]> {
  let facts: ServerFacts
  try {
    facts = await withPostgres(place, async (client, schema) => {
      // The first statement pays for what the second one finds ready.
      await client.query('SELECT 1')
      const before = Date.now()
      const { rows } = await client.query(FACTS)
      const middle = (before + Date.now()) / 2
      const { version, major, now, may_make, ...settings } = rows[0] ?? {}
      return {
        ...{ version: String(version), major: Number(major), settings },
        skewMs: Number(now) - middle,
        isThere: await hasStore(client, schema),
        mayWrite: await mayWrite(client, schema),
        mayMake: may_make === true,
      }
    })
  } catch (error) {
    return [problem(name, reasonOf(error), 'check the url, the server and the way to it')]
  }
  return [
    facts.major >= POSTGRES_MAJOR_MIN
      ? ok(name, `answers, PostgreSQL ${facts.version}`)
      : warning(name, `PostgreSQL ${facts.version}`, `use ${POSTGRES_MAJOR_MIN} or newer`),
    checkTables(facts, `${name}: tables`),
    ...checkServerSettings(facts.settings, name),
    checkSkew(`${name}: clock`, facts.skewMs),
  ]
}

function checkTables({ isThere, mayMake, mayWrite }: ServerFacts, name: string): Check {
  if (isThere && mayWrite) return ok(name, 'are there, and this user may write to them')
  if (isThere) {
    return problem(
      name,
      'are there, and this user may not write to them',
      'GRANT USAGE ON SCHEMA … and ALL ON ALL TABLES IN SCHEMA … TO …, as their owner',
    )
  }
  const advice = 'the first append or import makes them, or: eventuali init'
  if (mayMake) return warning(name, 'are not there yet', advice)
  return problem(
    name,
    'are not there, and this user may not make them',
    'GRANT CREATE ON DATABASE … TO …, or open the store once as a user who may',
  )
}

const losses: Readonly<Record<string, string>> = {
  fsync: 'a power cut can lose or damage everything',
  full_page_writes: 'a power cut can leave half a page',
}

/** Settings of a server without which acknowledged events can be lost. */
export function checkServerSettings(
  settings: Readonly<Record<string, unknown>>,
  name: string,
): readonly Check[] {
  const off = Object.entries(losses).filter(([setting]) => settings[setting] === 'off')
  const bad = off.map(([setting, loss]) =>
    problem(`${name}: ${setting}`, `off: ${loss}`, `ALTER SYSTEM SET ${setting} = on`),
  )
  return bad.length > 0 ? bad : [ok(`${name}: durability`, 'fsync and full_page_writes are on')]
}

function checkSkew(name: string, skewMs: number): Check {
  const found = `the server's clock is ${seconds(Math.abs(skewMs))} ${skewMs < 0 ? 'behind' : 'ahead'}`
  return Math.abs(skewMs) <= SKEW_MS_MAX
    ? ok(name, found)
    : warning(name, found, 'let both machines follow a time server (NTP)')
}
