import { Command, Option } from 'commander'
import type { Store, SubscriptionStatus } from 'eventuali'
import { jsonOption, outcomeOption, storeOption } from './arguments.ts'
import { actorOf, actorOption } from './by-hand.ts'
import { Refused } from './exit-codes.ts'
import { etaText, type MeasuredLag, measureLag, rateText, stateOf } from './lag-rates.ts'
import { count } from './numbers.ts'
import { duration, durationText } from './quantities.ts'
import type { Session } from './session.ts'
import { type Column, Table } from './table.ts'
import { harmless } from './text-width.ts'

interface ListFlags {
  readonly store?: string
  readonly sample: number
  readonly json?: boolean
}

interface ChangeFlags {
  readonly store?: string
  readonly reason?: string
  readonly actor?: string
  readonly json?: boolean
}

const SAMPLE_MS = 1000
const SAMPLE_MS_MAX = 3_600_000

/** The option of commands that tell of rates. */
export const sampleOption = (): Option =>
  new Option('--sample <time>', 'how long to look, to tell the rate; 0s: once, without rates')
    .argParser(duration(0, SAMPLE_MS_MAX))
    .default(SAMPLE_MS, '1s')

const help = `
Examples:
  eventuali subscriptions list
  eventuali subscriptions status mailer --json
  eventuali subscriptions pause mailer --reason "the mail server moves"
  eventuali subscriptions resume mailer

POSITION is what is done in all partitions, LAG the positions from there to the end of the log,
BEHIND the age of the next event. Progress past events that nobody asked for is saved every five
seconds while a program runs, so that LAG may be less than it says.`

/** `subscriptions` */
export function subscriptionsCommand(session: Session): Command {
  const command = new Command('subscriptions')
    .description('what follows the log by name: how far it is, how fast; hold it and go on')
    .addHelpText('after', help)
  command
    .command('list', { isDefault: true })
    .description('all of them, those of projections, processes and outboxes too')
    .addOption(storeOption())
    .addOption(sampleOption())
    .addOption(jsonOption('one line of JSON for each instead of a table'))
    .addHelpText('after', '\nExample:\n  eventuali subscriptions list --sample 5s')
    .action((flags: ListFlags) => runList(session, flags))
  command
    .command('status <name>')
    .description('one of them, partition by partition')
    .addOption(storeOption())
    .addOption(sampleOption())
    .addOption(jsonOption('as one line of JSON'))
    .addHelpText('after', '\nExample:\n  eventuali subscriptions status mailer')
    .action((name: string, flags: ListFlags) => runStatus(session, name, flags))
  command
    .command('pause <name>')
    .description('hold it in all programs, within their next look')
    .addOption(storeOption())
    .option('--reason <text>', 'why, for whoever looks at it')
    .addOption(actorOption())
    .addOption(outcomeOption())
    .addHelpText('after', '\nExample:\n  eventuali subscriptions pause mailer --reason "moving"')
    .action((name: string, flags: ChangeFlags) => runPause(session, name, flags))
  command
    .command('resume <name>')
    .description('go on after a pause; partitions that have stopped try their event again')
    .addOption(storeOption())
    .addOption(actorOption())
    .addOption(outcomeOption())
    .addHelpText('after', '\nExample:\n  eventuali subscriptions resume mailer')
    .action((name: string, flags: ChangeFlags) => runResume(session, name, flags))
  return command
}

const columns: readonly Column<MeasuredLag>[] = [
  { title: 'NAME', text: ({ name }) => name },
  { title: 'STATE', text: stateOf },
  { title: 'POSITION', text: ({ position }) => String(position), align: 'right' },
  { title: 'LAG', text: ({ lag }) => count(lag), align: 'right' },
  { title: 'BEHIND', text: ({ behindMs }) => durationText(behindMs), align: 'right' },
  { title: 'RATE', text: ({ ratePerSecond }) => rateText(ratePerSecond), align: 'right' },
  { title: 'ETA', text: ({ etaMs }) => etaText(etaMs), align: 'right' },
  { title: 'OWNED', text: ({ owned, partitions }) => `${owned}/${partitions}`, align: 'right' },
]

