import { Command, Option } from 'commander'
import { type BackupReport, type BackupResult, backupStore, checkBackup } from 'eventuali'
import { jsonOption, storeOption, wholeNumber } from './arguments.ts'
import { SilentFailure, UsageError } from './exit-codes.ts'
import { count, counted } from './numbers.ts'
import { type PassphraseFlags, passphraseOf, passphraseOptions } from './passphrase.ts'
import { ProgressBar } from './progress-bar.ts'
import type { Session } from './session.ts'
import { harmless } from './text-width.ts'

interface BackupFlags extends PassphraseFlags {
  readonly store?: string
  readonly out?: string
  readonly incremental?: boolean
  readonly base?: string
  readonly resume?: boolean
  readonly physical?: boolean
  readonly compress?: 'gzip' | 'brotli' | 'zstd'
  readonly timeout?: number
  readonly json?: boolean
}

const MINUTES_MAX: number = 7 * 24 * 60

const examples = `
Examples:
  eventuali backup --store sqlite:shop.db --out shop.backup
  eventuali backup --store postgres://db/shop --out backups/ --incremental
  eventuali backup --out backups/ --incremental --resume
  SECRET=… eventuali backup --out backups/ --passphrase-env SECRET
  eventuali backup verify backups/
`

/** `backup` */
export function backupCommand(session: Session): Command {
  const command = new Command('backup')
    .description('write the store into a file as it stands now, while it is in use')
    .addOption(storeOption())
    .option(
      '-o, --out <place>',
      'a new file; or a folder, backups/, in which it gets a name by itself',
    )
    .option('--incremental', 'only what came since the newest backup in the folder')
    .option('--base <file>', 'only what came since this backup')
    .option('--resume', 'go on with what an interrupted backup to the same place has left')
    .option('--physical', 'SQLite: a copy of the file that can be opened, read models and all')
    .addOption(
      new Option('--compress <with>', 'zstd where Node has it').choices(['gzip', 'brotli', 'zstd']),
    )
    .option('--timeout <minutes>', 'give up after; a day', wholeNumber(1, MINUTES_MAX))
    .addOption(jsonOption('the result as one line of JSON'))
    .addHelpText('after', examples)
    .action((flags: BackupFlags) => runBackup(session, flags))
  for (const option of passphraseOptions()) command.addOption(option)
  return command.addCommand(backupVerifyCommand(session))
}

/** `backup verify` */
function backupVerifyCommand(session: Session): Command {
  const command = new Command('verify')
    .description('read a backup from end to end and check all of it, without a store')
    .argument('<files...>', 'a full backup and its increments, or the folder of them')
    .addOption(jsonOption('the report as one line of JSON'))
    .addHelpText('after', '\nExample:\n  eventuali backup verify backups/')
    .action((files: readonly string[], _: unknown, self: Command) =>
      // Options that the command above has as well are taken by it.
      runVerify(session, files, self.optsWithGlobals()),
    )
  for (const option of passphraseOptions()) command.addOption(option)
  return command
}

async function runBackup(session: Session, flags: BackupFlags): Promise<void> {
  const { out, incremental, base, resume, compress: compression, timeout } = flags
  if (out === undefined) throw new UsageError('where to? Give --out FILE, or --out FOLDER')
  if (incremental === true && base !== undefined) {
    throw new UsageError('--incremental finds its base itself; leave out --base')
  }
  const passphrase = await passphraseOf(session, flags)
  if (flags.physical === true) return runPhysical(session, flags, out, passphrase)
  const bar = new ProgressBar(session.io)
  const result = await session.withRawStore(flags.store, 'read', async (store) => {
    try {
      return await backupStore(store, {
        ...{ out, resume, passphrase, compression, signal: session.signal },
        base: incremental === true ? true : base,
        timeoutMs: timeout === undefined ? undefined : timeout * 60_000,
        onProgress: ({ position, from, upTo, events }) =>
          bar.show((position - from) / (upTo - from), counted(events, 'event')),
      })
    } finally {
      bar.clear()
    }
  })
  await session.output.write(
    flags.json === true ? `${JSON.stringify(result)}\n` : resultText(result),
  )
  if (result.damaged > 0) session.say(damagedText(result.damaged))
  if (result.newest > result.upTo) session.say(unsafeText(result))
}

