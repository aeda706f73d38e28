import { Command } from 'commander'
import { type Store, systemClock, systemRandom, uuidV7Source } from 'eventuali'
import { jsonOption, storeOption, wholeNumber } from './arguments.ts'
import {
  benchmarkCategory,
  removeBenchmarks,
  runBenchmark,
  type WorkloadResult,
} from './benchmark.ts'
import { confirmStore, yesOption } from './confirm.ts'
import { count, counted } from './numbers.ts'
import { ProgressBar } from './progress-bar.ts'
import { duration } from './quantities.ts'
import { type RawDriver, rawDriverOf, removeRawLeftovers } from './raw-driver.ts'
import type { Session } from './session.ts'
import { type Column, Table } from './table.ts'

interface BenchmarkFlags {
  readonly store?: string
  readonly time: number
  readonly bytes: number
  readonly callers: number
  readonly clean?: boolean
  readonly yes?: boolean
  readonly json?: boolean
}

const TIME_MS = 2000
const TIME_MS_MAX = 600_000
const BYTES_MAX: number = 1024 * 1024
const CALLERS_MAX = 1000

const help = `
Examples:
  eventuali benchmark --store sqlite:/data/new.db
  eventuali benchmark --store postgres://127.0.0.1/shop --yes --time 10s --json
  eventuali benchmark --clean --store sqlite:shop.db --yes

It appends events of type BenchmarkRan to streams of the category ${benchmarkCategory}, and deletes
these streams at the end, also after Ctrl-C. What remains: the positions are used, one $deleted
event for each stream, and whoever follows the whole log has seen the events come and go. A program
that was killed is cleaned up after by --clean. RAW is the same by the driver alone, one table and
one index, in a file or schema beside the store that is removed at the end; RATIO is ours over it.`

/** `benchmark` */
export function benchmarkCommand(session: Session): Command {
  return new Command('benchmark')
    .description('measure appends and reads where the store lives, and the driver alone beside it')
    .addOption(storeOption())
    .option('--time <time>', 'for each workload; 2s', duration(1, TIME_MS_MAX), TIME_MS)
    .option('--bytes <n>', 'of the data of an event', wholeNumber(1, BYTES_MAX), 200)
    .option('--callers <n>', 'that append at the same time', wholeNumber(1, CALLERS_MAX), 32)
    .option('--clean', 'only remove what killed benchmarks have left')
    .addOption(yesOption())
    .addOption(jsonOption('one line of JSON for each workload instead of a table'))
    .addHelpText('after', help)
    .action((flags: BenchmarkFlags) => runCommand(session, flags))
}

async function runCommand(session: Session, flags: BenchmarkFlags): Promise<void> {
  const access = flags.clean === true ? 'change' : 'write'
  await session.withRawStore(flags.store, access, async (store) => {
    await confirmed(session, store, flags)
    if (flags.clean === true) {
      const removed = await removeBenchmarks(store, `${benchmarkCategory}-`)
      const beside = await removeRawLeftovers(store)
      const what = store.adapter === 'postgres' ? 'schema' : 'file'
      const text = `${counted(removed, 'stream')} and ${counted(beside, what)} removed\n`
      await session.output.write(text)
      return
    }
    const results = await measured(session, store, flags)
    if (flags.json === true) {
      await session.output.write(results.map((one) => `${JSON.stringify(one)}\n`).join(''))
      return
    }
    const table = new Table<WorkloadResult>(columns, session.output, session.io)
    await table.add(results)
    await table.end()
  })
}

/** Asks where there are events. */
async function confirmed(session: Session, store: Store, flags: BenchmarkFlags): Promise<void> {
  const { newest } = await store.positions()
  if (newest === 0) return
  const what =
    flags.clean === true
      ? `loses all streams of the category ${benchmarkCategory}, of benchmarks that run now too`
      : `has events up to position ${count(newest)} and gets those of a benchmark beside them`
  await confirmStore(session, flags.store, { what, yes: flags.yes })
}

async function measured(
  session: Session,
  store: Store,
  { time: milliseconds, bytes, callers }: BenchmarkFlags,
): Promise<readonly WorkloadResult[]> {
  const id = uuidV7Source(systemClock, systemRandom).next().replaceAll('-', '')
  const space = `${benchmarkCategory}-${id}`
  const bar = new ProgressBar(session.io)
  const onProgress = (workload: string, share: number) => bar.show(share, workload)
  const { signal } = session
  let raw: RawDriver | undefined
  try {
    raw = await rawDriverOf(store, id)
    const options = { milliseconds, bytes, callers, signal, onProgress }
    return await runBenchmark(store, space, raw, options)
  } finally {
    // Whatever happened, also after Ctrl-C: first what is beside the store, then what is in it.
    bar.clear()
    try {
      await raw?.close()
    } finally {
      const removed = await removeBenchmarks(store, `${space}-`)
      const { newest } = await store.positions()
      session.say(
        `eventuali: ${counted(removed, 'stream')} removed again; ${count(newest)} positions of the log are used now`,
      )
    }
  }
}

const ms = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(3))

const columns: readonly Column<WorkloadResult>[] = [
  { title: 'WORKLOAD', text: ({ workload }) => workload },
  { title: 'EVENTS/S', text: (one) => count(one.eventsPerSecond), align: 'right' },
  { title: 'P50 MS', text: ({ latency }) => ms(latency?.p50Ms), align: 'right' },
  { title: 'P95 MS', text: ({ latency }) => ms(latency?.p95Ms), align: 'right' },
  { title: 'P99 MS', text: ({ latency }) => ms(latency?.p99Ms), align: 'right' },
  { title: 'MAX MS', text: ({ latency }) => ms(latency?.maxMs), align: 'right' },
  {
    title: 'RAW EVENTS/S',
    text: ({ rawEventsPerSecond: raw }) => (raw === undefined ? '' : count(raw)),
    align: 'right',
  },
  { title: 'RATIO', text: ({ ratio }) => ratio?.toFixed(2) ?? '', align: 'right' },
]
