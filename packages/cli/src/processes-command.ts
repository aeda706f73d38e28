import { Command, Option } from 'commander'
import type { ProcessDetails, ProcessInfo, ProcessStatus, Store } from 'eventuali'
import { jsonOption, outcomeOption, storeOption, wholeNumber } from './arguments.ts'
import { actorOf, actorOption } from './by-hand.ts'
import { missing } from './configured.ts'
import { confirmStore, yesOption } from './confirm.ts'
import { Refused } from './exit-codes.ts'
import type { Session } from './session.ts'
import { type Column, Table } from './table.ts'
import { harmless } from './text-width.ts'

interface ListFlags {
  readonly store?: string
  readonly status?: ProcessStatus
  readonly limit: number
  readonly json?: boolean
}

interface ChangeFlags {
  readonly store?: string
  readonly reason?: string
  readonly actor?: string
  readonly yes?: boolean
  readonly json?: boolean
}

const LIMIT_MAX = 1_000_000
const PAGE_COUNT = 500
const PREFIX = 'process:'
const statuses = [
  ...['running', 'compensating', 'stuck', 'completed', 'compensated', 'cancelled'],
] as const

const help = `
Examples:
  eventuali processes list --status stuck
  eventuali processes show fulfilment 17
  eventuali processes resume fulfilment 17 --reason "the carrier is back"
  eventuali processes cancel fulfilment 17 --reason "ordered twice"

Looking needs no configuration; resume, skip and compensate need the process's definition in it.
What is changed here is carried on by whatever program runs the processes.`

/** `processes` */
export function processesCommand(session: Session): Command {
  const command = new Command('processes')
    .description('processes: which there are, what they wait for, help for those that are stuck')
    .addHelpText('after', help)
  const status = new Option('--status <status>', 'only those that are').choices(statuses)
  command
    .command('list [name]', { isDefault: true })
    .description('those of one name, or all')
    .addOption(storeOption())
    .addOption(status)
    .option('-n, --limit <n>', 'at most so many', wholeNumber(1, LIMIT_MAX), 1000)
    .addOption(jsonOption('one line of JSON for each'))
    .addHelpText('after', '\nExample:\n  eventuali processes list --status stuck')
    .action((name: string | undefined, flags: ListFlags) => runList(session, name, flags))
  command
    .command('show <name> <key>')
    .description('one, with its commands, its deadlines and what it is stuck on')
    .addOption(storeOption())
    .addOption(jsonOption('as one line of JSON'))
    .addHelpText('after', '\nExample:\n  eventuali processes show fulfilment 17')
    .action((name: string, key: string, flags: { store?: string; json?: boolean }) =>
      runShow(session, name, key, flags),
    )
  for (const change of changes) command.addCommand(changeCommand(session, change))
  return command
}

interface Change {
  readonly name: 'resume' | 'skip' | 'compensate' | 'cancel'
  readonly what: string
  readonly done: string
  /** What it does to the store, where that cannot be taken back. */
  readonly danger?: string
}

const changes: readonly Change[] = [
  { name: 'resume', what: 'try again what it is stuck on', done: 'goes on' },
  {
    name: 'skip',
    what: 'leave out what it is stuck on, and go on behind it',
    done: 'goes on behind what it was stuck on',
    danger: 'gives up what the process is stuck on',
  },
  {
    name: 'compensate',
    what: 'take its steps back',
    done: 'takes its steps back',
    danger: 'has the steps of the process taken back',
  },
  {
    name: 'cancel',
    what: 'end it at once, with its commands and deadlines',
    done: 'is cancelled',
    danger: 'loses the commands and deadlines of the process',
  },
]

function changeCommand(session: Session, change: Change): Command {
  const { name, what, danger } = change
  const command = new Command(name)
    .arguments('<name> <key>')
    .description(what)
    .addOption(storeOption())
    .addOption(actorOption())
    .addOption(outcomeOption())
    .addHelpText('after', `\nExample:\n  eventuali processes ${name} fulfilment 17 --reason WHY`)
    .action((process: string, key: string, flags: ChangeFlags) =>
      runChange(session, change, { process, key }, flags),
    )
  const reason = 'why, for the audit'
  if (name === 'cancel') command.requiredOption('--reason <text>', reason)
  else command.option('--reason <text>', reason)
  return danger === undefined ? command : command.addOption(yesOption())
}

const columns: readonly Column<ProcessInfo>[] = [
  { title: 'PROCESS', text: ({ name }) => name },
  { title: 'KEY', text: ({ key }) => key },
  { title: 'STATUS', text: ({ status }) => status },
  { title: 'STARTED', text: ({ startedAt }) => startedAt.toISOString() },
  { title: 'UPDATED', text: ({ updatedAt }) => updatedAt.toISOString() },
  { title: 'WAITING', text: ({ commandsWaiting }) => String(commandsWaiting), align: 'right' },
  { title: 'DEADLINES', text: ({ deadlines }) => deadlines.join(', ') },
  { title: 'WHY', text: ({ reason = '' }) => reason },
]

