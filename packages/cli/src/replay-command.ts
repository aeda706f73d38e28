import { Command, Option } from 'commander'
import {
  categoryOf,
  type ReplayFrom,
  type ReplayOptions,
  type ReplayResult,
  replay,
  type Store,
} from 'eventuali'
import { type Bound, bound, jsonOption, repeated, storeOption, wholeNumber } from './arguments.ts'
import { missing } from './configured.ts'
import { Refused, UsageError } from './exit-codes.ts'
import { etaText } from './lag-rates.ts'
import { count, counted } from './numbers.ts'
import { ProgressBar } from './progress-bar.ts'
import type { Session } from './session.ts'
import { harmless } from './text-width.ts'

interface ReplayFlags {
  readonly store?: string
  readonly into?: string
  readonly projection?: string
  readonly show?: string
  readonly from?: Bound
  readonly to?: Bound
  readonly stream?: string
  readonly category?: readonly string[]
  readonly type?: readonly string[]
  readonly tag?: readonly string[]
  readonly archived?: boolean
  readonly versions?: 'keep' | 'renumber'
  readonly resume?: string
  readonly rate?: number
  readonly dryRun?: boolean
  readonly json?: boolean
}

const LARGE: number = Number.MAX_SAFE_INTEGER

const help = `
Examples:
  eventuali replay --into sqlite:copy.db --resume copy
  eventuali replay --projection totals --to 40000 --show totals
  eventuali replay --dry-run --from 2026-01-01 --type OrderPlaced

Into another store (a url, or a name of the configuration's stores; made when it is not there) ids,
order, times and versions are kept; --versions renumber lets it count by itself. Into a projection
means a copy in memory that ends with the command, to see what it would say as of a position; the
stored tables are made anew by projections rebuild. With --resume NAME the same command goes on
where it was, after a stop or a crash, or to take what has come since. Ctrl-C ends it after the
batch in hand. Nothing else runs because of it: no effects, no subscriptions.`

/** `replay` */
export function replayCommand(session: Session): Command {
  const versions = new Option('--versions <how>', 'into a store: the numbers within streams')
  return new Command('replay')
    .description('hand the past over again: to another store, or to a projection in memory')
    .addOption(storeOption())
    .option('--into <store>', 'another store: a url, or a name of the configuration')
    .option('--projection <name>', "a projection of the configuration's, in memory")
    .option('--show <collection>', 'of the projection: its documents, one line of JSON each')
    .option('--from <place>', 'from this position or time on (with --stream: version)', bound)
    .option('--to <place>', 'up to this position, or before the first event of this time', bound)
    .option('--stream <name>', 'only this stream')
    .option('--category <name>', 'only streams of this category; may be repeated', repeated)
    .option('--type <name>', 'only events of this type; may be repeated', repeated)
    .option('--tag <tag>', 'only events with this tag; repeated: with all of them', repeated)
    .option('--archived', 'events of archived streams too (into a store: always)')
    .addOption(versions.choices(['keep', 'renumber']))
    .option('--resume <name>', 'keep a checkpoint under this name, and go on behind it')
    .option('--rate <n>', 'events in a second, at most', wholeNumber(1, LARGE))
    .option('--dry-run', 'count what would be handed over')
    .addOption(jsonOption('the result as one line of JSON'))
    .addHelpText('after', help)
    .action((flags: ReplayFlags) => runReplay(session, flags))
}

function fromOf({ from, stream }: ReplayFlags): ReplayFrom | undefined {
  if (stream !== undefined) {
    if (from !== undefined && 'time' in from) {
      throw new UsageError('with --stream, --from is a version')
    }
    return { stream, version: from?.number }
  }
  if (from === undefined) return undefined
  if ('time' in from) return { time: from.time }
  return { position: Math.max(0, from.number - 1) }
}

function optionsOf(session: Session, flags: ReplayFlags, upTo: number | undefined): ReplayOptions {
  const { category: categories, type: types, tag: tags, archived: includeArchived } = flags
  return {
    from: fromOf(flags),
    filter: { types, categories, tags, includeArchived },
    upTo,
    resume: flags.resume === undefined ? undefined : { name: flags.resume },
    ratePerSecond: flags.rate,
    dryRun: flags.dryRun,
    signal: session.signal,
  }
}

function assertTarget({ into, projection, show, dryRun, versions }: ReplayFlags): void {
  if (into !== undefined && projection !== undefined) {
    throw new UsageError('--into and --projection are two targets; give one')
  }
  if (into === undefined && projection === undefined && dryRun !== true) {
    throw new UsageError('where to? Give --into STORE, --projection NAME, or --dry-run')
  }
  if (show !== undefined && projection === undefined) {
    throw new UsageError('--show needs --projection NAME')
  }
  if (versions !== undefined && into === undefined) {
    throw new UsageError('--versions needs --into STORE')
  }
}

