import { Command } from 'commander'
import type { SnapshotInfo, SnapshotReport, Store } from 'eventuali'
import { jsonOption, outcomeOption, storeOption, wholeNumber } from './arguments.ts'
import {
  type AnyAggregate,
  aggregateName,
  aggregateNamed,
  aggregateOf,
  allAggregates,
} from './configured.ts'
import { confirmStore, yesOption } from './confirm.ts'
import { Refused, SilentFailure, UsageError } from './exit-codes.ts'
import { count, counted } from './numbers.ts'
import type { Session } from './session.ts'
import { type Column, Table } from './table.ts'
import { harmless } from './text-width.ts'

interface Flags {
  readonly store?: string
  readonly aggregate?: readonly string[] | string
  readonly prefix?: string
  readonly limit?: number
  readonly all?: boolean
  readonly yes?: boolean
  readonly json?: boolean
}

const PAGE_COUNT = 100
const LIMIT_MAX = 1_000_000

const help = `
Examples:
  eventuali snapshots list --prefix order-
  eventuali snapshots create order-17
  eventuali snapshots verify
  eventuali snapshots prune order-17 --yes

A snapshot is the kept state of an aggregate, so that a long stream loads fast. All of them may be
dropped at any time: loads take longer then, and nothing else changes.`

/** `snapshots` */
export function snapshotsCommand(session: Session): Command {
  const command = new Command('snapshots')
    .description('kept states of aggregates: list, keep one now, compare with the events, drop')
    .addHelpText('after', help)
  command
    .command('list [stream]', { isDefault: true })
    .description('of one stream, or of all')
    .addOption(storeOption())
    .option('--prefix <text>', 'only streams whose names begin so')
    .option('-n, --limit <n>', 'of so many streams at most; 1000', wholeNumber(1, LIMIT_MAX))
    .addOption(jsonOption('one line of JSON for each'))
    .addHelpText('after', '\nExample:\n  eventuali snapshots list order-17')
    .action((stream: string | undefined, flags: Flags) => runList(session, stream, flags))
  command
    .command('create <streams...>')
    .description("keep the streams' newest states now, whatever the rules say")
    .addOption(storeOption())
    .addOption(jsonOption('one line of JSON for each'))
    .addHelpText('after', '\nExample:\n  eventuali snapshots create order-17 order-18')
    .action((streams: string[], flags: Flags) => runCreate(session, streams, flags))
  command
    .command('verify')
    .description("compare kept states with their events; ends with 1 when one isn't right")
    .addOption(storeOption())
    .option('--aggregate <names...>', 'only these; all of the configuration when left out')
    .addOption(jsonOption('one line of JSON for each aggregate'))
    .addHelpText('after', '\nExample:\n  eventuali snapshots verify --aggregate order')
    .action((flags: Flags) => runVerify(session, flags))
  command
    .command('prune [streams...]')
    .description('drop the kept states of streams, or with --all of all of them')
    .addOption(storeOption())
    .option('--all', 'those of all streams')
    .addOption(yesOption())
    .addOption(outcomeOption())
    .addHelpText('after', '\nExample:\n  eventuali snapshots prune --all')
    .action((streams: string[], flags: Flags) => runPrune(session, streams, flags))
  return command
}

/** Opens the store with snapshots, whether or not the configuration keeps some. */
async function withSnapshots<T>(
  session: Session,
  store: string | undefined,
  access: 'read' | 'change',
  work: (store: Store) => Promise<T>,
): Promise<T> {
  const { snapshots = {} } = (await session.place(store)).options
  return session.withStore(store, access, work, { snapshots })
}

const columns: readonly Column<SnapshotInfo>[] = [
  { title: 'STREAM', text: ({ stream }) => stream },
  { title: 'VERSION', text: ({ version }) => String(version), align: 'right' },
  { title: 'POSITION', text: ({ position }) => String(position), align: 'right' },
  { title: 'TAKEN', text: ({ takenAt }) => takenAt.toISOString() },
  { title: 'SIZE', text: ({ size }) => count(size), align: 'right' },
  { title: 'CODEC', text: ({ codec }) => codec },
  { title: 'CODE', text: ({ fingerprint }) => fingerprint.slice(0, 12) },
]

