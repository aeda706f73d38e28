import { Command } from 'commander'
import { type RestoreProgress, type RestoreResult, restoreBackup, type Store } from 'eventuali'
import { type Bound, bound, jsonOption, storeOption, wholeNumber } from './arguments.ts'
import { checkFiles, reportText } from './backup-command.ts'
import { SilentFailure, UsageError } from './exit-codes.ts'
import { count, counted } from './numbers.ts'
import { type PassphraseFlags, passphraseOf, passphraseOptions } from './passphrase.ts'
import { ProgressBar } from './progress-bar.ts'
import type { Session } from './session.ts'
import { harmless } from './text-width.ts'

interface RestoreFlags extends PassphraseFlags {
  readonly store?: string
  readonly toPosition?: number
  readonly toTime?: Bound
  readonly check?: boolean
  readonly verify: boolean
  readonly json?: boolean
}

const examples = `
Examples:
  eventuali restore shop.backup --store sqlite:again.db
  eventuali restore backups/ --store postgres://db/again --to-time 2026-03-01T12:00:00Z
  eventuali restore full.backup monday.backup --store sqlite:again.db --to-position 40000
  eventuali restore backups/ --check

A time is when the store recorded the events, which an import does all at once, whatever their own
times are. Interrupted, the same command goes on where it was.
`

/** `restore` */
export function restoreCommand(session: Session): Command {
  const command = new Command('restore')
    .description('put a backup into an empty store, checked before and compared afterwards')
    .argument('<files...>', 'a full backup and its increments, or the folder of them')
    .addOption(storeOption())
    .option(
      '--to-position <n>',
      'the last position that is restored',
      wholeNumber(0, Number.MAX_SAFE_INTEGER),
    )
    .option('--to-time <time>', 'up to the last event that was recorded by then', bound)
    .option('--check', 'only read the backup and check it; needs no store')
    .option('--no-verify', 'leave out the verify of the restored store')
    .addOption(jsonOption('the result as one line of JSON'))
    .addHelpText('after', examples)
    .action((files: readonly string[], flags: RestoreFlags) => runRestore(session, files, flags))
  for (const option of passphraseOptions()) command.addOption(option)
  return command
}

async function runRestore(
  session: Session,
  files: readonly string[],
  flags: RestoreFlags,
): Promise<void> {
  const { toPosition, toTime } = flags
  if (toTime !== undefined && 'number' in toTime) {
    throw new UsageError('--to-time takes a time; a position goes with --to-position')
  }
  if (toTime !== undefined && toPosition !== undefined) {
    throw new UsageError('--to-position and --to-time both say where to end; give one')
  }
  const passphrase = await passphraseOf(session, flags)
  if (flags.check === true) {
    const report = await checkFiles(session, files, passphrase)
    await session.output.write(
      flags.json === true ? `${JSON.stringify(report)}\n` : reportText(report),
    )
    return
  }
  // A store that is not named is said before a long check.
  await session.place(flags.store)
  const bar = new ProgressBar(session.io)
  let store: Store | undefined
  try {
    const result = await restoreBackup(
      async () => {
        store = await session.openToRestore(flags.store)
        return store
      },
      files,
      {
        ...{ passphrase, toPosition, toTime: toTime?.time, signal: session.signal },
        onProgress: (progress) => show(bar, progress),
      },
    )
    bar.clear()
    const problems = flags.verify ? await problemsOf(session, bar, store) : undefined
    const { position, incarnation } = result
    await session.output.write(
      flags.json === true
        ? `${JSON.stringify({ ...result, files: files.length, problems })}\n`
        : resultText(result, problems),
    )
    if (problems !== undefined && problems > 0) {
      session.say(`run eventuali verify for what is wrong up to position ${count(position)}`)
      throw new SilentFailure()
    }
    session.say(
      `the log is a new one (${harmless(incarnation)}): programs that kept positions of the old ` +
        'one outside of it stop with LOG_CHANGED and say what to choose',
    )
  } finally {
    bar.clear()
    await store?.close()
  }
}

function show(bar: ProgressBar, { phase, bytes, bytesTotal, events }: RestoreProgress): void {
  bar.show(bytes / bytesTotal, `${phase}: ${counted(events, 'event')}`)
}

async function problemsOf(
  session: Session,
  bar: ProgressBar,
  store: Store | undefined,
): Promise<number> {
  const report = await store?.verify({
    signal: session.signal,
    onProgress: (events) => bar.show(undefined, `verify: ${counted(events, 'event')}`),
  })
  bar.clear()
  return report?.problemCount ?? 0
}

function resultText(result: RestoreResult, problems: number | undefined): string {
  const { position, files, records, recordsFrom, resumedAfter } = result
  const from = resumedAfter > 0 ? `, after ${count(resumedAfter)} from an earlier try` : ''
  const readSide =
    recordsFrom === undefined
      ? 'it ends before the first backup: subscriptions are rewound, processes are not in it'
      : `${counted(records, 'record')} of the read side as at position ${count(recordsFrom)}`
  const verified =
    problems === undefined
      ? 'not verified'
      : problems === 0
        ? 'verified: no problems'
        : `verified: ${counted(problems, 'problem')}`
  return (
    `restored up to position ${count(position)} of ${counted(files.length, 'file')}${from}\n` +
    `${readSide}; projections are to be rebuilt\ncompared with the backup: the same\n${verified}\n`
  )
}
