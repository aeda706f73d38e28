import { readFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import {
  type Compatibility,
  checkSchemas,
  openStore,
  type RegisteredSchema,
  type SchemaInfo,
  type SchemaReport,
  type SchemaSource,
  type StoredSchema,
  schemaChanges,
} from 'eventuali'
import { jsonOption, outcomeOption, repeated, storeOption, wholeNumber } from './arguments.ts'
import { definitionsFor } from './event-module.ts'
import { Refused, SilentFailure, UsageError } from './exit-codes.ts'
import { count, counted } from './numbers.ts'
import { ProgressBar } from './progress-bar.ts'
import { reportText } from './schema-text.ts'
import type { Session } from './session.ts'
import { harmless } from './text-width.ts'

interface BranchFlags {
  readonly store?: string
  readonly events?: readonly string[]
  readonly registry?: string
  readonly mode: Compatibility
  readonly newest?: number
  readonly read: boolean
  readonly json?: boolean
}

const SAMPLE_MAX = 1_000_000

const eventsOption = (): Option =>
  new Option(
    '-e, --events <module>',
    "JavaScript or TypeScript that exports definitions; the configuration's; may be repeated",
  ).argParser<readonly string[] | undefined>(repeated)

const modes: readonly Compatibility[] = ['backward', 'forward', 'full']

/** `schema check` */
export function schemaCheckCommand(session: Session): Command {
  return new Command('check')
    .description('which stored events would these definitions fail to read?')
    .addOption(storeOption())
    .addOption(eventsOption())
    .option('--registry <file>', 'in the place of a store: the output of schema list --json')
    .addOption(new Option('--mode <mode>', 'what to keep').choices(modes).default('backward'))
    .option('--newest <n>', 'read so many of the newest of each type', wholeNumber(1, SAMPLE_MAX))
    .option('--no-read', 'compare schemas only, read no events')
    .addOption(jsonOption('the report as one line of JSON'))
    .addHelpText(
      'after',
      '\nExample:\n  eventuali schema check --events ./src/events.ts --mode full',
    )
    .action((flags: BranchFlags) => runCheck(session, flags))
}

async function runCheck(session: Session, flags: BranchFlags): Promise<void> {
  const sources = await definitionsFor(session, flags.events)
  const report =
    flags.registry === undefined
      ? await checkStore(session, sources, flags)
      : checkFile(flags.registry, sources, flags)
  const text = flags.json === true ? `${JSON.stringify(report)}\n` : reportText(report)
  await session.output.write(text)
  if (!report.ok) throw new SilentFailure()
}

function checkStore(
  session: Session,
  sources: readonly SchemaSource[],
  { store: url, mode: compatibility, newest, read }: BranchFlags,
): Promise<SchemaReport> {
  const bar = new ProgressBar(session.io)
  return session.withRawStore(url, 'read', async (store) => {
    try {
      return await store.schemas.check(sources, {
        compatibility,
        events: read ? (newest ?? 'all') : 'none',
        signal: session.signal,
        onProgress: (done, all) => bar.show(done / all, `${count(done)} of ${count(all)}`),
      })
    } finally {
      bar.clear()
    }
  })
}

function checkFile(
  file: string,
  sources: readonly SchemaSource[],
  { store, mode }: BranchFlags,
): SchemaReport {
  if (store !== undefined) throw new UsageError('give --store or --registry, not both')
  const stored = readRegistry(file)
  const problems = checkSchemas(sources, stored, mode)
  const ok = problems.every(({ severity }) => severity !== 'error')
  return { ok, problems, schemas: stored.length, events: 0, unchecked: 0 }
}

/** The lines of `schema list --json`. */
function readRegistry(file: string): readonly StoredSchema[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new Refused(`${file} cannot be read: ${(error as Error).message}`)
  }
  return text.split('\n').flatMap((line, at) => {
    if (line.trim() === '') return []
    try {
      const { type, version, registered } = JSON.parse(line) as SchemaInfo
      if (typeof type !== 'string' || !Number.isSafeInteger(version))
        throw new TypeError('no schema')
      if (registered.length === 0) return [{ type, version }]
      return registered.map(({ schema }) => ({ type, version, schema }))
    } catch {
      throw new Refused(`line ${at + 1} of ${file} is none that "schema list --json" writes`)
    }
  })
}

