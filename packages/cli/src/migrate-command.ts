import { Command } from 'commander'
import {
  type MigrationPlan,
  type MigrationReport,
  type MigrationResult,
  migrateEvents,
  type Store,
  verifyMigration,
} from 'eventuali'
import { jsonOption, repeated, storeOption, wholeNumber } from './arguments.ts'
import { Refused, SilentFailure, UsageError } from './exit-codes.ts'
import { loadModule } from './load-module.ts'
import { count, counted } from './numbers.ts'
import { ProgressBar } from './progress-bar.ts'
import type { Session } from './session.ts'
import { harmless } from './text-width.ts'

interface MigrateFlags {
  readonly store?: string
  readonly to?: string
  readonly plan?: string
  readonly stream?: readonly string[]
  readonly category?: readonly string[]
  readonly type?: readonly string[]
  readonly tag?: readonly string[]
  readonly rename?: readonly string[]
  readonly redact?: readonly string[]
  readonly reKey?: readonly string[]
  readonly name: string
  readonly rate?: number
  readonly dryRun?: boolean
  readonly verify?: boolean
  readonly json?: boolean
}

const RATE_MAX = 10_000_000

/** `migrate-events` */
export function migrateCommand(session: Session): Command {
  return new Command('migrate-events')
    .description('copy events into another store, or other streams, and change them on the way')
    .addOption(storeOption())
    .option('--to <url>', 'the store to write to; the same store when left out')
    .option('--plan <module>', 'JavaScript or TypeScript whose default export is the plan')
    .option('--stream <name>', 'only this stream; may be repeated', repeated)
    .option('--category <name>', 'only streams of this category; may be repeated', repeated)
    .option('--type <name>', 'only events of this type; may be repeated', repeated)
    .option('--tag <tag>', 'only events with this tag; repeated: with all of them', repeated)
    .option('--rename <old=new>', 'another name for a type; may be repeated', repeated)
    .option('--redact <type:path>', 'remove a field (lines.note); may be repeated', repeated)
    .option('--re-key <old=new>', 'streams that begin with old begin with new', repeated)
    .option('--name <name>', 'the next run of the name takes what has come since', 'migration')
    .option('--rate <n>', 'events in a second, at most', wholeNumber(1, RATE_MAX))
    .option('--dry-run', 'run the plan and count, write nothing')
    .option('--verify', 'compare both sides instead of writing')
    .addOption(jsonOption('the result as one line of JSON'))
    .addHelpText(
      'after',
      '\nExample:\n  eventuali migrate-events --to sqlite:new.db --rename Placed=OrderPlaced --dry-run',
    )
    .action((flags: MigrateFlags) => runMigrate(session, flags))
}

function pair(option: string, text: string, sign: string): readonly [string, string] {
  const at = text.indexOf(sign)
  if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)]
  throw new UsageError(`${option} takes OLD${sign}NEW, not ${JSON.stringify(text)}`)
}

function listed(all: readonly string[] | undefined, more: readonly string[] | undefined) {
  return all === undefined ? more : [...all, ...(more ?? [])]
}

async function planOf(flags: MigrateFlags): Promise<MigrationPlan> {
  const { reKey = [], rename = [], redact = [] } = flags
  const given = flags.plan === undefined ? {} : await loadPlan(flags.plan)
  if (reKey.length > 0 && given.stream !== undefined) {
    throw new UsageError('--re-key and the plan both name streams; leave it to one of them')
  }
  const prefixes = reKey.map((text) => pair('--re-key', text, '='))
  const removed: Record<string, readonly string[]> = { ...given.redact }
  for (const text of redact) {
    const [type, path] = pair('--redact', text, ':')
    removed[type] = [...(removed[type] ?? []), path]
  }
  return {
    ...given,
    filter: {
      streams: listed(flags.stream, given.filter?.streams),
      categories: listed(flags.category, given.filter?.categories),
      types: listed(flags.type, given.filter?.types),
      tags: listed(flags.tag, given.filter?.tags),
    },
    rename: {
      ...given.rename,
      ...Object.fromEntries(rename.map((text) => pair('--rename', text, '='))),
    },
    redact: removed,
    ...(prefixes.length === 0
      ? {}
      : {
          stream: ({ stream }) => {
            const [old, now] = prefixes.find(([prefix]) => stream.startsWith(prefix)) ?? ['', '']
            return now + stream.slice(old.length)
          },
        }),
  }
}

