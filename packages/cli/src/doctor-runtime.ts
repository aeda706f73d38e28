import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { isEventualiError, openStore } from 'eventuali'
import { type Check, ok, problem, reasonOf, skipped, warning } from './doctor-check.ts'
import { libraryRequire } from './postgres-probe.ts'

type Numbers = readonly [major: number, minor: number, patch: number]

function numbersOf(version: string): Numbers {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.+-]/).map(Number)
  return [major, minor, patch]
}

function isAtLeast(version: string, least: Numbers): boolean {
  const found = numbersOf(version)
  for (const at of [0, 1, 2] as const) {
    if (found[at] !== least[at]) return found[at] > least[at]
  }
  return true
}

const nodeAdvice =
  'use Node 22.22.3 or newer of line 22, or 24.15 or newer: older ones bring an SQLite that can lose commits'

/** Whether Node is one that the library is made for. */
export function checkNode(version: string): Check {
  const [major] = numbersOf(version)
  const isGood = major === 22 ? isAtLeast(version, [22, 22, 3]) : isAtLeast(version, [24, 15, 0])
  return isGood ? ok('node', version) : warning('node', version, nodeAdvice)
}

/** Writes an event through SQLite as the stores do, and reads it again. */
export async function checkSqlite(
  driver: 'node:sqlite' | 'better-sqlite3',
  isNeeded: boolean,
): Promise<Check> {
  const name = `sqlite (${driver})`
  let folder: string
  try {
    folder = await mkdtemp(join(tmpdir(), 'eventuali-doctor-'))
  } catch {
    const found = `not tried: this user may not write to ${tmpdir()}`
    return warning(name, found, 'set TMPDIR to a folder for temporary files')
  }
  try {
    await using store = await openStore(`sqlite:${join(folder, 'probe.db')}`, { driver })
    await store.append('probe-1', { type: 'Probed', data: {} })
    const events = await store.readStream('probe-1').toArray()
    const { sqlite_version: version = '' } = await store.port.settings()
    if (events.length === 1) return ok(name, `${version}, writes and reads`)
    return problem(name, `${version} lost an event that it acknowledged`, nodeAdvice)
  } catch (error) {
    const isOld =
      isEventualiError(error, 'SQLITE_UNSAFE') || isEventualiError(error, 'STORE_READ_ONLY')
    const advice = isOld ? nodeAdvice : `see whether ${tmpdir()} takes files`
    return (isNeeded ? problem : warning)(name, reasonOf(error), advice)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Packages that stores and codecs load when they are asked for. */
export function checkDrivers(needed: ReadonlySet<string>): readonly Check[] {
  const { peerDependencies } = libraryRequire('eventuali/package.json') as {
    readonly peerDependencies: Readonly<Record<string, string>>
  }
  return Object.entries(peerDependencies).map(([driver, range]) =>
    checkDriver(driver, range, needed.has(driver)),
  )
}

function checkDriver(driver: string, range: string, isNeeded: boolean): Check {
  const name = `package ${driver}`
  const install = `npm install ${driver}@${range}`
  const version = versionOf(driver)
  if (version === undefined) {
    return isNeeded
      ? problem(name, 'is needed here, and not installed', install)
      : skipped(name, 'not installed, and not needed here')
  }
  if (!isInRange(version, range)) {
    const found = `${version} is not in ${range}`
    return isNeeded ? problem(name, found, install) : warning(name, found, install)
  }
  try {
    libraryRequire(driver)
    return ok(name, version)
  } catch (error) {
    const found = `${version} does not load: ${reasonOf(error)}`
    const advice = `install it anew: ${install}`
    return isNeeded ? problem(name, found, advice) : warning(name, found, advice)
  }
}

/** `^8.16.0`: the same first number, and no older. */
export function isInRange(version: string, range: string): boolean {
  const least = numbersOf(range.replace('^', ''))
  return numbersOf(version)[0] === least[0] && isAtLeast(version, least)
}

function versionOf(driver: string): string | undefined {
  let entry: string
  try {
    entry = libraryRequire.resolve(driver)
  } catch {
    return undefined
  }
  // Its package.json may be closed to the outside; it is above what is loaded.
  for (let at = dirname(entry); dirname(at) !== at; at = dirname(at)) {
    const file = join(at, 'package.json')
    if (!existsSync(file)) continue
    const { name, version } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>
    if (name === driver) return version
  }
  return undefined
}

/** Definitions that are made by one copy of the library are none to another one. */
export function checkCopies(configFile: string): Check {
  const name = 'copies of eventuali'
  const own = realpathSync(libraryRequire.resolve('eventuali/package.json'))
  let theirs: string
  try {
    theirs = realpathSync(createRequire(configFile).resolve('eventuali/package.json'))
  } catch {
    return skipped(name, `${configFile} has none beside it`)
  }
  if (own === theirs) return ok(name, 'the configuration and this program use the same one')
  return problem(
    name,
    `the configuration uses ${dirname(theirs)}, this program ${dirname(own)}`,
    'run the command that is installed beside the configuration (npx eventuali), or: npm dedupe',
  )
}
