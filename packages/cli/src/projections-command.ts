import { Command, InvalidArgumentError, Option } from 'commander'
import {
  type CompareReport,
  isEventualiError,
  type ProjectionDiffersError,
  type RebuildReport,
  type RowDifference,
  type Store,
} from 'eventuali'
import { jsonOption, outcomeOption, storeOption } from './arguments.ts'
import { actorOf, actorOption } from './by-hand.ts'
import { missing } from './configured.ts'
import { Refused, SilentFailure } from './exit-codes.ts'
import { etaText, rateText } from './lag-rates.ts'
import { count, counted } from './numbers.ts'
import { ProgressBar } from './progress-bar.ts'
import { type ProjectionRow, projectionRows } from './projection-rows.ts'
import { duration, durationText } from './quantities.ts'
import type { Session } from './session.ts'
import { sampleOption } from './subscriptions-command.ts'
import { type Column, Table } from './table.ts'
import { harmless } from './text-width.ts'

interface ListFlags {
  readonly store?: string
  readonly sample: number
  readonly json?: boolean
}

interface WorkFlags {
  readonly store?: string
  readonly actor?: string
  readonly compare?: boolean
  readonly requireEqual?: boolean
  readonly onError?: 'fail' | 'skip'
  readonly wait?: number
  readonly json?: boolean
}

const WAIT_MS_MAX = 3_600_000

const help = `
Examples:
  eventuali projections list
  eventuali projections rebuild totals --require-equal
  eventuali projections compare totals
  eventuali projections rollback totals

Looking needs no configuration, what changes something needs the projection's definition in it.
Readers see the old generation until the new one is complete; it is kept, so that there is a way
back. Programs that run the projection notice a change within their next look.`

/** `projections` */
export function projectionsCommand(session: Session): Command {
  const command = new Command('projections')
    .description('read models: how they are, rebuild them without downtime, compare, go back')
    .addHelpText('after', help)
  addLooks(command, session)
  addBuilds(command, session)
  for (const change of ['pause', 'resume'] as const) {
    command
      .command(`${change} <name>`)
      .description(change === 'pause' ? 'hold it in all programs' : 'go on after a pause')
      .addOption(storeOption())
      .addOption(actorOption())
      .addOption(outcomeOption())
      .addHelpText('after', `\nExample:\n  eventuali projections ${change} totals`)
      .action((name: string, flags: WorkFlags) => runPause(session, change, name, flags))
  }
  return command
}

function addLooks(command: Command, session: Session): void {
  command
    .command('list', { isDefault: true })
    .description('all that the store or the configuration knows')
    .addOption(storeOption())
    .addOption(sampleOption())
    .addOption(jsonOption('one line of JSON for each'))
    .addHelpText('after', '\nExample:\n  eventuali projections list --sample 5s')
    .action((flags: ListFlags) => runList(session, flags))
  command
    .command('status <name>')
    .description('one of them, with its generations and what is being built')
    .addOption(storeOption())
    .addOption(sampleOption())
    .addOption(jsonOption('as one line of JSON'))
    .addHelpText('after', '\nExample:\n  eventuali projections status totals')
    .action((name: string, flags: ListFlags) => runStatus(session, name, flags))
  command
    .command('compare <name>')
    .description('what differs between the live generation and the one beside it; 1 if anything')
    .addOption(storeOption())
    .option('--wait <time>', 'for both to stand at one position; 5s', duration(0, WAIT_MS_MAX))
    .addOption(jsonOption('the whole report as one line of JSON'))
    .addHelpText('after', '\nExample:\n  eventuali projections compare totals')
    .action((name: string, flags: WorkFlags) => runCompare(session, name, flags))
}

function addBuilds(command: Command, session: Session): void {
  const onError = new Option('--on-error <what>', 'at an event whose handler fails')
  command
    .command('rebuild <name>')
    .description('build a new generation beside the old one, compare, switch readers to it')
    .addOption(storeOption())
    .option('--no-compare', 'do not compare it with the old one')
    .option('--require-equal', 'keep the old one live when they differ')
    .addOption(onError.choices(['fail', 'skip']).default('fail'))
    .addOption(actorOption())
    .addOption(jsonOption('the result as one line of JSON'))
    .addHelpText('after', '\nExample:\n  eventuali projections rebuild totals --require-equal')
    .action((name: string, flags: WorkFlags) => runRebuild(session, name, flags))
  command
    .command('switch')
    .argument('<name>', 'name of the projection')
    .argument('<generation>', 'its number, as projections status shows it', generationNumber)
    .description('make a kept generation the live one, by its number')
    .addOption(storeOption())
    .addOption(actorOption())
    .addOption(outcomeOption())
    .addHelpText('after', '\nExample:\n  eventuali projections switch totals 2')
    .action((name: string, generation: number, flags: WorkFlags) =>
      runSwitch(session, name, generation, flags),
    )
  command
    .command('rollback <name>')
    .description('make the generation live again that was live before')
    .addOption(storeOption())
    .addOption(actorOption())
    .addOption(outcomeOption())
    .addHelpText('after', '\nExample:\n  eventuali projections rollback totals')
    .action((name: string, flags: WorkFlags) => runRollback(session, name, flags))
}