async function loadPlan(file: string): Promise<MigrationPlan> {
  const { default: plan } = await loadModule(file, '--plan')
  if (typeof plan === 'object' && plan !== null) return plan as MigrationPlan
  throw new Refused(`${file} has no plan as its default export`)
}

async function runMigrate(session: Session, flags: MigrateFlags): Promise<void> {
  if (flags.verify === true && flags.dryRun === true) {
    throw new UsageError('--verify writes nothing by itself; leave out --dry-run')
  }
  const plan = await planOf(flags)
  const isReading = flags.verify === true || (flags.dryRun === true && flags.to === undefined)
  // A mistyped source is named, not made.
  await session.withRawStore(flags.store, 'read', (source) =>
    session.withRawStore(flags.to ?? flags.store, isReading ? 'read' : 'write', (target) =>
      migrate(session, flags, plan, source, target),
    ),
  )
}

async function migrate(
  session: Session,
  flags: MigrateFlags,
  plan: MigrationPlan,
  source: Store,
  into: Store,
): Promise<void> {
  const { signal } = session
  const bar = new ProgressBar(session.io)
  const show = (events: number) => bar.show(undefined, counted(events, 'event'))
  if (flags.verify === true) {
    const report = await verifyMigration(source, { ...plan, into, signal, onProgress: show })
    bar.clear()
    const text = flags.json === true ? `${JSON.stringify(report)}\n` : reportText(report)
    await session.output.write(text)
    if (!report.ok) throw new SilentFailure()
    return
  }
  const { name, rate: ratePerSecond, dryRun } = flags
  try {
    const result = await migrateEvents(source, {
      ...{ ...plan, into, name, ratePerSecond, dryRun, signal },
      onProgress: ({ done }) => show(done),
    })
    bar.clear()
    signal.throwIfAborted()
    const text = flags.json === true ? `${JSON.stringify(result)}\n` : resultText(result)
    await session.output.write(text)
  } finally {
    bar.clear()
  }
}

function resultText({
  read,
  written,
  position,
  seconds,
  counts,
  cutOver,
}: MigrationResult): string {
  const what = counts === undefined ? 'written' : 'would be written'
  const types = Object.entries(counts?.types ?? {}).map(
    ([type, events]) => `  ${harmless(type)}: ${count(events)}\n`,
  )
  const steps = cutOver.map((step, at) => `${at + 1}. ${harmless(step)}\n`)
  return [
    `${counted(read, 'event')} read, ${count(written)} ${what}, up to position ${count(position)}, in ${seconds.toFixed(1)} s\n`,
    ...types,
    '\nTo go over:\n',
    ...steps,
  ].join('')
}

function reportText(report: MigrationReport): string {
  const { ok, expected, found, differences, differenceCount, others } = report
  const side = (name: string, { events, streams, checksum }: MigrationReport['found']) =>
    `${name} ${counted(events, 'event')} in ${counted(streams, 'stream')}, SHA-256 ${checksum}\n`
  const lines = differences.map(
    ({ stream, version, reason }) => `${harmless(`${stream} version ${version}: ${reason}`)}\n`,
  )
  const more = differenceCount - differences.length
  return [
    side('expected', expected),
    side('found   ', found),
    ...lines,
    more > 0 ? `and ${count(more)} more streams that differ\n` : '',
    others > 0 ? `${counted(others, 'event')} of other streams in the target\n` : '',
    ok ? 'the same\n' : `${counted(differenceCount, 'stream')} differ\n`,
  ].join('')
}
