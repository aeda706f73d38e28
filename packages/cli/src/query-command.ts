import { Command } from 'commander'
import { categoryOf, type RecordedEvent, type Store } from 'eventuali'
import { type Bound, bound, jsonOption, repeated, storeOption, wholeNumber } from './arguments.ts'
import { sayNothingFound } from './nothing-found.ts'
import type { Session } from './session.ts'
import { Table } from './table.ts'
import { type Condition, conditions } from './where.ts'

interface QueryFlags {
  readonly store?: string
  readonly stream?: string
  readonly category?: readonly string[]
  readonly type?: readonly string[]
  readonly tag?: readonly string[]
  readonly where?: readonly Condition[]
  readonly from?: Bound
  readonly to?: Bound
  readonly limit?: number
  readonly reverse?: boolean
  readonly json?: boolean
}

/** What `--where` takes, for the help of commands that have it. */
export const whereHelp = `
Conditions (--where) have a path, an operator (= != < <= > >= ~) and a value: data.customer=ada,
metadata.actor!=x, data.total>=30, data.items[*].sku=tea, data["odd name"]~part. A path alone asks
whether there is something, !path whether there is nothing. A value is JSON where it reads as JSON
(30 is a number, "30" a text), a text otherwise. Quote it for the shell.`

const help = `
Examples:
  eventuali query --stream order-1
  eventuali query --type OrderPlaced --where 'data.total>=100' --reverse --limit 5
  eventuali query --where 'metadata.actor=ada' --from 2013-01-31 --json
${whereHelp}`

/** `query` */
export function queryCommand(session: Session): Command {
  return new Command('query')
    .description('show events: of one stream, or of the whole log')
    .addOption(storeOption())
    .option('--stream <name>', 'only this stream')
    .option('--category <name>', 'only streams of this category; may be repeated', repeated)
    .option('--type <name>', 'only events of this type; may be repeated', repeated)
    .option('--tag <tag>', 'only events with this tag; repeated: with all of them', repeated)
    .option('--where <condition>', 'data.total>=30; may be repeated: all of them', conditions)
    .option('--from <place>', 'from this version (with --stream), position or time on', bound)
    .option('--to <place>', 'up to this version or position, or before this time', bound)
    .option('-n, --limit <n>', 'at most so many', wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .option('-r, --reverse', 'the newest first')
    .addOption(jsonOption('one line of JSON for each event instead of a table'))
    .addHelpText('after', help)
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
  await session.withRawStore(flags.store, 'read', async (store) => {
    const pages = limited(pagesOf(store, flags, session.signal), flags.limit)
    if (flags.json === true) {
      for await (const page of pages) {
        await output.write(page.map((event) => `${JSON.stringify(event)}\n`).join(''))
      }
      return
    }
    const table = new Table<RecordedEvent>(columns, output, session.io)
    let count = 0
    for await (const page of pages) {
      count += page.length
      await table.add(page)
    }
    await table.end()
    if (count === 0 && flags.limit !== 0) await sayNothingFound(session, store, flags)
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
  const { category: categories, type: types, tag: tags, where } = flags
  // With conditions the limit counts what meets them, which the store does not know.
  const limit = where === undefined ? flags.limit : undefined
  if (stream === undefined) {
    const pages = store
      .readAll({
        after: fromNumber === undefined ? undefined : Math.max(0, fromNumber - 1),
        before: toNumber === undefined ? undefined : toNumber + 1,
        ...{ since, until, types, categories, tags, limit, direction, signal },
      })
      .pages()
    return where === undefined ? pages : matching(pages, (event) => meetsAll(event, where))
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
    if (tags !== undefined && !tags.every((tag) => event.tags.includes(tag))) return false
    return where === undefined || meetsAll(event, where)
  })
}

/** Whether an event meets all conditions. */
export function meetsAll(event: RecordedEvent, where: readonly Condition[]): boolean {
  return where.every((condition) => condition(event))
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
