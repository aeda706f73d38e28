import { Command } from 'commander'
import type { VerifyProblem, VerifyReport, VerifyStep } from 'eventuali'
import { jsonOption, storeOption, wholeNumber } from './arguments.ts'
import { SilentFailure } from './exit-codes.ts'
import { count, counted } from './numbers.ts'
import { ProgressBar } from './progress-bar.ts'
import type { Session } from './session.ts'
import { harmless } from './text-width.ts'
import { loadVerifiable } from './verify-module.ts'

interface VerifyFlags {
  readonly store?: string
  readonly projections?: readonly string[]
  readonly snapshots?: number
  readonly seed?: number
  readonly json?: boolean
}

const SHOWN_MAX = 50
const SAMPLE_MAX = 1_000_000
const SEED_MAX = 2 ** 31

/** `verify` */
export function verifyCommand(session: Session): Command {
  return new Command('verify')
    .description('prove the log, and what stands beside it')
    .addOption(storeOption())
    .option('--projections <names>', 'only these of the projections: a,b', namesOf)
    .option(
      '--snapshots <n>',
      'kept states of each aggregate to fold again; 1,000',
      wholeNumber(0, SAMPLE_MAX),
    )
    .option('--seed <n>', 'draws the same kept states again', wholeNumber(0, SEED_MAX))
    .addOption(jsonOption('the report as one line of JSON'))
    .addHelpText('after', '\nExample:\n  eventuali verify --store sqlite:shop.db')
    .action((flags: VerifyFlags) => runVerify(session, flags))
}

function namesOf(text: string): readonly string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}

async function runVerify(session: Session, flags: VerifyFlags): Promise<void> {
  const { projections: names, snapshots: snapshotSampleCount, seed } = flags
  const { projections, aggregates } = await loadVerifiable(session, names)
  const bar = new ProgressBar(session.io)
  // A refold of a read model is written into tables of its own.
  const access = projections.length > 0 ? 'write' : 'read'
  const report = await session.withRawStore(flags.store, access, async (store) => {
    try {
      const { signal } = session
      return await store.verify({
        ...{ signal, projections, aggregates, snapshotSampleCount, seed },
        onProgress: (events, step) => show(bar, events, step),
      })
    } finally {
      bar.clear()
    }
  })
  await session.output.write(flags.json === true ? `${JSON.stringify(report)}\n` : textOf(report))
  if (!report.ok) throw new SilentFailure()
}

const units = {
  storage: 'page',
  log: 'event',
  streams: 'stream',
  checkpoints: 'checkpoint',
  snapshots: 'kept state',
  'read-models': 'position',
} as const

function show(bar: ProgressBar, events: number, { check, done, total }: VerifyStep): void {
  const share = total === undefined || total === 0 ? undefined : done / total
  const sum = check === 'log' ? events : done
  const text = check === 'storage' ? 'pages, indexes and checksums' : counted(sum, units[check])
  bar.show(share, `${check}: ${text}`)
}

function whereOf({ position, stream, subscription, projection, key }: VerifyProblem): string {
  const parts = { position, stream, subscription, projection, key }
  return Object.entries(parts)
    .flatMap(([name, value]) => (value === undefined ? [] : [` ${name} ${value}`]))
    .join('')
}

function textOf(report: VerifyReport): string {
  const { events, streams, checkpoints, snapshots, projections, unchecked } = report
  const { problems, problemCount } = report
  let text = ''
  for (const problem of problems.slice(0, SHOWN_MAX)) {
    const { kind, reason, advice } = problem
    text += `${harmless(`${kind}${whereOf(problem)}: ${reason}; ${advice}`)}\n`
  }
  if (problemCount > SHOWN_MAX) text += `and ${count(problemCount - SHOWN_MAX)} more\n`
  for (const { projection, same, position } of projections) {
    const rows = counted(same, 'row')
    text += `${harmless(projection)}: ${rows} as the events up to ${count(position)} give\n`
  }
  if (snapshots.kept > 0) {
    const { kept, compared, seed } = snapshots
    const refolded = compared === 0 ? '' : `, ${count(compared)} folded again (seed ${seed})`
    text += `${counted(kept, 'kept state')}${refolded}\n`
  }
  for (const what of unchecked) text += `not checked: ${harmless(what)}\n`
  const log = `${counted(events, 'event')}, ${counted(streams, 'stream')}`
  const sum = checkpoints === 0 ? log : `${log}, ${counted(checkpoints, 'checkpoint')}`
  return `${text}${sum}: ${report.ok ? 'no problems' : counted(problemCount, 'problem')}\n`
}