/** Names of the processes that have run on the store. */
async function namesIn(store: Store): Promise<readonly string[]> {
  const names = await store.subscriptions.names()
  const known = names
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => name.slice(PREFIX.length))
  return [...new Set([...known, ...store.processes.names])].sort()
}

async function runList(
  session: Session,
  only: string | undefined,
  { store: url, status, limit, json }: ListFlags,
): Promise<void> {
  const { output, io, signal } = session
  await session.withRawStore(url, 'read', async (store) => {
    const table = new Table<ProcessInfo>(columns, output, io)
    let left = limit
    for (const name of only === undefined ? await namesIn(store) : [only]) {
      for (let after: string | undefined; left > 0; ) {
        signal.throwIfAborted()
        const query = { name, status, after, limit: Math.min(left, PAGE_COUNT) }
        const page = await store.processes.list(query)
        if (json === true)
          await output.write(page.map((one) => `${JSON.stringify(one)}\n`).join(''))
        else await table.add(page)
        left -= page.length
        after = page.at(-1)?.key
        if (page.length < query.limit) break
      }
    }
    if (json !== true) await table.end()
    const names = only === undefined ? [] : await namesIn(store)
    if (only !== undefined && !names.includes(only)) throw unknownName(only, names)
  })
}

async function runShow(
  session: Session,
  name: string,
  key: string,
  { store: url, json }: { readonly store?: string; readonly json?: boolean },
): Promise<void> {
  await session.withRawStore(url, 'read', async (store) => {
    const found = await store.processes.get(name, key)
    if (found === undefined) throw await unknown(store, name, key)
    await session.output.write(json === true ? `${JSON.stringify(found)}\n` : detailsText(found))
  })
}

async function unknown(store: Store, name: string, key: string): Promise<Refused> {
  const names = await namesIn(store)
  if (names.includes(name)) return new Refused(`${harmless(name)} has no process ${harmless(key)}`)
  return unknownName(name, names)
}

function unknownName(name: string, names: readonly string[]): Refused {
  const there = names.length === 0 ? 'there is none yet' : `there is ${names.join(', ')}`
  return new Refused(`there is no process called ${harmless(name)}; ${harmless(there)}`)
}

function targetText(target: ProcessDetails['commands'][number]['target']): string {
  if (target.kind === 'append') return `append to ${target.stream}`
  const { aggregate, id, command, input } = target
  return `${aggregate}-${id} ${command}${input === undefined ? '' : ` ${JSON.stringify(input)}`}`
}

function detailsText(process: ProcessDetails): string {
  const { name, key, status, version, startedAt, updatedAt, reason, stuck, state } = process
  const lines = [
    `${name} ${key}: ${status}, version ${version}`,
    `started    ${startedAt.toISOString()}`,
    `updated    ${updatedAt.toISOString()}`,
    `state      ${JSON.stringify(state)}`,
  ]
  if (reason !== undefined) lines.push(`why        ${reason}`)
  if (stuck !== undefined && stuck !== null) {
    lines.push(
      `stuck on   ${JSON.stringify(stuck.cause)} since ${new Date(stuck.at).toISOString()}`,
    )
    const frames = stuck.error.stack?.split('\n').filter((line) => /^\s+at /.test(line)) ?? []
    lines.push(...frames.map((frame) => `             ${frame.trim()}`))
  }
  if (process.holdsEvents) lines.push('events     wait until it goes on')
  for (const { target, state: at, attempts, isUndo, error } of process.commands) {
    const undo = isUndo ? ', takes a step back' : ''
    const failed = error === undefined ? '' : `: ${error.message}`
    lines.push(`command    ${targetText(target)} (${at}${undo}, ${attempts} attempts)${failed}`)
  }
  for (const { name: deadline, dueAt, state: at } of process.schedules) {
    lines.push(`deadline   ${deadline} at ${dueAt.toISOString()}${at === 'held' ? ', held' : ''}`)
  }
  return `${lines.map(harmless).join('\n')}\n`
}

async function runChange(
  session: Session,
  { name: change, done, danger }: Change,
  { process, key }: { readonly process: string; readonly key: string },
  flags: ChangeFlags,
): Promise<void> {
  const { processes, file } = await session.config()
  const known = processes.map(({ name }) => name)
  if (change !== 'cancel' && !known.includes(process)) {
    throw missing('process', process, [...new Set(known)], file)
  }
  if (danger !== undefined) {
    const what = `${danger} ${process} ${key}`
    await confirmStore(session, flags.store, { what, yes: flags.yes })
  }
  const { reason = '' } = flags
  const by = { actor: actorOf(session, flags), reason }
  await session.withStore(flags.store, 'change', async (store) => {
    if ((await store.processes.get(process, key)) === undefined) {
      throw await unknown(store, process, key)
    }
    await store.processes[change](process, key, by)
  })
  const text = `${harmless(process)} ${harmless(key)} ${done}`
  await session.answer(flags.json, { process, key, done: change }, text)
}
