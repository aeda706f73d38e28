import { compareText } from '../../kernel/index.ts'
import { categoryOf, decodeRow, isSystemType, type RecordedEvent } from '../../model/index.ts'
import type { LogQuery, QueryItem, StreamQuery, StreamsQuery } from '../../ports/index.ts'
import type { MemoryLog, MemoryRow } from './log.ts'

const pageSizeDefault = 500

type Matcher = (row: MemoryRow) => boolean

/** Whether any item of the query matches. */
export function matchesQuery(row: MemoryRow, query: readonly QueryItem[]): boolean {
  return query.some(
    (item) => item.types.includes(row.type) && item.tags.every((tag) => row.tags.includes(tag)),
  )
}

function streamMatcher({ asOf }: StreamQuery): Matcher {
  if (asOf === undefined) return () => true
  return (row) => row[asOf.by] <= asOf.at
}

function logMatcher(query: LogQuery, log: () => MemoryLog): Matcher {
  const by = query.by ?? 'time'
  const { since, until, types, categories, tags } = query
  return (row) => {
    if (since !== undefined && row[by] < since) return false
    if (until !== undefined && row[by] >= until) return false
    if (categories !== undefined && !categories.includes(categoryOf(row.stream))) return false
    if (query.query !== undefined) {
      if (!matchesQuery(row, query.query)) return false
    } else {
      if (types !== undefined && !types.includes(row.type)) return false
      if (tags !== undefined && !tags.every((tag) => row.tags.includes(tag))) return false
    }
    if (query.includeArchived === true || isSystemType(row.type)) return true
    return log().stream(row.stream)?.state !== 'archived'
  }
}

/** Takes matching rows from `rows[low..high)`, from the end that the direction starts at. */
function take(
  rows: readonly MemoryRow[],
  low: number,
  high: number,
  direction: 'forward' | 'backward',
  countMax: number,
  matches: Matcher,
): MemoryRow[] {
  const taken: MemoryRow[] = []
  const step = direction === 'forward' ? 1 : -1
  let at = direction === 'forward' ? low : high - 1
  for (; at >= low && at < high && taken.length < countMax; at += step) {
    const row = rows[at] as MemoryRow
    if (matches(row)) taken.push(row)
  }
  return taken
}

/** Pages of one stream. `log` is asked for each page, since a commit may have replaced it. */
export async function* streamPages(
  log: () => MemoryLog,
  query: StreamQuery,
): AsyncGenerator<readonly RecordedEvent[]> {
  let from = query.from ?? 1
  let to = query.to ?? Number.MAX_SAFE_INTEGER
  let left = query.limit ?? Number.MAX_SAFE_INTEGER
  const matches = streamMatcher(query)
  while (left > 0) {
    const stream = log().stream(query.stream)
    if (stream === undefined) return
    // Kept versions are dense, so a version is an index.
    const low = Math.max(0, from - stream.firstVersion)
    const high = Math.min(stream.rows.length, to - stream.firstVersion + 1)
    const count = Math.min(left, pageSizeDefault)
    const rows = take(stream.rows, low, high, query.direction, count, matches)
    const last = rows.at(-1)
    if (last === undefined) return
    left -= rows.length
    if (query.direction === 'forward') from = last.version + 1
    else to = last.version - 1
    yield rows.map(decodeRow)
  }
}

/** Pages of the log. */
export async function* logPages(
  log: () => MemoryLog,
  query: LogQuery,
): AsyncGenerator<readonly RecordedEvent[]> {
  let after = query.after ?? 0
  let through = Math.min(query.upTo, (query.before ?? Number.MAX_SAFE_INTEGER) - 1)
  let left = query.limit ?? Number.MAX_SAFE_INTEGER
  const matches = logMatcher(query, log)
  while (left > 0) {
    const current = log()
    const low = current.indexAfter(after)
    const high = current.indexAfter(through)
    const count = Math.min(left, query.pageSize ?? pageSizeDefault)
    const rows = take(current.rows, low, high, query.direction, count, matches)
    const last = rows.at(-1)
    if (last === undefined) return
    left -= rows.length
    if (query.direction === 'forward') after = last.position
    else through = last.position - 1
    yield rows.map(decodeRow)
  }
}

/** Names in the order of their code points. */
export function selectNames(log: MemoryLog, query: StreamsQuery): string[] {
  const { prefix, category, after } = query
  return log
    .names()
    .filter(
      (name) =>
        (prefix === undefined || name.startsWith(prefix)) &&
        (category === undefined || categoryOf(name) === category) &&
        (after === undefined || compareText(name, after) > 0),
    )
    .sort(compareText)
    .slice(0, query.limit)
}
