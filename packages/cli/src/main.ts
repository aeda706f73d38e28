import { Command, CommanderError } from 'commander'
import { aggregateCommand } from './aggregate-command.ts'
import { appendCommand } from './append-command.ts'
import { repeated } from './arguments.ts'
import { backupCommand } from './backup-command.ts'
import { benchmarkCommand } from './benchmark-command.ts'
import { completionCommand } from './completion-command.ts'
import { configCommand } from './config-command.ts'
import { deadLettersCommand } from './dead-letters-command.ts'
import { deadlinesCommand } from './deadlines-command.ts'
import { docsCommand } from './docs-command.ts'
import { doctorCommand } from './doctor-command.ts'
import {
  EndedWith,
  exitCodeHelp,
  exitCodes,
  Interrupted,
  ownExitCodes,
  Refused,
  SilentFailure,
  UsageError,
} from './exit-codes.ts'
import { exportCommand } from './export-command.ts'
import { forkCommand } from './fork-command.ts'
import { healthCommand } from './health-command.ts'
import { importCommand } from './import-command.ts'
import { initCommand } from './init-command.ts'
import { type Io, OutputClosed } from './io.ts'
import { mcpCommand } from './mcp-command.ts'
import { migrateCommand } from './migrate-command.ts'
import { monitorCommand } from './monitor-command.ts'
import { libraryVersion } from './postgres-probe.ts'
import { processesCommand } from './processes-command.ts'
import { projectionsCommand } from './projections-command.ts'
import { queryCommand } from './query-command.ts'
import { recodeCommand } from './recode-command.ts'
import { replayCommand } from './replay-command.ts'
import { debugText, errorText } from './report-error.ts'
import { restoreCommand } from './restore-command.ts'
import { schemaCommand } from './schema-command.ts'
import { migrateSchemaCommand, rollbackCommand } from './schema-steps-command.ts'
import { serveCommand } from './serve-command.ts'
import { Session } from './session.ts'
import { snapshotsCommand } from './snapshots-command.ts'
import { streamsCommand } from './streams-command.ts'
import { subscriptionsCommand } from './subscriptions-command.ts'
import { tailCommand } from './tail-command.ts'
import { tuneCommand } from './tune-command.ts'
import { verifyCommand } from './verify-command.ts'

/**
 * Runs the command line and resolves to its exit code; writes to `io` only, ends no process and
 * never rejects. Ctrl-C stops it after what is in flight, a second one at once.
 *
 * @example
 * ```ts run
 * import { main } from '@eventuali/cli'
 *
 * const { stdin, stdout, stderr, env } = process
 * const argv = ['health', '--store', 'memory:', '--json']
 * process.exitCode = await main(argv, { stdin, stdout, stderr, env })
 * ```
 */
export async function main(
  argv: readonly string[],
  io: Io,
  commands: readonly MakeCommand[] = allCommands,
): Promise<number> {
  const session = new Session(io)
  let presses = 0
  const onInterrupt = () => {
    if (++presses > 1) process.exit(exitCodes.interrupted)
    session.interrupt()
  }
  process.on('SIGINT', onInterrupt)
  const program = programFor(session, commands)
  try {
    await program.parseAsync(argv, { from: 'user' })
    return exitCodes.done
  } catch (error) {
    return exitCodeOf(error, session, program.opts().debug === true)
  } finally {
    process.off('SIGINT', onInterrupt)
    await session.release()
  }
}

type MakeCommand = (session: Session) => Command

const allCommands: readonly MakeCommand[] = [
  importCommand,
  exportCommand,
  queryCommand,
  streamsCommand,
  appendCommand,
  verifyCommand,
  recodeCommand,
  forkCommand,
  migrateCommand,
  schemaCommand,
  serveCommand,
  mcpCommand,
  tuneCommand,
  healthCommand,
  tailCommand,
  subscriptionsCommand,
  deadLettersCommand,
  deadlinesCommand,
  monitorCommand,
  benchmarkCommand,
  aggregateCommand,
  projectionsCommand,
  processesCommand,
  replayCommand,
  snapshotsCommand,
  configCommand,
  initCommand,
  doctorCommand,
  completionCommand,
  docsCommand,
  backupCommand,
  restoreCommand,
  migrateSchemaCommand,
  rollbackCommand,
]

interface GlobalFlags {
  readonly config?: readonly string[] | false
  readonly profile?: string
}

/** All commands below the program, as commander knows them; the reference is made from it. */
export function programFor(
  session: Session,
  commands: readonly MakeCommand[] = allCommands,
): Command {
  const program = new Command('eventuali')
    .description('Event sourcing for TypeScript: the command line')
    .version(libraryVersion(), '-V, --version', 'show the version')
    .option('--debug', 'show where an error comes from')
    .option('-c, --config <file>', 'the configuration; the nearest eventuali.config.ts', repeated)
    .option('--no-config', 'read no configuration file')
    .option('--profile <name>', "one of the configuration's profiles; EVENTUALI_PROFILE")
    .hook('preAction', () => {
      const { config = [], profile } = program.opts<GlobalFlags>()
      session.choose({ files: config, profile })
    })
    .addHelpText('after', exitCodeHelp)
  for (const make of commands) program.addCommand(make(session))
  const { stdout, stderr } = session.io
  for (const command of allOf(program)) {
    if (command !== program) {
      command.addHelpText('after', ownExitCodes.get(command) ?? exitCodeHelp)
    }
    command
      .exitOverride()
      .configureHelp({ showGlobalOptions: true })
      .showHelpAfterError(`Run "${fullName(command)} --help" for what it takes.`)
      .configureOutput({
        writeOut: (text) => stdout.write(text),
        writeErr: (text) => stderr.write(text),
        outputError: (text, write) => write(text.replace(/^error: /, 'eventuali: ')),
        getOutHelpWidth: () => stdout.columns ?? 80,
        getErrHelpWidth: () => stderr.columns ?? 80,
        getOutHasColors: () => false,
        getErrHasColors: () => false,
      })
  }
  return program
}

/** A command with the commands below it. */
function allOf(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(allOf)]
}

function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${command.parent.name()} ${command.name()}`
}

function exitCodeOf(error: unknown, session: Session, debug: boolean): number {
  if (error instanceof CommanderError)
    return error.exitCode === 0 ? exitCodes.done : exitCodes.usage
  if (error instanceof OutputClosed || session.output.closed.reason instanceof OutputClosed) {
    return exitCodes.done
  }
  if (error instanceof Interrupted || session.isInterrupted) {
    session.say('eventuali: interrupted; what was in flight is finished')
    return exitCodes.interrupted
  }
  if (error instanceof EndedWith) return error.code
  if (error instanceof SilentFailure) return exitCodes.failed
  if (error instanceof UsageError || error instanceof Refused) {
    session.say(`eventuali: ${error.message}`)
    return error instanceof Refused ? exitCodes.failed : exitCodes.usage
  }
  session.say(errorText(error))
  if (debug || session.isDebug) session.say(debugText(error))
  return exitCodes.failed
}