/** `schema register` */
export function schemaRegisterCommand(session: Session): Command {
  return new Command('register')
    .description('remember what the data of these definitions looks like')
    .addOption(storeOption())
    .addOption(eventsOption())
    .addOption(outcomeOption())
    .addHelpText('after', '\nExample:\n  eventuali schema register --events ./src/events.ts')
    .action(async (flags: BranchFlags) => {
      const sources = await definitionsFor(session, flags.events)
      const { signal } = session
      const added = await session.withRawStore(flags.store, 'write', (store) =>
        store.schemas.register(sources, { signal }),
      )
      const text = `${counted(added, 'new schema')} registered`
      await session.answer(flags.json, { registered: added }, text)
    })
}

/** `schema diff` */
export function schemaDiffCommand(session: Session): Command {
  return new Command('diff')
    .description('what changed: between two versions, or from the store to these definitions')
    .addOption(storeOption())
    .argument('[type]', 'only this type')
    .argument('[from]', 'a version', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .argument('[to]', 'another version; the newest when left out', wholeNumber(1, SAMPLE_MAX))
    .addOption(eventsOption())
    .addOption(jsonOption('a line of JSON for each type'))
    .addHelpText('after', '\nExample:\n  eventuali schema diff OrderPlaced 1 2')
    .action((type: string | undefined, from: number | undefined, to: number | undefined, flags) =>
      runDiff(session, { type, from, to }, flags as BranchFlags),
    )
}

interface DiffPlace {
  readonly type: string | undefined
  readonly from: number | undefined
  readonly to: number | undefined
}

async function runDiff(session: Session, place: DiffPlace, flags: BranchFlags): Promise<void> {
  const { type, from, to } = place
  const { signal } = session
  const old = await session.withRawStore(flags.store, 'read', (store) =>
    store.schemas.registered({ signal, ...(type === undefined ? {} : { type }) }),
  )
  const write = (found: SchemaDiff) => session.answer(flags.json, found, diffText(found))
  if (from !== undefined) {
    const newest = Math.max(...old.map(({ version }) => version))
    await write(diffOf(newestOf(old, type, from), newestOf(old, type, to ?? newest)))
    return
  }
  const now = (await registeredBy(await definitionsFor(session, flags.events))).filter(
    (one) => type === undefined || one.type === type,
  )
  for (const one of now) {
    await write(
      diffOf(
        old.findLast((other) => other.type === one.type),
        one,
      ),
    )
  }
}

/** The definitions as a store registers them: in one in memory. */
async function registeredBy(sources: readonly SchemaSource[]) {
  await using store = await openStore('memory:')
  await store.schemas.register(sources)
  return store.schemas.registered()
}

function newestOf(
  all: readonly RegisteredSchema[],
  type: string | undefined,
  version: number,
): RegisteredSchema {
  const found = all.findLast((one) => one.version === version)
  if (found !== undefined) return found
  const name = JSON.stringify(type ?? '')
  throw new Refused(`no schema is registered for ${name} version ${version}; see schema history`)
}

/** What happened to the data of a type. */
interface SchemaDiff {
  readonly type: string
  /** The version compared with; null when there is none. */
  readonly from: number | null
  readonly to: number
  /** `unknown`: a library without JSON Schema says nothing of the data. */
  readonly state: 'new' | 'same' | 'changed' | 'unknown'
  readonly changes: ReturnType<typeof schemaChanges>
}

function diffOf(before: RegisteredSchema | undefined, after: RegisteredSchema): SchemaDiff {
  const { type, version: to } = after
  if (before === undefined) return { type, from: null, to, state: 'new', changes: [] }
  const from = before.version
  if (before.schema === undefined || after.schema === undefined) {
    return { type, from, to, state: 'unknown', changes: [] }
  }
  const changes = schemaChanges(before.schema, after.schema)
  return { type, from, to, state: changes.length === 0 ? 'same' : 'changed', changes }
}

const signs = { added: '+', removed: '-', changed: '~' } as const
const states = {
  same: ': no changes',
  changed: '',
  unknown: ': not known, a library without JSON Schema says nothing of its data',
} as const

function diffText({ type, from, to, state, changes }: SchemaDiff): string {
  if (state === 'new') return harmless(`${type}: new`)
  const title = `${type}: version ${from} to ${to}${states[state]}`
  const texts = changes.map(({ kind, path, what }) => `  ${signs[kind]} ${path}: ${what}`)
  return [title, ...texts].map(harmless).join('\n')
}
