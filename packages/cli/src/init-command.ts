import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { Command } from 'commander'
import { type Config, loadConfig, type StorePlace } from 'eventuali'
import { jsonOption, storeOption } from './arguments.ts'
import { yesOption } from './confirm.ts'
import { Created } from './created.ts'
import { Refused, UsageError } from './exit-codes.ts'
import {
  AGGREGATE,
  aggregateRule,
  askChoice,
  askToWrite,
  choiceDefaults,
  type InitChoice,
} from './init-questions.ts'
import {
  aggregateText,
  configText,
  fileName,
  type InitNames,
  packageText,
  testText,
  tsconfigText,
} from './init-templates.ts'
import {
  dropUnused,
  hasSchema,
  hasStore,
  isPostgres,
  libraryVersion,
  withPostgres,
} from './postgres-probe.ts'
import type { Session } from './session.ts'

interface InitFlags {
  readonly store?: string
  readonly aggregate?: string
  readonly yes?: boolean
  readonly json?: boolean
}

/** `init` */
export function initCommand(session: Session): Command {
  return new Command('init')
    .description('begin: a configuration, an aggregate with a test, and an empty store')
    .argument('[folder]', 'where; this folder when left out')
    .addOption(storeOption())
    .option('--aggregate <name>', 'name of the example, order when left out')
    .addOption(yesOption())
    .addOption(jsonOption('what was written, as one line of JSON'))
    .addHelpText('after', EXAMPLES)
    .action((folder: string | undefined, flags: InitFlags) => runInit(session, folder, flags))
}

const EXAMPLES = `
Asks at a terminal; --yes takes the defaults. What exists is never touched: when any of the files or
the store is there, nothing is written. A password in the url is not written either, but a reference
to the environment variable DB_PASSWORD.

Examples:
  eventuali init
  eventuali init shop --store sqlite:shop.db --aggregate order --yes
`

/** Everything that is going to be made. */
interface InitPlan {
  readonly folder: string
  readonly place: StorePlace
  readonly config: Config
  readonly files: readonly { readonly path: string; readonly content: string }[]
  readonly names: InitNames
}

async function runInit(session: Session, given = '.', flags: InitFlags): Promise<void> {
  const folder = resolve(session.io.cwd ?? process.cwd(), given)
  const { aggregate } = flags
  const store = flags.store ?? (session.io.env.EVENTUALI_STORE || undefined)
  if (aggregate !== undefined && !AGGREGATE.test(aggregate)) {
    throw new UsageError(`--aggregate ${JSON.stringify(aggregate)} is no name: ${aggregateRule}`)
  }
  const asks = flags.yes !== true
  if (asks && session.io.stdin.isTTY !== true) {
    throw new Refused('nobody can be asked here; give --yes to take the defaults')
  }
  const known = { ...(store && { store }), ...(aggregate && { aggregate }) }
  const choice = asks ? await askChoice(session, known) : { ...choiceDefaults, ...known }
  const plan = await planOf(session, folder, choice)
  const isNewSchema = await assertNew(plan)
  if (asks) await askToWrite(session, listOf(plan))
  await write(session, plan, isNewSchema)
  await report(session, plan, flags.json === true)
}

async function planOf(session: Session, folder: string, choice: InitChoice): Promise<InitPlan> {
  // Only secrets come from the environment: what is written must hold without it.
  const env = onlyForeign(session.io.env)
  const flags = { store: choice.store }
  const config = await loadConfig({ file: false, env, cwd: folder, flags })
  const place = config.place()
  if (place === undefined) throw new UsageError('which store? Give --store URL')
  if (!/^(sqlite|postgres(ql)?):/.test(place.url) || place.url === 'sqlite::memory:') {
    throw new UsageError('a store that stays is sqlite:FILE or postgres://…')
  }
  const found = nearest(folder, 'package.json')
  const ending = found !== undefined && typeIn(found) === 'commonjs' ? 'mts' : 'ts'
  const names = { aggregate: choice.aggregate, ending, ...storeCode(choice.store) } as const
  const source = join(folder, 'src', fileName(choice.aggregate))
  const files = [
    { path: join(folder, `eventuali.config.${ending}`), content: configText(names) },
    { path: `${source}.${ending}`, content: aggregateText(names) },
    { path: `${source}.test.${ending}`, content: testText(names) },
  ]
  if (found === undefined) {
    files.push({ path: join(folder, 'package.json'), content: packageText(libraryVersion()) })
    if (nearest(folder, 'tsconfig.json') === undefined) {
      files.push({ path: join(folder, 'tsconfig.json'), content: tsconfigText() })
    }
  }
  return { folder, place, config, files, names }
}

function onlyForeign(env: Readonly<Record<string, string | undefined>>) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('EVENTUALI_')))
}

function nearest(folder: string, name: string): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, name))) return join(at, name)
    if (dirname(at) === at) return undefined
  }
}

function typeIn(file: string): unknown {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { readonly type?: unknown }).type
  } catch {
    throw new Refused(`${file} is not JSON; mend it first`)
  }
}

