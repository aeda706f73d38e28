import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { Command, Option } from 'commander'
import { exportEvents, exportOcel, exportXes, type Store } from 'eventuali'
import { repeated, storeOption } from './arguments.ts'
import { UsageError } from './exit-codes.ts'
import { counted } from './numbers.ts'
import type { Session } from './session.ts'

interface ExportFlags {
  readonly store?: string
  readonly stream?: string
  readonly category?: readonly string[]
  readonly type?: readonly string[]
  readonly tag?: readonly string[]
  readonly out?: string
  readonly format: 'ndjson' | 'xes' | 'ocel'
}

/** `export` */
export function exportCommand(session: Session): Command {
  return new Command('export')
    .description('write events as NDJSON or XES, which import reads back unchanged, or as OCEL 2.0')
    .addOption(storeOption())
    .option('--stream <name>', 'only this stream')
    .option('--category <name>', 'only streams of this category; may be repeated', repeated)
    .option('--type <name>', 'only events of this type; may be repeated', repeated)
    .option('--tag <tag>', 'only events with this tag; repeated: with all of them', repeated)
    .addOption(
      new Option('-f, --format <format>', 'xes and ocel (JSON) are event logs for process mining')
        .choices(['ndjson', 'xes', 'ocel'])
        .default('ndjson'),
    )
    .option('-o, --out <file>', 'write to a file (.gz packs it), complete or not at all')
    .addHelpText('after', '\nExample:\n  eventuali export --category order --out orders.ndjson.gz')
    .action((flags: ExportFlags) => runExport(session, flags))
}

async function runExport(session: Session, flags: ExportFlags): Promise<void> {
  const { out } = flags
  const { signal } = session
  if (flags.format !== 'ndjson' && (flags.stream ?? flags.type ?? flags.tag) !== undefined) {
    throw new UsageError('xes and ocel take whole streams; choose them with --category')
  }
  await session.withRawStore(flags.store, 'read', async (store) => {
    const lines = partsOf(store, flags, signal)
    if (out === undefined) {
      for await (const text of lines) await session.output.write(text)
    } else {
      const count = await writeFile(out, lines, signal)
      // Only NDJSON has a line for each event.
      session.say(
        `${counted(count, flags.format === 'ndjson' ? 'event' : 'line')} written to ${out}`,
      )
    }
  })
}

function partsOf(
  store: Store,
  { format, stream, category: categories, type: types, tag: tags }: ExportFlags,
  signal: AbortSignal,
): AsyncIterable<string> {
  if (format === 'xes') return exportXes(store, { categories, signal })
  if (format === 'ocel') return exportOcel(store, { categories, signal })
  return exportEvents(store, { stream, categories, types, tags, signal })
}

/** Writes beside the file and renames at the end, so that a half export is never taken for one. */
async function writeFile(
  file: string,
  lines: AsyncIterable<string>,
  signal: AbortSignal,
): Promise<number> {
  const partial = `${file}.${process.pid}.partial`
  let events = 0
  async function* countedLines(): AsyncGenerator<Buffer> {
    for await (const text of lines) {
      for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) events++
      yield Buffer.from(text)
    }
  }
  try {
    // `flush` syncs the file before it is closed, so that the rename never overtakes its content.
    const target = createWriteStream(partial, { flush: true })
    const source = Readable.from(countedLines(), { objectMode: true, highWaterMark: 1 })
    const isPacked = /\.gz$/i.test(file)
    await (isPacked
      ? pipeline(source, createGzip(), target, { signal })
      : pipeline(source, target, { signal }))
    await rename(partial, file)
    return events
  } catch (error) {
    await rm(partial, { force: true })
    signal.throwIfAborted()
    throw error
  }
}
