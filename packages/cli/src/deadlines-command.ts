import { Command } from 'commander'
import type { ScheduleInfo } from 'eventuali'
import { jsonOption, outcomeOption, storeOption, wholeNumber } from './arguments.ts'
import { confirmStore, yesOption } from './confirm.ts'
import { Refused } from './exit-codes.ts'
import { duration } from './quantities.ts'
import type { Session } from './session.ts'
import { type Column, Table } from './table.ts'
import { harmless } from './text-width.ts'

interface ListFlags {
  readonly store?: string
  readonly process?: string
  readonly within?: number
  readonly limit: number
  readonly json?: boolean
}

interface CancelFlags {
  readonly store?: string
  readonly yes?: boolean
  readonly json?: boolean
}

const LIMIT_MAX = 10_000
const YEARS_MS: number = 100 * 366 * 24 * 60 * 60 * 1000

const help = `
Examples:
  eventuali deadlines list --within 1h
  eventuali deadlines list --process fulfilment --json
  eventuali deadlines cancel close-the-day

A deadline belongs to a process and goes with it (processes cancel); a schedule has a name of its
own and can be cancelled here. Those that are held belong to processes that are stuck.`

/** `deadlines` */
export function deadlinesCommand(session: Session): Command {
  const command = new Command('deadlines')
    .description('what falls due next: deadlines of processes, and schedules')
    .addHelpText('after', help)
  command
    .command('list', { isDefault: true })
    .description('the earliest first')
    .addOption(storeOption())
    .option('--process <name>', 'only deadlines of this process')
    .option('--within <time>', 'only what falls due within 30m, 2h, 1d', duration(0, YEARS_MS))
    .option('-n, --limit <n>', 'at most so many', wholeNumber(1, LIMIT_MAX), 100)
    .addOption(jsonOption('one line of JSON for each instead of a table'))
    .addHelpText('after', '\nExample:\n  eventuali deadlines list --within 1h')
    .action((flags: ListFlags) => runList(session, flags))
  command
    .command('cancel <name>')
    .description('take a schedule back; what it has fired already still happens')
    .addOption(storeOption())
    .addOption(yesOption())
    .addOption(outcomeOption())
    .addHelpText('after', '\nExample:\n  eventuali deadlines cancel close-the-day --yes')
    .action((name: string, flags: CancelFlags) => runCancel(session, name, flags))
  return command
}

const columns: readonly Column<ScheduleInfo>[] = [
  { title: 'DUE', text: ({ dueAt }) => dueAt.toISOString() },
  { title: 'STATE', text: ({ state }) => state },
  { title: 'NAME', text: ({ name }) => name },
  {
    title: 'PROCESS',
    text: ({ process, key }) => (process === undefined ? '' : `${process} ${key}`),
  },
  {
    title: 'AGAIN',
    text: ({ pattern = '', timeZone }) =>
      timeZone === undefined ? pattern : `${pattern} ${timeZone}`,
  },
]

async function runList(session: Session, flags: ListFlags): Promise<void> {
  const { output, io } = session
  const { process, within, limit } = flags
  await session.withRawStore(flags.store, 'read', async (store) => {
    const until = within === undefined ? undefined : new Date(Date.now() + within)
    // Those of other processes are left out after they are read: so all that may be are read.
    const found = await store.schedules.upcoming({
      until,
      limit: process === undefined ? limit : LIMIT_MAX,
    })
    const rows = found
      .filter((one) => process === undefined || one.process === process)
      .slice(0, limit)
    if (flags.json === true) {
      await output.write(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
      return
    }
    const table = new Table<ScheduleInfo>(columns, output, io)
    await table.add(rows)
    await table.end()
  })
}

async function runCancel(session: Session, name: string, flags: CancelFlags): Promise<void> {
  const what = `loses the schedule ${name}`
  await confirmStore(session, flags.store, { what, yes: flags.yes })
  const gone = await session.withRawStore(flags.store, 'change', (store) =>
    store.schedules.cancel(name),
  )
  if (!gone) {
    throw new Refused(`there is no schedule ${harmless(name)}; deadlines list shows the names`)
  }
  await session.answer(
    flags.json,
    { schedule: name, cancelled: true },
    `${harmless(name)} is cancelled`,
  )
}
