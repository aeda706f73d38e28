import { Command } from 'commander'
import type { StreamInfo } from 'eventuali'
import { jsonOption, storeOption, wholeNumber } from './arguments.ts'
import type { Session } from './session.ts'
import { Table } from './table.ts'

interface StreamsFlags {
  readonly store?: string
  readonly prefix?: string
  readonly category?: string
  readonly limit?: number
  readonly json?: boolean
}

/** `streams` */
export function streamsCommand(session: Session): Command {
  return new Command('streams')
    .description('list the streams by name')
    .addOption(storeOption())
    .option('--prefix <text>', 'only names that begin so')
    .option('--category <name>', 'only streams of this category')
    .option('-n, --limit <n>', 'at most so many', wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .addOption(jsonOption('one line of JSON for each stream instead of a table'))
    .addHelpText('after', '\nExample:\n  eventuali streams --prefix order- --limit 20')
    .action((flags: StreamsFlags) => runStreams(session, flags))
}

const time = (date: Date | undefined): string => date?.toISOString() ?? ''

const columns = [
  { title: 'STREAM', text: (s: StreamInfo) => s.stream },
  { title: 'VERSION', text: (s: StreamInfo) => String(s.version), align: 'right' },
  { title: 'EVENTS', text: (s: StreamInfo) => String(s.count), align: 'right' },
  { title: 'STATE', text: (s: StreamInfo) => s.state },
  { title: 'FIRST', text: (s: StreamInfo) => time(s.firstTime) },
  { title: 'LAST', text: (s: StreamInfo) => time(s.lastTime) },
] as const

async function runStreams(session: Session, flags: StreamsFlags): Promise<void> {
  const { prefix, category, limit } = flags
  await session.withRawStore(flags.store, 'read', async (store) => {
    const pages = store.streams({ prefix, category, limit, signal: session.signal }).pages()
    if (flags.json === true) {
      for await (const page of pages) {
        await session.output.write(page.map((info) => `${JSON.stringify(info)}\n`).join(''))
      }
      return
    }
    const table = new Table<StreamInfo>(columns, session.output, session.io)
    let count = 0
    for await (const page of pages) {
      count += page.length
      await table.add(page)
    }
    await table.end()
    if (count === 0 && limit !== 0) {
      const isAny = prefix === undefined && category === undefined
      session.say(isAny ? 'there is no stream yet' : 'there is no such stream')
    }
  })
}