async function runReplay(session: Session, flags: ReplayFlags): Promise<void> {
  assertTarget(flags)
  const bar = new ProgressBar(session.io)
  const result = await session.withRawStore(flags.store, 'read', async (store) => {
    const { safe } = await store.positions()
    const upTo = await endOf(session, store, flags)
    const end = Math.min(upTo ?? safe, safe)
    const options: ReplayOptions = {
      ...optionsOf(session, flags, upTo),
      onProgress: ({ done, total, position, etaMs }) => {
        const share = total === undefined ? position / Math.max(1, end) : done / Math.max(1, total)
        const left = etaMs === undefined ? '' : `, ${etaText(etaMs)} left`
        bar.show(share, `${counted(done, 'event')}, position ${count(position)}${left}`)
      },
    }
    try {
      return await handOver(session, store, flags, options)
    } finally {
      bar.clear()
    }
  })
  // With documents on standard output, the summary stands beside them.
  if (flags.show !== undefined) session.say(resultText(result))
  else {
    const { projection: _, ...shown } = result as ReplayResult & { readonly projection?: unknown }
    const text = flags.json === true ? JSON.stringify(shown) : resultText(result)
    await session.output.write(`${text}\n`)
  }
  // A stop after the batch in hand is what Ctrl-C asks for, and told by the exit code.
  if (result.stopped === true) session.signal.throwIfAborted()
}

/** The position that `--to` means. */
async function endOf(
  { signal }: Session,
  store: Store,
  { to }: ReplayFlags,
): Promise<number | undefined> {
  if (to === undefined) return undefined
  if ('number' in to) return to.number
  const query = { since: to.time, limit: 1, includeArchived: true, signal }
  const [first] = await store.readAll(query).toArray()
  return first === undefined ? undefined : first.position - 1
}

/** Throws Refused for streams whose versions another store has no way to get to. */
async function assertKeepable(
  { signal }: Session,
  store: Store,
  target: Store,
  { category, stream, type, tag, from, to }: ReplayFlags,
): Promise<void> {
  // Of a part of the log it is not known before which streams it has.
  if ([stream, type, tag, from, to].some((part) => part !== undefined)) return
  for await (const info of store.streams({ signal })) {
    if (info.firstVersion === 1) continue
    if (category !== undefined && !category.includes(categoryOf(info.stream))) continue
    const head = await target.stream(info.stream, { signal })
    if ((head?.version ?? 0) >= info.firstVersion - 1) continue
    throw new Refused(
      `the stream ${harmless(info.stream)} begins at version ${info.firstVersion}: what came before ` +
        'was truncated or deleted, so that versions cannot be kept. Give --versions renumber, or ' +
        'copy the store as it is by fork or backup. Nothing was written',
    )
  }
}

async function handOver(
  session: Session,
  store: Store,
  flags: ReplayFlags,
  options: ReplayOptions,
): Promise<ReplayResult> {
  const { into, projection, versions } = flags
  if (projection !== undefined) return project(session, store, projection, flags, options)
  if (into === undefined) return replay(store, options)
  await assertOther(session, flags.store, into)
  return session.withRawStore(into, 'write', async (target) => {
    if (versions !== 'renumber') await assertKeepable(session, store, target, flags)
    return replay(store, { ...options, into: { store: target, versions } })
  })
}

/** Throws Refused for a store that would be copied into itself. */
async function assertOther(
  session: Session,
  store: string | undefined,
  into: string,
): Promise<void> {
  const [source, target] = [await session.place(store), await session.place(into)]
  if (source.url === target.url) throw new Refused(`${target.shownUrl} is the store itself`)
}

async function project(
  session: Session,
  store: Store,
  name: string,
  { show }: ReplayFlags,
  options: ReplayOptions,
): Promise<ReplayResult> {
  const { projections, file } = await session.config()
  const found = projections.find((one) => one.name === name)
  if (found === undefined) {
    throw missing(
      'projection',
      name,
      projections.map((one) => one.name),
      file,
    )
  }
  if (show !== undefined && !Object.hasOwn(found.collections, show)) {
    const there = Object.keys(found.collections).join(', ')
    throw new Refused(`${name} has no collection ${harmless(show)}; it has ${there}`)
  }
  const result = await replay(store, { ...options, into: { projection: found as never } })
  if (show !== undefined && options.dryRun !== true) {
    const collection = result.projection.collection(show as never)
    for (const { key, document } of await collection.entries()) {
      await session.output.write(`${JSON.stringify({ key, document })}\n`)
    }
  }
  return result
}

function resultText(result: ReplayResult): string {
  const { events, duplicates = 0, position, seconds, stopped } = result
  const there = duplicates === 0 ? '' : ` (${count(duplicates)} were there already)`
  const lines = [
    `${counted(events, 'event')}${there} up to position ${count(position)} in ${seconds.toFixed(2)} s`,
  ]
  if (stopped === true) lines.push('stopped before the end')
  for (const [type, number] of Object.entries(result.counts?.types ?? {})) {
    lines.push(`  ${count(number)} ${type}`)
  }
  return lines.map(harmless).join('\n')
}