function generationNumber(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('A generation is a number from 1; projections status shows them.')
}

const liveText = ({ live }: ProjectionRow): string =>
  live === undefined ? '' : `${live.generation} (v${live.version})`
const optional = (value: number | undefined, text: (value: number) => string): string =>
  value === undefined ? '' : text(value)

const columns: readonly Column<ProjectionRow>[] = [
  { title: 'NAME', text: ({ name }) => name },
  { title: 'VERSION', text: ({ version }) => optional(version, String), align: 'right' },
  { title: 'LIVE', text: liveText },
  { title: 'MODE', text: ({ mode = '' }) => mode },
  { title: 'STATE', text: ({ state }) => state },
  { title: 'POSITION', text: ({ position }) => optional(position, String), align: 'right' },
  { title: 'LAG', text: ({ lag }) => optional(lag, count), align: 'right' },
  { title: 'BEHIND', text: ({ behindMs }) => optional(behindMs, durationText), align: 'right' },
  { title: 'RATE', text: ({ ratePerSecond }) => rateText(ratePerSecond), align: 'right' },
  { title: 'ETA', text: ({ etaMs }) => etaText(etaMs), align: 'right' },
]

async function runList(session: Session, { store: url, sample, json }: ListFlags): Promise<void> {
  const { output, io, signal } = session
  await session.withStore(url, 'read', async (store) => {
    const rows = await projectionRows(store, { sampleMs: sample, signal })
    if (json === true) {
      await output.write(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
      return
    }
    const table = new Table<ProjectionRow>(columns, output, io)
    await table.add(rows)
    await table.end()
  })
}

type Generation = ProjectionRow['generations'][number]

async function runStatus(session: Session, name: string, flags: ListFlags): Promise<void> {
  const { output, io, signal } = session
  await session.withStore(flags.store, 'read', async (store) => {
    const rows = await projectionRows(store, { sampleMs: flags.sample, signal })
    const row = rows.find((one) => one.name === name)
    if (row === undefined) {
      const known = rows.map((one) => one.name).join(', ')
      const there = known === '' ? 'there is none' : `there is ${known}`
      throw new Refused(`there is no projection ${harmless(name)}; ${harmless(there)}`)
    }
    if (flags.json === true) return await output.write(`${JSON.stringify(row)}\n`)
    await output.write(statusText(row))
    const generations: readonly Column<Generation>[] = [
      { title: 'GENERATION', text: ({ generation }) => String(generation), align: 'right' },
      { title: 'VERSION', text: ({ version }) => String(version), align: 'right' },
      { title: 'MODE', text: ({ mode }) => mode },
      { title: 'STATUS', text: ({ status }) => status },
      { title: 'TABLES', text: ({ tables }) => Object.values(tables).join(', ') },
    ]
    const table = new Table<Generation>(generations, output, io)
    await table.add(row.generations)
    return await table.end()
  })
}

function statusText(row: ProjectionRow): string {
  const { name, version, state, position, lag, behindMs, ratePerSecond, etaMs, builds } = row
  const defined = version === undefined ? 'not in the configuration' : `defined as v${version}`
  const lines = [`${name}: ${state}, ${defined}, live ${liveText(row) || 'nothing'}`]
  if (position !== undefined && lag !== undefined) {
    const rate = ratePerSecond === undefined ? '' : `, ${rateText(ratePerSecond)}`
    const eta = etaMs === undefined || etaMs === 0 ? '' : `, caught up in ${etaText(etaMs)}`
    // Nobody has run it since it was switched to: how old the next event is was not looked at.
    const behind = behindMs === undefined ? '' : `, behind ${durationText(behindMs)}`
    lines.push(`position ${position}, lag ${count(lag)}${behind}${rate}${eta}`)
  }
  for (const { generation, position: at, events, lag: left, etaMs: eta, failed } of builds) {
    const end = eta === undefined ? '' : `, ready in ${etaText(eta)}`
    const what =
      failed === undefined
        ? `is built: position ${at}, ${counted(events, 'event')}, ${count(left)} to go${end}`
        : `was given up at position ${at}: ${failed}; projections rebuild ${name} goes on with it`
    lines.push(`generation ${generation} ${what}`)
  }
  return `${lines.map(harmless).join('\n')}\n\n`
}

/** Opens the store, once the configuration is seen to have the projection. */
async function withProjection<T>(
  session: Session,
  name: string,
  flags: WorkFlags,
  work: (store: Store) => Promise<T>,
): Promise<T> {
  const { projections, file } = await session.config()
  const known = projections.map((one) => one.name)
  if (!known.includes(name)) throw missing('projection', name, known, file)
  return session.withStore(flags.store, 'change', work)
}

async function runRebuild(session: Session, name: string, flags: WorkFlags): Promise<void> {
  const { compare, requireEqual, onError, json } = flags
  const bar = new ProgressBar(session.io)
  const { report, left } = await withProjection(session, name, flags, async (store) => {
    try {
      const built = await store.projections.rebuild(name, {
        ...{ compare, requireEqual, onError, signal: session.signal },
        actor: actorOf(session, flags),
        onProgress: ({ done, total, events, etaMs }) =>
          bar.show(
            total === 0 ? 1 : done / total,
            `${counted(events, 'event')}${etaMs === undefined ? '' : `, ${etaText(etaMs)} left`}`,
          ),
      })
      const { safe } = await store.positions()
      return { report: built, left: Math.max(0, safe - built.position) }
    } catch (error) {
      bar.clear()
      // The message sends people to the report, which is on no other command any more.
      if (isEventualiError(error, 'PROJECTION_DIFFERS')) {
        const { report } = error as ProjectionDiffersError
        await showComparison(session, report as CompareReport, json)
      }
      throw error
    } finally {
      bar.clear()
    }
  })
  await session.output.write(
    json === true
      ? `${JSON.stringify({ projection: name, ...report })}\n`
      : builtText(name, report, left),
  )
}

function builtText(name: string, report: RebuildReport, left: number): string {
  const { generation, position, comparison, skipped } = report
  // Both generations stand where the old one was; whoever runs the projection goes on from there.
  const rest = left === 0 ? '' : `; ${counted(left, 'position')} left to whoever runs it`
  const lines = [`${name}: generation ${generation} is live, as of position ${position}${rest}`]
  if (comparison !== undefined) lines.push(compareText(comparison))
  if (skipped.length > 0) {
    const shown = skipped.slice(0, 20).join(', ')
    lines.push(`${counted(skipped.length, 'event')} passed over, at positions ${shown}`)
  }
  return `${lines.map(harmless).join('\n')}\n`
}

function compareText(report: CompareReport): string {
  const { old, new: now, equal, same, onlyOld, onlyNew, different, samePosition } = report
  const pair = `generation ${old.generation} (v${old.version}) and ${now.generation} (v${now.version})`
  const where = samePosition
    ? `at position ${now.position}`
    : `at positions ${old.position} and ${now.position}, which explains differences`
  if (equal) return `${pair} ${where}: equal, ${counted(same, 'row')}`
  const differ = different === 1 ? '1 row differs' : `${count(different)} rows differ`
  return `${pair} ${where}: ${differ}, ${count(onlyOld)} only old, ${count(onlyNew)} only new, ${count(same)} the same`
}

const differenceColumns: readonly Column<RowDifference>[] = [
  { title: 'TABLE', text: ({ target }) => target },
  { title: 'KEY', text: ({ key }) => key },
  { title: 'OLD', text: ({ old }) => JSON.stringify(old) ?? '' },
  { title: 'NEW', text: (row) => JSON.stringify(row.new) ?? '' },
]

async function runCompare(session: Session, name: string, flags: WorkFlags): Promise<void> {
  const report = await withProjection(session, name, flags, (store) =>
    store.projections.compare(name, { timeoutMs: flags.wait, signal: session.signal }),
  )
  await showComparison(session, report, flags.json)
  if (!report.equal) throw new SilentFailure()
}

async function showComparison(
  { output, io }: Session,
  report: CompareReport,
  json: boolean | undefined,
): Promise<void> {
  if (json === true) return await output.write(`${JSON.stringify(report)}\n`)
  await output.write(`${harmless(compareText(report))}\n`)
  if (report.rows.length > 0) {
    const table = new Table<RowDifference>(differenceColumns, output, io)
    await table.add(report.rows)
    await table.end()
  }
  for (const target of report.uncompared) {
    await output.write(`only one of them has ${harmless(target)}\n`)
  }
  if (!report.complete) await output.write('there are more differences than were counted\n')
}

async function runSwitch(
  session: Session,
  name: string,
  generation: number,
  flags: WorkFlags,
): Promise<void> {
  const options = { signal: session.signal, actor: actorOf(session, flags) }
  await withProjection(session, name, flags, (store) =>
    store.projections.switchTo(name, generation, options),
  )
  const text = `${harmless(name)}: generation ${generation} is live`
  await session.answer(flags.json, { projection: name, generation }, text)
}

async function runRollback(session: Session, name: string, flags: WorkFlags): Promise<void> {
  const options = { signal: session.signal, actor: actorOf(session, flags) }
  const { generation } = await withProjection(session, name, flags, (store) =>
    store.projections.rollback(name, options),
  )
  const text = `${harmless(name)}: generation ${generation} is live again`
  await session.answer(flags.json, { projection: name, generation }, text)
}

async function runPause(
  session: Session,
  change: 'pause' | 'resume',
  name: string,
  flags: WorkFlags,
): Promise<void> {
  await withProjection(session, name, flags, (store) =>
    store.projections[change](name, { actor: actorOf(session, flags) }),
  )
  const text = change === 'pause' ? 'is paused; programs hold within their next look' : 'goes on'
  const value = { projection: name, paused: change === 'pause' }
  await session.answer(flags.json, value, `${harmless(name)} ${text}`)
}
