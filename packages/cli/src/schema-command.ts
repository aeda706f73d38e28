import { Command } from 'commander'
import { narrowings, type RegisteredSchema, type SchemaInfo, schemaChanges } from 'eventuali'
import { jsonOption, storeOption } from './arguments.ts'
import { Refused } from './exit-codes.ts'
import { count } from './numbers.ts'
import { ProgressBar } from './progress-bar.ts'
import { schemaCheckCommand, schemaDiffCommand, schemaRegisterCommand } from './schema-branch.ts'
import type { Session } from './session.ts'
import { Table } from './table.ts'
import { harmless } from './text-width.ts'

interface StoreFlags {
  readonly store?: string
  readonly json?: boolean
}

/** `schema` with its commands. */
export function schemaCommand(session: Session): Command {
  const command = (name: string, description: string) =>
    new Command(name).description(description).addOption(storeOption())
  return new Command('schema')
    .description('the types and versions of events, and whether code reads them')
    .addCommand(
      command('list', 'every type and version that the store has seen')
        .addOption(
          jsonOption('a line of JSON for each, with its schemas: what check --registry takes'),
        )
        .addHelpText('after', '\nExample:\n  eventuali schema list --json')
        .action((flags: StoreFlags) => runList(session, flags)),
    )
    .addCommand(
      command('show', 'what the data of a type looks like, version by version')
        .argument('<type>', 'type of the events')
        .addOption(jsonOption('a line of JSON for each version'))
        .addHelpText('after', '\nExample:\n  eventuali schema show OrderPlaced')
        .action((type: string, flags: StoreFlags) => runShow(session, type, flags)),
    )
    .addCommand(
      command('history', 'which schema was registered when, and what it changed')
        .argument('[type]', 'only this type')
        .addOption(jsonOption('a line of JSON for each'))
        .addHelpText('after', '\nExample:\n  eventuali schema history OrderPlaced')
        .action((type: string | undefined, flags: StoreFlags) => runHistory(session, type, flags)),
    )
    .addCommand(schemaDiffCommand(session))
    .addCommand(schemaCheckCommand(session))
    .addCommand(schemaRegisterCommand(session))
}

async function listOf(session: Session, flags: StoreFlags): Promise<readonly SchemaInfo[]> {
  const bar = new ProgressBar(session.io)
  return session.withRawStore(flags.store, 'read', async (store) => {
    try {
      return await store.schemas.list({
        signal: session.signal,
        onProgress: (position, upTo) => bar.show(position / upTo, `${count(position)} counted`),
      })
    } finally {
      bar.clear()
    }
  })
}

const listColumns = [
  { title: 'TYPE', text: ({ type }: SchemaInfo) => type },
  { title: 'VERSION', text: ({ version }: SchemaInfo) => String(version), align: 'right' },
  { title: 'EVENTS', text: ({ count: events }: SchemaInfo) => count(events), align: 'right' },
  { title: 'FIRST', text: ({ first }: SchemaInfo) => String(first ?? '-'), align: 'right' },
  { title: 'LAST', text: ({ last }: SchemaInfo) => String(last ?? '-'), align: 'right' },
  { title: 'SCHEMA', text: ({ registered }: SchemaInfo) => shortHash(registered.at(-1)) },
] as const

function shortHash(schema: RegisteredSchema | undefined): string {
  return schema?.hash.slice(0, 8) ?? '-'
}

async function runList(session: Session, flags: StoreFlags): Promise<void> {
  const infos = await listOf(session, flags)
  if (flags.json === true) return writeLines(session, infos)
  const table = new Table<SchemaInfo>(listColumns, session.output, session.io)
  await table.add(infos)
  await table.end()
}

async function writeLines(session: Session, values: readonly unknown[]): Promise<void> {
  await session.output.write(values.map((value) => `${JSON.stringify(value)}\n`).join(''))
}

async function runShow(session: Session, type: string, flags: StoreFlags): Promise<void> {
  const infos = (await listOf(session, flags)).filter((info) => info.type === type)
  if (infos.length === 0) {
    throw new Refused(`the store has seen no event type ${JSON.stringify(type)}; see schema list`)
  }
  if (flags.json === true) return writeLines(session, infos)
  for (const { version, count: events, first, last, registered } of infos) {
    const where = events > 0 ? `, positions ${first} to ${last}` : ''
    await session.output.write(
      `${harmless(type)} version ${version}: ${count(events)} events${where}\n`,
    )
    if (registered.length === 0) await session.output.write('  no schema is registered\n')
    for (const { schema, registeredAt } of registered) {
      const at = `  registered ${registeredAt.toISOString()}`
      const text = JSON.stringify(schema, null, 2)?.replaceAll('\n', '\n  ')
      await session.output.write(`${at}\n  ${text ?? 'its library gives no JSON Schema'}\n`)
    }
  }
}

interface HistoryRow {
  readonly schema: RegisteredSchema
  readonly change: string
}

const historyColumns = [
  { title: 'REGISTERED', text: ({ schema }: HistoryRow) => schema.registeredAt.toISOString() },
  {
    title: 'POSITION',
    text: ({ schema }: HistoryRow) => String(schema.position),
    align: 'right',
  },
  { title: 'TYPE', text: ({ schema }: HistoryRow) => schema.type },
  { title: 'VERSION', text: ({ schema }: HistoryRow) => String(schema.version), align: 'right' },
  { title: 'SCHEMA', text: ({ schema }: HistoryRow) => shortHash(schema) },
  { title: 'CHANGES', text: ({ change }: HistoryRow) => change },
] as const

async function runHistory(
  session: Session,
  type: string | undefined,
  flags: StoreFlags,
): Promise<void> {
  const { signal } = session
  const all = await session.withRawStore(flags.store, 'read', (store) =>
    store.schemas.registered({ signal, ...(type === undefined ? {} : { type }) }),
  )
  const sorted = all.toSorted((a, b) => a.registeredAt.getTime() - b.registeredAt.getTime())
  if (flags.json === true) return writeLines(session, sorted)
  const last = new Map<string, RegisteredSchema>()
  const rows = sorted.map((schema): HistoryRow => {
    const change = changeText(last.get(schema.type), schema)
    last.set(schema.type, schema)
    return { schema, change }
  })
  const table = new Table<HistoryRow>(historyColumns, session.output, session.io)
  await table.add(rows)
  await table.end()
}

/** How a schema differs from the one before it, and who can still read whom without upcasters. */
function changeText(before: RegisteredSchema | undefined, { schema }: RegisteredSchema): string {
  if (before === undefined) return 'the first'
  if (before.schema === undefined || schema === undefined) return 'not known'
  const changes = schemaChanges(before.schema, schema)
    .map(({ kind, path, what }) => `${kind} ${kind === 'changed' ? `${path}: ` : ''}${what}`)
    .join('; ')
  const reads = [
    ...(narrowings(before.schema, schema).length === 0 ? ['backward'] : []),
    ...(narrowings(schema, before.schema).length === 0 ? ['forward'] : []),
  ]
  return `${changes === '' ? 'none that is told' : changes} (${reads.join(', ') || 'breaks both ways'})`
}
