import { Command, Option } from 'commander'
import type { DeadLetter, LetterState, Store } from 'eventuali'
import { jsonOption, storeOption, wholeNumber } from './arguments.ts'
import { addLetterChanges, knownLetter } from './dead-letter-changes.ts'
import { type LetterGroup, lettersByCause } from './dead-letter-groups.ts'
import { count } from './numbers.ts'
import type { Session } from './session.ts'
import { type Column, Table } from './table.ts'
import { harmless } from './text-width.ts'

interface ListFlags {
  readonly store?: string
  readonly subscription?: string
  readonly state: LetterState | 'any'
  readonly each?: boolean
  readonly limit: number
  readonly json?: boolean
}

const PAGE_COUNT = 500
const LIMIT = 100_000
const states = ['parked', 'requested', 'done', 'discarded', 'any'] as const

const help = `
Examples:
  eventuali deadletters list
  eventuali deadletters list --subscription mailer --each --json
  eventuali deadletters show mailer/0b2f…/0000000000000042
  eventuali deadletters retry --subscription mailer
  eventuali deadletters discard mailer/0b2f…/0000000000000042 --reason "the address is gone"
  eventuali deadletters prune --older-than 90d

A retried letter is handled by whoever runs the subscription, at its next look. The event itself
stays in the log whatever becomes of its letter.`

/** `deadletters` */
export function deadLettersCommand(session: Session): Command {
  const command = new Command('deadletters')
    .description('events that handlers could not cope with: why, which, try again, give up')
    .addHelpText('after', help)
  const state = new Option('--state <state>', 'which').choices(states).default('parked')
  command
    .command('list', { isDefault: true })
    .description('by subscription and cause, the most frequent first')
    .addOption(storeOption())
    .option('--subscription <name>', 'only of this subscription')
    .addOption(state)
    .option('--each', 'each letter instead of causes')
    .option('-n, --limit <n>', 'look at so many letters at most', wholeNumber(1, LIMIT), 10_000)
    .addOption(jsonOption('one line of JSON for each row instead of a table'))
    .addHelpText('after', '\nExample:\n  eventuali deadletters list --subscription mailer')
    .action((flags: ListFlags) => runList(session, flags))
  command
    .command('show <id>')
    .description('one letter: its event with data and metadata, the error, its stack, the attempts')
    .addOption(storeOption())
    .addOption(jsonOption('as one line of JSON'))
    .addHelpText('after', '\nExample:\n  eventuali deadletters show ID --json')
    .action((id: string, flags: { store?: string; json?: boolean }) => runShow(session, id, flags))
  addLetterChanges(command, session)
  return command
}

const groupColumns: readonly Column<LetterGroup>[] = [
  { title: 'SUBSCRIPTION', text: ({ subscription }) => subscription },
  { title: 'LETTERS', text: (group) => count(group.count), align: 'right' },
  { title: 'ATTEMPTS', text: ({ attemptsMax }) => String(attemptsMax), align: 'right' },
  { title: 'SINCE', text: ({ firstParkedAt }) => firstParkedAt.toISOString() },
  { title: 'CAUSE', text: ({ cause }) => cause },
  { title: 'FOR EXAMPLE', text: ({ example }) => example },
]

const letterColumns: readonly Column<DeadLetter>[] = [
  { title: 'STATE', text: ({ state }) => state },
  { title: 'EVENT', text: ({ stream, version }) => `${stream}@${version}` },
  { title: 'TYPE', text: ({ type }) => type },
  { title: 'ATTEMPTS', text: ({ attempts }) => String(attempts), align: 'right' },
  { title: 'PARKED', text: ({ parkedAt }) => parkedAt.toISOString() },
  { title: 'WHY', text: (letter) => whyOf(letter) },
  { title: 'ID', text: ({ id }) => id },
]

function whyOf({ reason, error }: DeadLetter): string {
  if (reason === 'follows' || error === null) return 'waits behind an earlier one of its key'
  return `${error.name}: ${error.message}`
}

/** Letters page by page, the first `limit` of them. */
async function* lettersOf(store: Store, flags: ListFlags): AsyncGenerator<readonly DeadLetter[]> {
  const { subscription, state } = flags
  let after: string | undefined
  for (let left = flags.limit; left > 0; ) {
    const limit = Math.min(left, PAGE_COUNT)
    const page = await store.deadLetters.list({ subscription, state, after, limit })
    yield page
    if (page.length < limit) return
    left -= page.length
    after = page.at(-1)?.id
  }
}

async function runList(session: Session, flags: ListFlags): Promise<void> {
  await session.withRawStore(flags.store, 'read', async (store) => {
    const pages = lettersOf(store, flags)
    if (flags.each === true) return await write(session, flags, letterColumns, pages)
    const groups = await lettersByCause(pages, session.signal)
    return await write(session, flags, groupColumns, [groups])
  })
}

async function write<Row>(
  session: Session,
  { json }: ListFlags,
  columns: readonly Column<Row>[],
  pages: AsyncIterable<readonly Row[]> | Iterable<readonly Row[]>,
): Promise<void> {
  const { output, io, signal } = session
  const table = new Table<Row>(columns, output, io)
  for await (const page of pages) {
    signal.throwIfAborted()
    if (json === true) await output.write(page.map((row) => `${JSON.stringify(row)}\n`).join(''))
    else await table.add(page)
  }
  if (json !== true) await table.end()
}

async function runShow(
  session: Session,
  id: string,
  { store: url, json }: { readonly store?: string; readonly json?: boolean },
): Promise<void> {
  await session.withRawStore(url, 'read', async (store) => {
    const letter = await knownLetter(store, id)
    const { stream, version } = letter
    const [event] = await store
      .readStream(stream, { from: version, to: version, signal: session.signal })
      .toArray()
      .catch(() => [])
    if (json === true) {
      await session.output.write(`${JSON.stringify({ ...letter, event: event ?? null })}\n`)
      return
    }
    const { subscription, position, type, state, attempts, parkedAt, note, key, error } = letter
    const fields: readonly (readonly [string, string])[] = [
      ['subscription', subscription],
      ['state', note === '' ? state : `${state}: ${note}`],
      ['event', `${stream}@${version}, position ${position}, ${type}`],
      ['key', key],
      ['attempts', String(attempts)],
      ['parked', parkedAt.toISOString()],
      ['error', `${whyOf(letter)}${error?.code ? ` (${error.code})` : ''}`],
    ]
    const lines = fields.map(([name, value]) => `${name.padEnd(12)} ${harmless(value)}`)
    for (const frame of error?.stack?.split('\n') ?? []) lines.push(`  ${harmless(frame.trim())}`)
    lines.push('data', ...indented(event?.data), 'metadata', ...indented(event?.metadata))
    if (event === undefined) lines.push('the event itself was truncated or deleted since')
    await session.output.write(`${lines.join('\n')}\n`)
  })
}

function indented(value: unknown): readonly string[] {
  if (value === undefined) return ['  none']
  return JSON.stringify(value, undefined, 2)
    .split('\n')
    .map((line) => `  ${harmless(line)}`)
}
