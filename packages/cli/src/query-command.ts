import { Command } from 'commander'
import { categoryOf, type RecordedEvent, type Store } from 'eventuali'
import { type Bound, bound, jsonOption, repeated, storeOption, wholeNumber } from './arguments.ts'
import type { Session } from './session.ts'
import { Table } from './table.ts'

interface QueryFlags {
  readonly store?: string
  readonly stream?: string
  readonly category?: readonly string[]
  readonly type?: readonly string[]
  readonly tag?: readonly string[]
  readonly from?: Bound
  readonly to?: Bound
  readonly limit?: number
  readonly reverse?: boolean
  readonly json?: boolean
}

/** `query` */
export function queryCommand(session: Session): Command {
  return new Command('query')
    .description('show events: of one stream, or of the whole log')
    .addOption(storeOption())
    .option('--stream <name>', 'only this stream')
    .option('--category <name>', 'only streams of this category; may be repeated', repeated)
    .option('--type <name>', 'only events of this type; may be repeated', repeated)
    .option('--tag <tag>', 'only events with this tag; repeated: with all of them', repeated)
    .option('--from <place>', 'from this version (with --stream), position or time on', bound)
    .option('--to <place>', 'up to this version or position, or before this time', bound)
    .option('-n, --limit <n>', 'at most so many', wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .option('-r, --reverse', 'the newest first')
    .addOption(jsonOption('one line of JSON for each event instead of a table'))
    .action((flags: QueryFlags) => runQuery(session, flags))
}

const columns = [
  { title: 'POSITION', text: (e: RecordedEvent) => String(e.position), align: 'right' },
  { title: 'TIME', text: (e: RecordedEvent) => e.time.toISOString() },
  { title: 'STREAM', text: (e: RecordedEvent) => e.stream },
  { title: 'VERSION', text: (e: RecordedEvent) => String(e.version), align: 'right' },
  { title: 'TYPE', text: (e: RecordedEvent) => e.type },
  { title: 'DATA', text: (e: RecordedEvent) => JSON.stringify(e.data) },
] as const

async function runQuery(session: Session, flags: QueryFlags): Promise<void> {
  const { output } = session
  await session.withStore(flags.store, 'read', async (store) => {
    const pages = limited(pagesOf(store, flags, session.signal), flags.limit)
    if (flags.json === true) {
      for await (const page of pages) {
        await output.write(page.map((event) => `${JSON.stringify(event)}\n`).join(''))
      }
      return
    }
    const table = new Table<RecordedEvent>(columns, output, session.io)
    for await (const page of pages) await table.add(page)
    await table.end()
  })
}

function pagesOf(
  store: Store,
  flags: QueryFlags,
  signal: AbortSignal,
): AsyncIterable<readonly RecordedEvent[]> {
  const { stream, from, to } = flags
  const direction = flags.reverse === true ? 'backward' : 'forward'
  const fromNumber = from !== undefined && 'number' in from ? from.number : undefined
  const toNumber = to !== undefined && 'number' in to ? to.number : undefined
  const since = from !== undefined && 'time' in from ? from.time : undefined
  const until = to !== undefined && 'time' in to ? to.time : undefined
  const { limit, category: categories, type: types, tag: tags } = flags
  if (stream === undefined) {
    return store
      .readAll({
        after: fromNumber === undefined ? undefined : Math.max(0, fromNumber - 1),
        before: toNumber === undefined ? undefined : toNumber + 1,
        ...{ since, until, types, categories, tags, limit, direction, signal },
      })
      .pages()
  }
  const pages = store
    .readStream(stream, {
      from: fromNumber === undefined ? undefined : Math.max(1, fromNumber),
      to: toNumber,
      ...{ direction, signal },
    })
    .pages()
  return matching(pages, (event) => {
    if (since !== undefined && event.time < since) return false
    if (until !== undefined && event.time >= until) return false
    if (types !== undefined && !types.includes(event.type)) return false
    if (categories !== undefined && !categories.includes(categoryOf(event.stream))) return false
    return tags === undefined || tags.every((tag) => event.tags.includes(tag))
  })
}

async function* matching(
  pages: AsyncIterable<readonly RecordedEvent[]>,
  matches: (event: RecordedEvent) => boolean,
): AsyncGenerator<readonly RecordedEvent[]> {
  for await (const page of pages) yield page.filter(matches)
}

async function* limited(
  pages: AsyncIterable<readonly RecordedEvent[]>,
  limit: number | undefined,
): AsyncGenerator<readonly RecordedEvent[]> {
  let left = limit ?? Number.POSITIVE_INFINITY
  if (left === 0) return
  for await (const page of pages) {
    yield page.length > left ? page.slice(0, left) : page
    left -= page.length
    if (left <= 0) return
  }
}
