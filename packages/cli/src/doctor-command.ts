import { Command } from 'commander'
import { type Config, isEventualiError } from 'eventuali'
import { jsonOption, storeOption } from './arguments.ts'
import { type Check, ok, problem, reasonOf, warning } from './doctor-check.ts'
import { checkCopies, checkDrivers, checkNode, checkSqlite } from './doctor-runtime.ts'
import { checkStore } from './doctor-store.ts'
import { SilentFailure } from './exit-codes.ts'
import { counted } from './numbers.ts'
import { isPostgres } from './postgres-probe.ts'
import type { Session } from './session.ts'
import { harmless } from './text-width.ts'

interface DoctorFlags {
  readonly store?: string
  readonly json?: boolean
}

/** `doctor` */
export function doctorCommand(session: Session): Command {
  return new Command('doctor')
    .description('check Node, drivers, the configuration and the stores; say what to do')
    .addOption(storeOption())
    .addOption(jsonOption('everything as one line of JSON'))
    .addHelpText('after', EXAMPLES)
    .action((flags: DoctorFlags) => runDoctor(session, flags))
}

const EXAMPLES = `
Looks at every store of the configuration, or at the one that is named, and makes none. Ends with 1
when there is a problem; warnings do not count.

Examples:
  eventuali doctor
  eventuali doctor --store postgres://app@db/shop --json
`

async function runDoctor(session: Session, flags: DoctorFlags): Promise<void> {
  const checks: Check[] = []
  const config = await configOf(session, checks)
  const stores = config === undefined ? [] : storesOf(config, flags.store)
  const needed = config === undefined ? new Set<string>() : neededBy(config, stores)
  const drivers = checkDrivers(needed)
  const sqlite = [await checkSqlite('node:sqlite', needed.has('node:sqlite'))]
  if (needed.has('better-sqlite3')) sqlite.push(await checkSqlite('better-sqlite3', true))
  const found = [checkNode(process.versions.node), ...sqlite, ...drivers, ...checks]
  if (config !== undefined) {
    for (const store of stores) {
      session.signal.throwIfAborted()
      found.push(...(await checkStore(config, store)))
    }
    if (stores.length === 0) found.push(noStore)
  }
  const isOk = found.every(({ state }) => state !== 'problem')
  await session.output.write(
    flags.json === true ? `${JSON.stringify({ ok: isOk, checks: found })}\n` : textOf(found),
  )
  if (!isOk) throw new SilentFailure()
}

const noStore = warning(
  'store',
  'none is named',
  'give --store URL, set EVENTUALI_STORE, or begin with: eventuali init',
)

async function configOf(session: Session, checks: Check[]): Promise<Config | undefined> {
  try {
    const config = await session.config()
    checks.push(ok('configuration', config.file ?? 'no file'))
    for (const text of config.warnings) {
      checks.push(warning('configuration', text, 'see eventuali config for the names'))
    }
    if (config.file !== undefined) checks.push(checkCopies(config.file))
    return config
  } catch (error) {
    if (!isEventualiError(error)) throw error
    checks.push(problem('configuration', reasonOf(error), 'mend what it names; see: docs config'))
    return undefined
  }
}

/** The default store and all named ones, each once; or only the one that is asked for. */
function storesOf(config: Config, store: string | undefined): readonly (string | undefined)[] {
  if (store !== undefined) return [store]
  const names = config.storeNames
  const own = placeIn(config, undefined)
  const isNamed = own?.name !== undefined && names.includes(own.name)
  const hasOwn = config.sourceOf('store') !== undefined
  return hasOwn && !isNamed ? [undefined, ...names] : names
}

/** Where a store is; undefined when a secret is missing, which is told with the store. */
function placeIn(config: Config, store: string | undefined) {
  try {
    return config.place(store)
  } catch {
    return undefined
  }
}

function neededBy(config: Config, stores: readonly (string | undefined)[]): ReadonlySet<string> {
  const needed = new Set<string>()
  for (const store of stores) {
    const place = placeIn(config, store)
    if (place === undefined) continue
    const { driver, codec } = place.options
    if (isPostgres(place.url)) needed.add('pg')
    else if (place.url !== 'memory:') needed.add(driver ?? 'node:sqlite')
    if (codec?.encoding === 'msgpack') needed.add('msgpackr')
    const compression = codec?.compress?.with
    if (compression === 'lz4') needed.add('lz4-napi')
    if (compression === 'snappy') needed.add('snappy')
  }
  return needed
}

const marks = { ok: 'ok', skipped: '-', warning: 'warning', problem: 'PROBLEM' } as const
const MARK_WIDTH = 9

/** The checks as people read them. */
export function textOf(checks: readonly Check[]): string {
  const lines = checks.flatMap(({ name, state, found, advice }) => {
    const [first = '', ...rest] = found.split('\n')
    return [
      `${marks[state].padEnd(MARK_WIDTH)}${harmless(`${name}: ${first}`)}`,
      ...rest.map((line) => `${' '.repeat(MARK_WIDTH)}${harmless(line)}`),
      ...(advice === undefined ? [] : [`${' '.repeat(MARK_WIDTH)}-> ${harmless(advice)}`]),
    ]
  })
  const count = (state: Check['state']) => checks.filter((one) => one.state === state).length
  const sum = `${counted(count('problem'), 'problem')}, ${counted(count('warning'), 'warning')}`
  return `${[...lines, sum].join('\n')}\n`
}
