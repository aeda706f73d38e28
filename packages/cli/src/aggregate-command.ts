import { Command } from 'commander'
import type { StateChange, StateDiff, StreamPoint, ValueChange } from 'eventuali'
import { jsonOption, storeOption } from './arguments.ts'
import { aggregateOf } from './configured.ts'
import { Refused } from './exit-codes.ts'
import { point, pointHelp } from './points.ts'
import type { Session } from './session.ts'
import { type Column, Table } from './table.ts'
import { harmless } from './text-width.ts'

interface Flags {
  readonly store?: string
  readonly at?: StreamPoint
  readonly from?: StreamPoint
  readonly to?: StreamPoint
  readonly recorded?: boolean
  readonly json?: boolean
}

const help = `
Examples:
  eventuali aggregate show order-17
  eventuali aggregate show order-17 --at 2026-01-31T10:15:00Z
  eventuali aggregate diff order-17 --from 3 --to 7
  eventuali aggregate history order-17 /address/city

The stream's name says which aggregate of the configuration it is, and which one of these. Nothing
is written.
${pointHelp}`

const recordedText = 'go by the times at which events were recorded, not by their own'

/** `aggregate` */
export function aggregateCommand(session: Session): Command {
  const command = new Command('aggregate')
    .description('the state of an aggregate: now, as it was, what changed, and by which events')
    .addHelpText('after', help)
  command
    .command('show <stream>')
    .description('the state, now or at a point')
    .addOption(storeOption())
    .option('--at <point>', 'a version, @position or time; the newest when left out', point)
    .option('--recorded', recordedText)
    .addOption(jsonOption('as one line of JSON'))
    .addHelpText('after', `\nExample:\n  eventuali aggregate show order-17 --at 3\n${pointHelp}`)
    .action((stream: string, flags: Flags) => runShow(session, stream, flags))
  command
    .command('diff <stream>')
    .description('what is different between two points')
    .addOption(storeOption())
    .requiredOption('--from <point>', 'a version, @position or time', point)
    .option('--to <point>', 'the newest when left out', point)
    .option('--recorded', recordedText)
    .addOption(jsonOption('as one line of JSON'))
    .addHelpText('after', `\nExample:\n  eventuali aggregate diff order-17 --from 3\n${pointHelp}`)
    .action((stream: string, flags: Flags) => runDiff(session, stream, flags))
  command
    .command('history <stream> [path]')
    .description('the events that changed one value of the state (a JSON Pointer), or any of it')
    .addOption(storeOption())
    .option('--to <point>', 'up to this point; the newest when left out', point)
    .option('--recorded', recordedText)
    .addOption(jsonOption('one line of JSON for each change'))
    .addHelpText('after', '\nExample:\n  eventuali aggregate history order-17 /address/city')
    .action((stream: string, path: string | undefined, flags: Flags) =>
      runHistory(session, stream, path ?? '', flags),
    )
  return command
}

function pointOf(at: StreamPoint | undefined, { recorded }: Flags): StreamPoint {
  return { ...at, ...(recorded === true ? { by: 'recordedAt' } : {}) }
}

const indented = (value: unknown): string =>
  (JSON.stringify(value, undefined, 2) ?? 'undefined').split('\n').map(harmless).join('\n')

async function runShow(session: Session, stream: string, flags: Flags): Promise<void> {
  const { aggregate, id } = await aggregateOf(session, stream)
  const { signal, output } = session
  await session.withStore(flags.store, 'read', async (store) => {
    const options = { ...pointOf(flags.at, flags), signal }
    const loaded: unknown = await store.aggregate(aggregate).load(id, options)
    // Of a class it is the instance itself, which knows its version.
    const { version } = loaded as { readonly version: number }
    const isPlain = Object.getPrototypeOf(loaded) === Object.prototype
    const state = isPlain ? (loaded as { readonly state: unknown }).state : loaded
    if (version === 0 && (await store.stream(stream)) === undefined) {
      throw new Refused(`there is no stream ${harmless(stream)}`)
    }
    if (flags.json === true) {
      return await output.write(`${JSON.stringify({ stream, version, state })}\n`)
    }
    return await output.write(`${harmless(stream)}, version ${version}\n${indented(state)}\n`)
  })
}

const inline = (value: unknown): string => JSON.stringify(value) ?? ''

const changeColumns: readonly Column<StateChange>[] = [
  { title: 'PATH', text: ({ path }) => (path === '' ? '(the state)' : path) },
  { title: 'CHANGE', text: ({ kind }) => kind },
  { title: 'BEFORE', text: ({ before }) => inline(before) },
  { title: 'AFTER', text: ({ after }) => inline(after) },
]

async function runDiff(session: Session, stream: string, flags: Flags): Promise<void> {
  const { aggregate, id } = await aggregateOf(session, stream)
  const { signal, output, io } = session
  await session.withStore(flags.store, 'read', async (store) => {
    const [from, to] = [pointOf(flags.from, flags), pointOf(flags.to, flags)]
    const diff: StateDiff = await store.aggregate(aggregate).diff(id, from, to, { signal })
    if (flags.json === true) return await output.write(`${JSON.stringify({ stream, ...diff })}\n`)
    await output.write(`${harmless(stream)}, version ${diff.from} to ${diff.to}\n`)
    if (diff.changes.length === 0) return await output.write('no difference\n')
    const table = new Table<StateChange>(changeColumns, output, io)
    await table.add(diff.changes)
    return await table.end()
  })
}

const historyColumns: readonly Column<ValueChange>[] = [
  { title: 'VERSION', text: ({ event }) => String(event.version), align: 'right' },
  { title: 'TIME', text: ({ event }) => event.time.toISOString() },
  { title: 'TYPE', text: ({ event }) => event.type },
  { title: 'ACTOR', text: ({ event }) => String(event.metadata.actor ?? '') },
  { title: 'BEFORE', text: ({ before }) => inline(before) },
  { title: 'AFTER', text: ({ after }) => inline(after) },
]

async function runHistory(
  session: Session,
  stream: string,
  path: string,
  flags: Flags,
): Promise<void> {
  const { aggregate, id } = await aggregateOf(session, stream)
  const { signal, output, io } = session
  await session.withStore(flags.store, 'read', async (store) => {
    const options = { ...pointOf(flags.to, flags), signal }
    const table = new Table<ValueChange>(historyColumns, output, io)
    for await (const change of store.aggregate(aggregate).history(id, path, options)) {
      if (flags.json === true) await output.write(`${JSON.stringify(change)}\n`)
      else await table.add([change])
    }
    if (flags.json !== true) await table.end()
  })
}
