import { Command } from 'commander'
import type { ForkResult } from 'eventuali'
import { type Bound, bound, jsonOption, storeOption, wholeNumber } from './arguments.ts'
import { count, counted } from './numbers.ts'
import { isPostgres } from './postgres-probe.ts'
import { ProgressBar } from './progress-bar.ts'
import type { Session } from './session.ts'

interface ForkFlags {
  readonly store?: string
  readonly into: string
  readonly at?: Bound
  readonly timeout?: number
  readonly json?: boolean
}

const help = `
Examples:
  eventuali fork --into preview.db --at 40000
  eventuali fork --into preview.db --at 2026-03-01T12:00:00Z

A time is when the store recorded the events, which an import does all at once, whatever their own
times are.
`

const MINUTES_MAX: number = 7 * 24 * 60

/** `fork` */
export function forkCommand(session: Session): Command {
  return new Command('fork')
    .description('copy the store up to a position or moment into a new one, while it is in use')
    .addOption(storeOption())
    .requiredOption('--into <name>', 'a new file (SQLite), or a new schema beside (Postgres)')
    .option('--at <bound>', 'the last position, or a time of recording; all when left out', bound)
    .option('--timeout <minutes>', 'give up after; 60', wholeNumber(1, MINUTES_MAX))
    .addOption(jsonOption('the result as one line of JSON'))
    .addHelpText('after', help)
    .action((flags: ForkFlags) => runFork(session, flags))
}

async function runFork(session: Session, flags: ForkFlags): Promise<void> {
  const { into, at, timeout } = flags
  const bar = new ProgressBar(session.io)
  const { url } = await session.place(flags.store)
  // A new file needs nothing of the old one; a new schema is written over the same connections.
  const access = isPostgres(url) ? 'change' : 'read'
  const result = await session.withRawStore(flags.store, access, async (store) => {
    try {
      return await store.fork({
        into,
        at: at && ('number' in at ? at.number : at.time),
        signal: session.signal,
        timeoutMs: timeout === undefined ? undefined : timeout * 60_000,
        onProgress: ({ position, upTo }) =>
          bar.show(position / upTo, `position ${count(position)} of ${count(upTo)}`),
      })
    } finally {
      bar.clear()
    }
  })
  await session.output.write(flags.json === true ? `${JSON.stringify(result)}\n` : textOf(result))
}

function textOf({ into, position, events, streams, reduced, reducedCount }: ForkResult): string {
  const copied =
    `${counted(events, 'event')} of ${counted(streams, 'stream')} ` +
    `up to position ${count(position)} are in ${into}\n`
  if (reducedCount === 0) return copied
  const names = reduced.map((name) => JSON.stringify(name)).join(', ')
  const more =
    reducedCount > reduced.length ? `, and ${count(reducedCount - reduced.length)} more` : ''
  return (
    `${copied}${counted(reducedCount, 'stream')} lost events since, ` +
    `which are not in it either: ${names}${more}\n`
  )
}