async function* pagesOf(
  store: Store,
  stream: string | undefined,
  { prefix, limit = 1000 }: Flags,
  signal: AbortSignal,
): AsyncGenerator<readonly SnapshotInfo[]> {
  if (stream !== undefined) {
    yield await store.snapshots.list(stream, { signal })
    return
  }
  let after: string | undefined
  for (let left = limit; left > 0; left -= PAGE_COUNT) {
    const asked = { prefix, after, limit: Math.min(left, PAGE_COUNT) }
    const page = await store.snapshots.page(asked, { signal })
    after = page.at(-1)?.stream
    if (after === undefined) return
    yield page
  }
}

async function runList(session: Session, stream: string | undefined, flags: Flags): Promise<void> {
  const { output, io, signal } = session
  await withSnapshots(session, flags.store, 'read', async (store) => {
    const table = new Table<SnapshotInfo>(columns, output, io)
    for await (const page of pagesOf(store, stream, flags, signal)) {
      if (flags.json !== true) await table.add(page)
      else await output.write(page.map((info) => `${JSON.stringify(info)}\n`).join(''))
    }
    if (flags.json !== true) await table.end()
  })
}

async function runCreate(
  session: Session,
  streams: readonly string[],
  flags: Flags,
): Promise<void> {
  const { output, signal } = session
  const found: { stream: string; aggregate: AnyAggregate; id: string }[] = []
  for (const stream of streams) found.push({ stream, ...(await aggregateOf(session, stream)) })
  await withSnapshots(session, flags.store, 'change', async (store) => {
    for (const { stream, aggregate, id } of found) {
      signal.throwIfAborted()
      const info = await store.snapshots.take(aggregate, id)
      if (info === undefined) throw new Refused(nothingKept(store, stream))
      const text =
        flags.json === true
          ? JSON.stringify(info)
          : `${harmless(stream)}, version ${info.version}: kept, ${count(info.size)} characters`
      await output.write(`${text}\n`)
    }
  })
}

function nothingKept(store: Store, stream: string): string {
  const { problem } = store.snapshots.stats
  const why =
    problem instanceof Error
      ? problem.message
      : 'it has no events, or its aggregate keeps no snapshots'
  return `nothing is kept of ${harmless(stream)}: ${harmless(why)}`
}

async function runVerify(session: Session, flags: Flags): Promise<void> {
  const names = flags.aggregate === undefined ? undefined : [flags.aggregate].flat()
  const aggregates =
    names === undefined
      ? await allAggregates(session)
      : await Promise.all(names.map((name) => aggregateNamed(session, name)))
  const isWrong = await withSnapshots(session, flags.store, 'change', async (store) => {
    let wrongCount = 0
    for (const aggregate of aggregates) {
      session.signal.throwIfAborted()
      const report = await store.snapshots.verify(aggregate)
      wrongCount += report.wrong.length
      await session.output.write(reportText(aggregateName(aggregate), report, flags))
    }
    return wrongCount > 0
  })
  if (isWrong) throw new SilentFailure()
}

function reportText(aggregate: string, report: SnapshotReport, { json }: Flags): string {
  if (json === true) return `${JSON.stringify({ aggregate, ...report })}\n`
  const { same, passed, wrong } = report
  const lines = wrong.map(
    ({ stream, version, reason }) => `  ${stream}, version ${version}: ${reason}`,
  )
  const others = passed === 0 ? '' : `, ${count(passed)} of other code or of removed events`
  const head = `${aggregate}: ${count(same)} right, ${count(wrong.length)} wrong${others}`
  return `${[head, ...lines].map(harmless).join('\n')}\n`
}

async function runPrune(session: Session, streams: readonly string[], flags: Flags): Promise<void> {
  if ((streams.length === 0) === (flags.all !== true)) {
    throw new UsageError('give the names of streams, or --all')
  }
  const what = flags.all === true ? 'all its snapshots' : `the snapshots of ${streams.join(', ')}`
  await confirmStore(session, flags.store, { what: `loses ${what}`, yes: flags.yes })
  const dropped = await withSnapshots(session, flags.store, 'change', async (store) => {
    if (flags.all === true) return await store.snapshots.drop()
    let sum = 0
    for (const stream of streams) sum += await store.snapshots.drop(stream)
    return sum
  })
  await session.answer(flags.json, { dropped }, `${counted(dropped, 'snapshot')} dropped`)
}