/** The url as TypeScript; a password becomes a reference. */
function storeCode(url: string): { readonly store: string; readonly hasSecret: boolean } {
  if (/[?&][^=&]*password=(?!\$\{)/i.test(url)) {
    throw new UsageError(`give the password before the @ of the url, or as \${env:NAME}`)
  }
  const safe = url.replace(/^([a-z]+:\/\/[^:/?#@]*):((?:(?!\$\{).)+)@/i, `$1:\${env:DB_PASSWORD}@`)
  const parts = safe.split(/(\$\{(?:env|file):[^{}]+\})/)
  const hasSecret = parts.length > 1
  if (!hasSecret) return { store: `'${url.replace(/[\\']/g, '\\$&')}'`, hasSecret }
  const code = parts.map((part, at) =>
    at % 2 === 0
      ? part.replace(/[\\`]|\$\{/g, '\\$&')
      : `\${secret('${part.slice(2, -1).replace(/[\\']/g, '\\$&')}')}`,
  )
  return { store: `\`${code.join('')}\``, hasSecret }
}

const fileOf = (url: string): string | undefined => /^sqlite:(.+)$/s.exec(url)?.[1]

/** SQLite keeps two more files beside the database while it is open. */
const databaseFiles = (file: string): readonly string[] => [file, `${file}-wal`, `${file}-shm`]

/** Throws Refused when anything is there; tells whether even the schema is not (Postgres). */
async function assertNew({ files, place }: InitPlan): Promise<boolean> {
  const database = fileOf(place.url)
  const paths = [...files.map(({ path }) => path), ...(database ? databaseFiles(database) : [])]
  const there = paths.filter((path) => existsSync(path))
  if (there.length > 0) {
    throw new Refused(`there is ${there.join(', ')} already; init touches nothing that exists`)
  }
  if (!isPostgres(place.url)) return false
  return withPostgres(place, async (client, schema) => {
    if (await hasStore(client, schema)) {
      throw new Refused(
        `there is a store in ${place.shownUrl} already; init touches nothing that exists`,
      )
    }
    return !(await hasSchema(client, schema))
  })
}

function listOf({ folder, files, place }: InitPlan): readonly string[] {
  const file = fileOf(place.url)
  const store = file === undefined ? place.shownUrl : `sqlite:${relative(folder, resolve(file))}`
  return [...files.map(({ path }) => relative(folder, path)), `the store ${store}`]
}

/** All of it or nothing. */
async function write(session: Session, plan: InitPlan, isNewSchema: boolean): Promise<void> {
  const { files, place, config, folder } = plan
  const created = new Created()
  const database = fileOf(place.url)
  try {
    await created.folder(folder)
    for (const { path, content } of files) {
      session.signal.throwIfAborted()
      await created.file(path, content)
    }
    session.signal.throwIfAborted()
    if (database !== undefined) {
      await created.folder(dirname(database))
      for (const path of databaseFiles(database)) created.expect(path)
    }
    const store = await config.open(undefined, { definitions: false })
    await store.close()
    session.signal.throwIfAborted()
  } catch (error) {
    const left = await created.undo()
    if (left.length > 0) session.say(`eventuali: could not remove ${left.join(', ')} again`)
    if (isNewSchema) await withPostgres(place, dropUnused).catch(() => {})
    throw error
  }
}

async function report(session: Session, plan: InitPlan, asJson: boolean): Promise<void> {
  const { folder, files, place, names } = plan
  const paths = files.map(({ path }) => path)
  if (asJson) {
    const line = { folder, files: paths, store: place.shownUrl }
    return session.output.write(`${JSON.stringify(line)}\n`)
  }
  await session.output.write(
    listOf(plan)
      .map((line) => `wrote ${line}\n`)
      .join(''),
  )
  const steps = nextSteps(session, plan)
  session.say(`\nNext:\n${steps.map((step) => `  ${step}`).join('\n')}`)
  if (names.hasSecret) session.say('The configuration takes the password from the environment.')
}

function nextSteps(session: Session, { folder, files, names }: InitPlan): readonly string[] {
  const { aggregate, ending } = names
  const test = `src/${fileName(aggregate)}.test.${ending}`
  const isNew = files.some(({ path }) => path.endsWith('package.json'))
  const here = relative(session.io.cwd ?? process.cwd(), folder)
  return [
    ...(here === '' ? [] : [`cd ${here}`]),
    ...(isNew
      ? ['npm install']
      : canImport(folder)
        ? []
        : ['npm install eventuali @eventuali/cli']),
    `node --test ${test}`,
    `npx eventuali append ${aggregate}-1 ${eventOf(aggregate)} '{"title":"first"}'`,
    'npx eventuali query',
  ]
}

const eventOf = (aggregate: string): string =>
  `${aggregate.charAt(0).toUpperCase()}${aggregate.slice(1)}Opened`

function canImport(folder: string): boolean {
  try {
    createRequire(join(folder, 'package.json')).resolve('eventuali')
    return true
  } catch {
    return false
  }
}
