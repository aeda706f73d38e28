import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { jsonOption, storeOption } from './arguments.ts'
import { UsageError } from './exit-codes.ts'
import { FullScreen } from './full-screen.ts'
import { type MonitorSample, Sampler } from './monitor-sample.ts'
import { frameOf } from './monitor-view.ts'
import { duration } from './quantities.ts'
import type { Session } from './session.ts'

interface MonitorFlags {
  readonly store?: string
  readonly interval: number
  readonly once?: boolean
  readonly json?: boolean
}

const INTERVAL_MS = 1000
const INTERVAL_MS_MIN = 50
const INTERVAL_MS_MAX = 3_600_000
const RATES_KEPT = 200

const help = `
Examples:
  eventuali monitor
  eventuali monitor --once --json | jq .consumers
  eventuali monitor --json --interval 10s >> monitor.ndjson

"appends" counts positions; "monitor" is this program, "machine" the one that it runs on, not the
database server's. Ctrl-C ends it, with 0, and gives the terminal back as it was.`

/** `monitor` */
export function monitorCommand(session: Session): Command {
  return new Command('monitor')
    .description('a live view: rates, latency, lag, dead letters, sizes, CPU, memory, connections')
    .addOption(storeOption())
    .option(
      '--interval <time>',
      'between two looks; 1s',
      duration(INTERVAL_MS_MIN, INTERVAL_MS_MAX),
      INTERVAL_MS,
    )
    .option('--once', 'two looks, one interval apart, and what they show')
    .addOption(jsonOption('one line of JSON for each look'))
    .addHelpText('after', help)
    .action((flags: MonitorFlags) => runMonitor(session, flags))
}

async function runMonitor(session: Session, flags: MonitorFlags): Promise<void> {
  const { once, json } = flags
  const isTerminal = session.io.stdout.isTTY === true
  if (!isTerminal && once !== true && json !== true) {
    throw new UsageError('the output is no terminal; --once shows one look, --json goes on')
  }
  const { shownUrl: title } = await session.place(flags.store)
  await session.withRawStore(flags.store, 'read', async (store) => {
    const sampler = new Sampler(store, session.signal)
    if (once === true) return await showOnce(session, sampler, title, flags)
    if (json === true) return await writeLines(session, sampler, flags)
    return await watch(session, sampler, title, flags)
  })
}

const isUnicode = ({ env }: Session['io']): boolean =>
  /utf-?8/i.test(env.LC_ALL ?? env.LC_CTYPE ?? env.LANG ?? 'utf-8')

async function showOnce(
  session: Session,
  sampler: Sampler,
  title: string,
  { interval, json }: MonitorFlags,
): Promise<void> {
  await sampler.take()
  await sleep(interval, undefined, { signal: session.signal })
  const sample = await sampler.take()
  if (json === true) return session.output.write(`${JSON.stringify(sample)}\n`)
  const { columns = 80, isTTY } = session.io.stdout
  const wide = isTTY === true ? columns : 1000
  const frame = {
    columns: wide,
    rows: 10_000,
    title,
    unicode: isUnicode(session.io),
  }
  const lines = frameOf(sample, [sample.positionsPerSecond ?? 0], frame)
  await session.output.write(`${lines.join('\n')}\n`)
}

/** Sleeps between looks; false once Ctrl-C ends it. */
async function rested(session: Session, ms: number): Promise<boolean> {
  await sleep(ms, undefined, { signal: session.signal }).catch(() => {})
  if (!session.isInterrupted) session.signal.throwIfAborted()
  return !session.isInterrupted
}

/** A sample, or undefined when Ctrl-C came meanwhile. */
async function sampled(session: Session, sampler: Sampler): Promise<MonitorSample | undefined> {
  try {
    return await sampler.take()
  } catch (error) {
    if (session.isInterrupted) return undefined
    throw error
  }
}

async function writeLines(
  session: Session,
  sampler: Sampler,
  { interval }: MonitorFlags,
): Promise<void> {
  do {
    const sample = await sampled(session, sampler)
    if (sample === undefined) return
    await session.output.write(`${JSON.stringify(sample)}\n`)
  } while (await rested(session, interval))
}

async function watch(
  session: Session,
  sampler: Sampler,
  title: string,
  { interval }: MonitorFlags,
): Promise<void> {
  const screen = new FullScreen(session.io.stdout)
  const rates: number[] = []
  let latest: MonitorSample | undefined
  const draw = (): void => {
    if (latest === undefined) return
    const { columns, rows } = screen
    const frame = { columns, rows, title, unicode: isUnicode(session.io) }
    screen.draw(frameOf(latest, rates, frame))
  }
  screen.enter(draw)
  try {
    do {
      const sample = await sampled(session, sampler)
      if (sample === undefined) return
      if (sample.positionsPerSecond !== undefined) rates.push(sample.positionsPerSecond)
      if (rates.length > RATES_KEPT) rates.shift()
      latest = sample
      draw()
    } while (await rested(session, interval))
  } finally {
    screen.leave()
  }
}
