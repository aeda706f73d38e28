import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { Command } from 'commander'
import { exportEvents } from 'eventuali'
import { repeated, storeOption } from './arguments.ts'
import { counted } from './numbers.ts'
import type { Session } from './session.ts'

interface ExportFlags {
  readonly store?: string
  readonly stream?: string
  readonly category?: readonly string[]
  readonly type?: readonly string[]
  readonly tag?: readonly string[]
  readonly out?: string
}

/** `export` */
export function exportCommand(session: Session): Command {
  return new Command('export')
    .description('write events as NDJSON that import reads back unchanged')
    .addOption(storeOption())
    .option('--stream <name>', 'only this stream')
    .option('--category <name>', 'only streams of this category; may be repeated', repeated)
    .option('--type <name>', 'only events of this type; may be repeated', repeated)
    .option('--tag <tag>', 'only events with this tag; repeated: with all of them', repeated)
    .option('-o, --out <file>', 'write to a file (.gz packs it), complete or not at all')
    .action((flags: ExportFlags) => runExport(session, flags))
}

async function runExport(session: Session, flags: ExportFlags): Promise<void> {
  const { stream, category: categories, type: types, tag: tags, out } = flags
  const { signal } = session
  await session.withStore(flags.store, 'read', async (store) => {
    const lines = exportEvents(store, { stream, categories, types, tags, signal })
    if (out === undefined) {
      for await (const text of lines) await session.output.write(text)
    } else {
      const events = await writeFile(out, lines, signal)
      session.say(`${counted(events, 'event')} written to ${out}`)
    }
  })
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