async function runList(session: Session, { store: url, sample, json }: ListFlags): Promise<void> {
  const { output, signal } = session
  await session.withRawStore(url, 'read', async (store) => {
    const rows = await measureLag(store, { sampleMs: sample, signal })
    if (json === true) {
      await output.write(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
      return
    }
    const table = new Table<MeasuredLag>(columns, output, session.io)
    await table.add(rows)
    await table.end()
  })
}

/** The subscription of a name. Throws Refused with those that there are. */
async function known(store: Store, name: string): Promise<SubscriptionStatus> {
  const status = await store.subscriptions.status(name)
  if (status !== undefined) return status
  const names = await store.subscriptions.names()
  const there =
    names.length === 0 ? 'there is none yet' : `there are ${names.slice(0, 20).join(', ')}`
  throw new Refused(`there is no subscription ${harmless(name)}; ${harmless(there)}`)
}

async function runStatus(session: Session, name: string, flags: ListFlags): Promise<void> {
  const { signal, output } = session
  await session.withRawStore(flags.store, 'read', async (store) => {
    await known(store, name)
    const [lag] = await measureLag(store, { sampleMs: flags.sample, names: [name], signal })
    // After the look, so that both tell of the same moment.
    const status = await store.subscriptions.status(name)
    if (lag === undefined || status === undefined)
      throw new Refused(`${harmless(name)} is gone since`)
    if (flags.json === true) {
      await output.write(`${JSON.stringify({ ...lag, ...status })}\n`)
      return
    }
    await output.write(headOf(lag, status))
    await writePartitions(session, status)
  })
}

function headOf(lag: MeasuredLag, { partitionBy, nextPartitions }: SubscriptionStatus): string {
  const { name, kind, position, behindMs, ratePerSecond, etaMs, paused } = lag
  const rate = ratePerSecond === undefined ? '' : `, ${rateText(ratePerSecond)}`
  const eta = etaMs === undefined || etaMs === 0 ? '' : `, caught up in ${etaText(etaMs)}`
  const lines = [
    `${name}: ${stateOf(lag)} (${kind}, order by ${partitionBy})`,
    `position ${position}, lag ${count(lag.lag)}, behind ${durationText(behindMs)}${rate}${eta}`,
  ]
  if (paused !== undefined) lines.push(`paused: ${paused}`)
  if (nextPartitions !== undefined) lines.push(`changes to ${nextPartitions} partitions`)
  return `${lines.map(harmless).join('\n')}\n\n`
}

type Partition = SubscriptionStatus['partitions'][number]

async function writePartitions(session: Session, status: SubscriptionStatus): Promise<void> {
  const rows: readonly Column<Partition>[] = [
    { title: 'PARTITION', text: ({ partition }) => String(partition), align: 'right' },
    { title: 'POSITION', text: ({ position }) => String(position), align: 'right' },
    { title: 'EPOCH', text: ({ epoch }) => String(epoch), align: 'right' },
    { title: 'OWNER', text: ({ owner }) => owner ?? 'none' },
    { title: 'STOPPED', text: ({ stopped }) => stopped ?? '' },
  ]
  const table = new Table<Partition>(rows, session.output, session.io)
  await table.add(status.partitions)
  await table.end()
}

async function runPause(session: Session, name: string, flags: ChangeFlags): Promise<void> {
  const { reason } = flags
  const actor = actorOf(session, flags)
  await session.withRawStore(flags.store, 'change', async (store) => {
    await known(store, name)
    await store.subscriptions.pause(name, reason === undefined ? { actor } : { actor, reason })
  })
  const text = `${harmless(name)} is paused; programs hold within their next look`
  await session.answer(flags.json, { subscription: name, paused: true }, text)
}

async function runResume(session: Session, name: string, flags: ChangeFlags): Promise<void> {
  await session.withRawStore(flags.store, 'change', async (store) => {
    const { partitions } = await known(store, name)
    await store.subscriptions.resume(name, { actor: actorOf(session, flags) })
    const stopped = partitions.filter((partition) => partition.stopped !== undefined).length
    const tried = stopped === 0 ? '' : `; ${stopped} stopped partitions try their event again`
    const value = { subscription: name, paused: false, stopped }
    await session.answer(flags.json, value, `${harmless(name)} goes on${tried}`)
  })
}
