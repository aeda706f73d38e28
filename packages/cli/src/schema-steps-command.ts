import { Command } from 'commander'
import {
  type MigrationOutcome,
  type MigrationStatus,
  migrateStore,
  migrationStatus,
  rollbackStore,
  type SchemaMigration,
} from 'eventuali'
import { jsonOption, storeOption, wholeNumber } from './arguments.ts'
import { confirmStore, yesOption } from './confirm.ts'
import type { Session } from './session.ts'

interface StepsFlags {
  readonly store?: string
  readonly to?: number
  readonly dryRun?: boolean
  readonly sql?: boolean
  readonly yes?: boolean
  readonly json?: boolean
}

const STEP_MAX = 10_000

const examples = `
A store is migrated when it is opened for writing; this does it by itself, or shows it before.

Examples:
  eventuali migrate status --store sqlite:shop.db
  eventuali migrate plan --sql
  eventuali migrate apply --to 3
`

/** `migrate` */
export function migrateSchemaCommand(session: Session): Command {
  const status = (name: string): Command =>
    new Command(name)
      .addOption(storeOption())
      .addOption(jsonOption('the status as one line of JSON'))
      .addHelpText('after', '\nExample:\n  eventuali migrate status --store sqlite:shop.db')
      .action((flags: StepsFlags) => runStatus(session, flags))
  return new Command('migrate')
    .description("the numbered schema migrations of the store's own tables")
    .addHelpText('after', examples)
    .addCommand(
      status('status').description('which were made, and which opening the store would make'),
      { isDefault: true },
    )
    .addCommand(
      withSteps('plan')
        .description('what apply would do')
        .option('--sql', 'with the statements')
        .addHelpText('after', '\nExample:\n  eventuali migrate plan --sql')
        .action((flags: StepsFlags) => runMigrate(session, { ...flags, dryRun: true })),
    )
    .addCommand(
      withSteps('apply')
        .description('bring the tables up to date; resumable, each step a transaction')
        .option('--dry-run', 'do nothing, say what would be done')
        .addHelpText('after', '\nExample:\n  eventuali migrate apply --store sqlite:shop.db')
        .action((flags: StepsFlags) => runMigrate(session, flags)),
    )
}

/** `rollback` */
export function rollbackCommand(session: Session): Command {
  return new Command('rollback')
    .description("take schema migrations of the store's own tables back, for an older program")
    .addOption(storeOption())
    .requiredOption('--to <n>', 'the last migration that stays', wholeNumber(0, STEP_MAX))
    .option('--dry-run', 'do nothing, say what would be done')
    .option('--sql', 'with the statements')
    .addOption(yesOption())
    .addOption(jsonOption('the result as one line of JSON'))
    .addHelpText('after', '\nExample:\n  eventuali rollback --to 2 --dry-run')
    .action((flags: StepsFlags & { readonly to: number }) => runRollback(session, flags))
}

function withSteps(name: string): Command {
  return new Command(name)
    .addOption(storeOption())
    .option('--to <n>', 'the last migration that is made', wholeNumber(1, STEP_MAX))
    .addOption(jsonOption('the result as one line of JSON'))
}

async function place(session: Session, flags: StepsFlags, access: 'read' | 'write') {
  const { url, options } = await session.placeFor(flags.store, access)
  return { url, options: { schema: options.schema, signal: session.signal } }
}

async function runStatus(session: Session, flags: StepsFlags): Promise<void> {
  const { url, options } = await place(session, flags, 'read')
  const status = await migrationStatus(url, options)
  await session.output.write(
    flags.json === true ? `${JSON.stringify(withoutSql(status))}\n` : statusText(status),
  )
}

async function runMigrate(session: Session, flags: StepsFlags): Promise<void> {
  const { dryRun, to } = flags
  const { url, options } = await place(session, flags, dryRun === true ? 'read' : 'write')
  const outcome = await migrateStore(url, { ...options, dryRun, to })
  await write(session, flags, outcome, 'migrated')
}

async function runRollback(
  session: Session,
  flags: StepsFlags & { readonly to: number },
): Promise<void> {
  const { to, dryRun, yes } = flags
  const { url, options } = await place(session, flags, 'read')
  // What cannot be done is said before anybody is asked.
  const planned = await rollbackStore(url, { ...options, to, dryRun: true })
  if (dryRun === true || planned.migrations.length === 0) {
    await write(session, flags, planned, 'rolled back')
    return
  }
  const what = `loses schema migrations ${planned.from} to ${to + 1}; stop all programs that use it`
  await confirmStore(session, flags.store, { what, yes })
  await write(session, flags, await rollbackStore(url, { ...options, to }), 'rolled back')
}

async function write(
  session: Session,
  { json, sql }: StepsFlags,
  outcome: MigrationOutcome,
  what: string,
): Promise<void> {
  await session.output.write(
    json === true
      ? `${JSON.stringify(sql === true ? outcome : withoutSql(outcome))}\n`
      : outcomeText(outcome, what, sql === true),
  )
}

function withoutSql<T extends { readonly migrations: readonly SchemaMigration[] }>(found: T) {
  const migrations = found.migrations.map(({ sql, back, ...step }) => step)
  return { ...found, migrations }
}

function statusText({ adapter, version, newest, migrations, objection }: MigrationStatus): string {
  const lines = migrations.map(
    ({ version: number, name, state, reversible }) =>
      `${String(number).padStart(3)}  ${state.padEnd(7)}  ${name}${reversible ? '' : ' (stays)'}\n`,
  )
  const pending = newest - version
  const end =
    pending === 0
      ? 'up to date\n'
      : `${pending} pending; opening the store for writing makes them, or eventuali migrate apply\n`
  const stays = objection === undefined || version <= 1 ? '' : `no rollback: ${objection}\n`
  return `${adapter}, schema ${version} of ${newest}\n${lines.join('')}${end}${stays}`
}

function outcomeText(outcome: MigrationOutcome, what: string, withSql: boolean): string {
  const { from, to, migrations, dryRun } = outcome
  if (migrations.length === 0) return `nothing to do: the schema is ${from}\n`
  const lines = migrations.map(({ version, name, sql, back }) => {
    const statements = to > from ? sql : back
    return `${String(version).padStart(3)}  ${name}\n${withSql ? `${statements?.trim()}\n` : ''}`
  })
  const verb = dryRun ? `would be ${what}` : what
  return `${lines.join('')}${verb} from schema ${from} to ${to}\n`
}
