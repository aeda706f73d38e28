import { Command } from 'commander'
import {
  type ConsumerLag,
  checkHealth,
  type HealthCheck,
  type HealthReport,
  type HealthThresholds,
  isEventualiError,
} from 'eventuali'
import { jsonOption, storeOption, wholeNumber } from './arguments.ts'
import { EndedWith, Interrupted, ownExitCodes, UsageError } from './exit-codes.ts'
import { OutputClosed } from './io.ts'
import { stateOf } from './lag-rates.ts'
import { count } from './numbers.ts'
import { duration, durationText, size } from './quantities.ts'
import type { Session } from './session.ts'
import { type Column, Table } from './table.ts'

interface HealthFlags {
  readonly store?: string
  readonly lagMax?: number
  readonly behindMax?: number
  readonly deadLettersMax?: number
  readonly latencyMax?: number
  readonly blockedMax?: number
  readonly freeMin?: number
  readonly write: boolean
  readonly timeout?: number
  readonly json?: boolean
}

const DAY_MS: number = 24 * 60 * 60 * 1000
const LARGE: number = Number.MAX_SAFE_INTEGER

/** How `health` ends, by what it found. */
const codes = { healthy: 0, degraded: 1, failed: 2 } as const

const help = `
Examples:
  eventuali health --store sqlite:shop.db
  eventuali health --store postgres://127.0.0.1/shop --json --lag-max 500 --free-min 5GiB
  eventuali health --no-write || page-somebody

The write probe commits a record and removes it again; no event is appended.`

const exitCodeText = `
Exit codes:
  0    healthy
  1    degraded: it works, and somebody should look
  2    failed: it cannot be opened, read or written, or the disk is nearly full; also wrong usage
  130  interrupted (Ctrl-C)
`

/** `health` */
export function healthCommand(session: Session): Command {
  const command = new Command('health')
    .description(
      'look at a store as an operator would: probes, durability, lag, dead letters, room',
    )
    .addOption(storeOption())
    .option(
      '--lag-max <n>',
      'positions that a subscription may be behind; 10000',
      wholeNumber(0, LARGE),
    )
    .option('--behind-max <time>', 'how old its next event may be; 1m', duration(0, 365 * DAY_MS))
    .option('--dead-letters-max <n>', 'dead letters that may wait; 0', wholeNumber(0, LARGE))
    .option('--latency-max <time>', 'how long a probe may take; 1s', duration(0, DAY_MS))
    .option(
      '--blocked-max <time>',
      'how long a transaction may hold the log; 1m',
      duration(0, DAY_MS),
    )
    .option('--free-min <size>', 'what the disk should have left; 1GiB', size)
    .option('--no-write', 'read only: leave the write probe out')
    .option('--timeout <time>', 'for each part of the look; 10s', duration(1, DAY_MS))
    .addOption(jsonOption('the whole report as one line of JSON'))
    .addHelpText('after', help)
    .action((flags: HealthFlags) => runHealth(session, flags))
  ownExitCodes.set(command, exitCodeText)
  return command
}

function thresholdsOf(flags: HealthFlags): Partial<HealthThresholds> {
  return {
    lagMax: flags.lagMax,
    behindMsMax: flags.behindMax,
    deadLettersMax: flags.deadLettersMax,
    latencyMsMax: flags.latencyMax,
    blockedMsMax: flags.blockedMax,
    freeBytesMin: flags.freeMin,
  } as Partial<HealthThresholds>
}

async function runHealth(session: Session, flags: HealthFlags): Promise<void> {
  const { write, timeout: timeoutMs } = flags
  const options = { thresholds: thresholdsOf(flags), write, timeoutMs, signal: session.signal }
  const look = async (): Promise<Report> => {
    // Opened for writing, a file of an older schema would be migrated by the look at it.
    if (write) await session.withRawStore(flags.store, 'read', async () => {})
    const access = write ? 'change' : 'read'
    return session.withRawStore(flags.store, access, (store) => checkHealth(store, options))
  }
  const report = await look().catch((error: unknown) => unopened(session, error))
  if (flags.json === true) await session.output.write(`${JSON.stringify(report)}\n`)
  else await writeReport(session, report)
  if (report.status !== 'healthy') throw new EndedWith(codes[report.status])
}

type Report = Pick<HealthReport, 'status' | 'at' | 'checks'> &
  Partial<Pick<HealthReport, 'consumers'>>

/** The report on a store that cannot be opened, or not even be reached. */
function unopened(session: Session, error: unknown): Report {
  const isOurs = error instanceof UsageError || error instanceof OutputClosed
  if (isOurs || error instanceof Interrupted || session.isInterrupted) throw error
  const message = error instanceof Error ? error.message : String(error)
  const isOld = isEventualiError(error, 'STORE_READ_ONLY')
  const check: HealthCheck = isOld
    ? { name: 'migrations', status: 'degraded', message }
    : { name: 'read', status: 'failed', message }
  return { status: check.status, at: new Date(), checks: [check] }
}

const columns = [
  { title: 'CHECK', text: ({ name }: HealthCheck) => name },
  { title: 'STATUS', text: ({ status }: HealthCheck) => status },
  { title: 'FOUND', text: ({ message }: HealthCheck) => message },
] as const

const consumerColumns: readonly Column<ConsumerLag>[] = [
  { title: 'FOLLOWS THE LOG', text: ({ name }) => name },
  { title: 'STATE', text: stateOf },
  { title: 'POSITION', text: ({ position }) => String(position), align: 'right' },
  { title: 'LAG', text: ({ lag }) => count(lag), align: 'right' },
  { title: 'BEHIND', text: ({ behindMs }) => durationText(behindMs), align: 'right' },
]

async function writeReport(
  session: Session,
  { status, checks, consumers = [] }: Report,
): Promise<void> {
  const table = new Table<HealthCheck>(columns, session.output, session.io)
  await table.add(checks)
  await table.end()
  if (consumers.length > 0) {
    await session.output.write('\n')
    const lags = new Table<ConsumerLag>(consumerColumns, session.output, session.io)
    await lags.add(consumers)
    await lags.end()
  }
  await session.output.write(`\n${status}\n`)
}
