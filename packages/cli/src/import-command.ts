import { stat } from 'node:fs/promises'
import { Command, Option } from 'commander'
import {
  type ImportOptions,
  type ImportProgress,
  type ImportResult,
  importEvents,
  importOcel,
  importXes,
  type Store,
} from 'eventuali'
import { jsonOption, storeOption, wholeNumber } from './arguments.ts'
import { UsageError } from './exit-codes.ts'
import { count, counted } from './numbers.ts'
import { ProgressBar } from './progress-bar.ts'
import type { Session } from './session.ts'

type Format = 'ndjson' | 'xes' | 'ocel'

interface ImportFlags {
  readonly store?: string
  readonly batch?: number
  readonly skipInvalid?: boolean
  readonly source?: string
  readonly json?: boolean
  readonly format?: Format
  readonly category?: readonly string[]
}

const SHOWN_MAX = 20

/** `import FILE` */
export function importCommand(session: Session): Command {
  return new Command('import')
    .description('store the events of a file; run it again and nothing is stored twice')
    .argument(
      '<file>',
      'NDJSON, a JSON array of CloudEvents, XES or OCEL 2.0, plain or .gz; - is standard input',
    )
    .addOption(storeOption())
    .option('-b, --batch <n>', 'lines in one transaction (1000)', wholeNumber(1, 10_000))
    .option('--skip-invalid', 'go on after lines that are not events, and report them')
    .option('--source <name>', "name that ids are made with (the file's name without .gz)")
    .addOption(
      new Option(
        '-f, --format <format>',
        'xes for names that end in .xes, ocel for .ocel.json and .jsonocel, else ndjson',
      ).choices(['ndjson', 'xes', 'ocel']),
    )
    .option(
      '--category <name...>',
      'XES: trace 7 becomes the stream NAME-7 (case); OCEL: types of objects that are streams',
    )
    .addOption(jsonOption('end with one line of JSON on standard output'))
    .addHelpText('after', LINE_HELP)
    .addHelpText(
      'after',
      '\nExample:\n  eventuali import flights.ndjson.gz --store sqlite:flights.db',
    )
    .action((file: string, flags: ImportFlags) => runImport(session, file, flags))
}

const LINE_HELP = `
A line: {"stream":"order-1","type":"OrderPlaced","data":{"total":30}}, and, if you have them,
"id", "time" (2013-01-31T10:15:00Z), "metadata" (an object) and "tags" (texts).
XES and OCEL 2.0 (JSON) are event logs for process mining. Traces of XES become streams. An event of
OCEL goes to the object that it has of the first type named, the others become tags; what export has
written names its streams itself.
A bad line ends the import, nothing of its batch is stored. Mend it and run the same command again.`

async function runImport(session: Session, file: string, flags: ImportFlags): Promise<void> {
  const fromStdin = file === '-'
  const format = flags.format ?? formatOf(file)
  if (format === 'ndjson' && flags.category !== undefined) {
    throw new UsageError(
      '--category is for --format xes and ocel; the lines of NDJSON name their streams',
    )
  }
  if (format === 'xes' && (flags.category?.length ?? 0) > 1) {
    throw new UsageError('--category takes one name for --format xes')
  }
  const size = fromStdin ? undefined : await sizeOf(file)
  const bar = new ProgressBar(session.io)
  let last: ImportProgress | undefined
  const result = await session.withStore(flags.store, 'write', async (store) => {
    try {
      const options = {
        batchCountMax: flags.batch,
        skipInvalid: flags.skipInvalid,
        sourceName: flags.source ?? (fromStdin ? 'stdin' : undefined),
        signal: session.signal,
        onProgress: (progress: ImportProgress) => {
          last = progress
          const done = progress.events + progress.duplicates
          bar.show(size && progress.bytesRead / size, counted(done, 'event'))
        },
      }
      const source = fromStdin ? session.io.stdin : file
      return await importAs(format, session, store, source, options, flags.category)
    } catch (error) {
      bar.clear()
      if (last !== undefined && last.events > 0) {
        session.say(
          `${counted(last.events, 'event')} before this are stored; run the same command again to go on`,
        )
      }
      throw error
    } finally {
      bar.clear()
    }
  })
  await report(session, result, flags.json === true)
}

function formatOf(file: string): Format {
  const name = file.toLowerCase().replace(/\.gz$/, '')
  if (name.endsWith('.xes')) return 'xes'
  return name.endsWith('.ocel.json') || name.endsWith('.jsonocel') ? 'ocel' : 'ndjson'
}

async function importAs(
  format: Format,
  session: Session,
  store: Store,
  source: Parameters<typeof importEvents>[1],
  options: ImportOptions,
  categories: readonly string[] | undefined,
): Promise<ImportResult> {
  if (format === 'ndjson') return importEvents(store, source, options)
  if (format === 'ocel') return importOcel(store, source, { ...options, categories })
  const xes = await importXes(store, source, { ...options, category: categories?.[0] })
  if (xes.emptyTraces > 0) session.say(`${counted(xes.emptyTraces, 'trace')} had no events`)
  return xes
}

async function sizeOf(file: string): Promise<number | undefined> {
  try {
    const { size } = await stat(file)
    return size > 0 ? size : undefined
  } catch {
    // The import itself says what is wrong with the file.
    return undefined
  }
}

async function report(session: Session, result: ImportResult, asJson: boolean): Promise<void> {
  const { events, duplicates, streams, skipped, skippedCount, seconds, eventsPerSecond } = result
  for (const { line, reason } of skipped.slice(0, SHOWN_MAX)) {
    session.say(`skipped line ${line}: ${reason}`)
  }
  if (skippedCount > SHOWN_MAX) {
    session.say(`skipped ${counted(skippedCount - SHOWN_MAX, 'more line')}`)
  }
  if (asJson) {
    const line = {
      events,
      streams,
      skipped: skippedCount,
      seconds: Number(seconds.toFixed(3)),
      eventsPerSecond: Math.round(eventsPerSecond),
      duplicates,
    }
    await session.output.write(`${JSON.stringify(line)}\n`)
    return
  }
  const parts = [`${counted(events, 'event')} stored`]
  if (duplicates > 0) parts.push(`${count(duplicates)} were there already`)
  if (skippedCount > 0) parts.push(`${counted(skippedCount, 'line')} skipped`)
  const speed = `${seconds.toFixed(1)} s, ${count(eventsPerSecond)} events/s`
  await session.output.write(`${parts.join(', ')} (${counted(streams, 'stream')}, ${speed})\n`)
}