/** What is there, and not in the backup. */
const unsafeText = ({ newest, upTo }: BackupResult): string =>
  `the store goes up to position ${count(newest)}; what lies above ${count(upTo)} could not be read ` +
  'safely yet and is not in the backup: a transaction is open, or this is a replica and no program ' +
  'has read the log on its primary since (eventuali health tells)'

/** The file itself, as SQLite copies it. */
async function runPhysical(
  session: Session,
  { store: place, incremental, base, resume, compress, timeout, json }: BackupFlags,
  out: string,
  passphrase: string | undefined,
): Promise<void> {
  if ((incremental ?? base ?? resume ?? compress ?? passphrase) !== undefined) {
    throw new UsageError('--physical copies the file as it is; it goes with --out and --timeout')
  }
  const bar = new ProgressBar(session.io)
  const result = await session.withRawStore(place, 'read', async (store) => {
    try {
      return await store.fork({
        ...{ into: out, whole: true, signal: session.signal },
        timeoutMs: timeout === undefined ? undefined : timeout * 60_000,
        onProgress: ({ position, upTo }) => bar.show(position / upTo, 'copied'),
      })
    } finally {
      bar.clear()
    }
  })
  const { into, events, position } = result
  await session.output.write(
    json === true
      ? `${JSON.stringify(result)}\n`
      : `${counted(events, 'event')} up to position ${count(position)} and all that stands ` +
          `beside them are in ${harmless(into)}, a store of its own\n`,
  )
}

function resultText(result: BackupResult): string {
  const { file, events, from, upTo, bytes, records, resumedAfter } = result
  const since = from === 0 ? '' : ` after position ${count(from)}`
  const gone = resumedAfter === 0 ? '' : `, gone on after position ${count(resumedAfter)}`
  return (
    `${counted(events, 'event')}${since} up to position ${count(upTo)} and ` +
    `${counted(records, 'record')} are in ${harmless(file)} (${count(bytes)} bytes)${gone}\n`
  )
}

const damagedText = (damaged: number): string =>
  `${counted(damaged, 'event')} did not match their checksum in the store already, and are in ` +
  'the backup as they are; run eventuali verify for which'

async function runVerify(
  session: Session,
  files: readonly string[],
  flags: PassphraseFlags & { readonly json?: boolean },
): Promise<void> {
  const report = await checkFiles(session, files, await passphraseOf(session, flags))
  await session.output.write(
    flags.json === true ? `${JSON.stringify(report)}\n` : reportText(report),
  )
  if (report.damaged === 0) return
  session.say(damagedText(report.damaged))
  throw new SilentFailure()
}

/** Reads a backup from end to end. */
export async function checkFiles(
  session: Session,
  files: readonly string[],
  passphrase: string | undefined,
): Promise<BackupReport> {
  const bar = new ProgressBar(session.io)
  try {
    return await checkBackup(files, {
      ...{ passphrase, signal: session.signal },
      onProgress: ({ bytes, bytesTotal, events }) =>
        bar.show(bytes / bytesTotal, `check: ${counted(events, 'event')}`),
    })
  } finally {
    bar.clear()
  }
}

/** A backup that is whole, in a few lines. */
export function reportText({ files, events, upTo, incarnation }: BackupReport): string {
  const lines = files.map(
    ({ file, from, upTo: to, createdAt }) =>
      `  ${harmless(file)}: ${from === 0 ? 'full' : `after position ${count(from)}`}, ` +
      `up to ${count(to)}, of ${new Date(createdAt).toISOString()}\n`,
  )
  return (
    `whole: ${counted(events, 'event')} up to position ${count(upTo)} of the log ` +
    `${harmless(incarnation)}\n${lines.join('')}`
  )
}
