import { askedName, systemEventTypes } from '../../model/index.ts'
import type { LogQuery, QueryItem } from '../../ports/index.ts'
import { tagHash } from '../sql/index.ts'
import type { Row } from './connections.ts'
import { eventColumnCount, eventColumns } from './event-rows.ts'

/** Rows larger than this, as stored, are fetched apart, so that a page stays small in memory. */
const LARGE_ROW_BYTES = 8 * 1024
/** Large rows that are fetched together, as stored. */
const LARGE_GROUP_BYTES = 1024 * 1024

const storedBytes = '(coalesce(pg_column_size(e.data), 0) + coalesce(pg_column_size(e.body), 0))'
const unlessLarge = (column: string): string =>
  `CASE WHEN ${storedBytes} > ${LARGE_ROW_BYTES} THEN NULL ELSE ${column} END`

/** The event columns with a large row's data left out, and its size in the last place. */
export const pageColumns: string = `${['e.data', "encode(e.body, 'base64')"].reduce(
  (columns, column) => columns.replace(column, unlessLarge(column)),
  eventColumns,
)}, CASE WHEN ${storedBytes} > ${LARGE_ROW_BYTES} THEN ${storedBytes}::text END`

/** The size of a row whose data was left out; 0 for one that is whole. */
function leftOutBytes(row: Row | undefined): number {
  return Number(row?.[eventColumnCount] ?? 0)
}

/** Splits a page into rows that are whole, and groups of large ones to be fetched together. */
export function* rowGroups(
  rows: readonly Row[],
): Generator<{ readonly rows: readonly Row[]; readonly large: boolean }> {
  for (let from = 0; from < rows.length; ) {
    const large = leftOutBytes(rows[from]) > 0
    let bytes = leftOutBytes(rows[from])
    let to = from + 1
    for (; to < rows.length && leftOutBytes(rows[to]) > 0 === large; to++) {
      bytes += leftOutBytes(rows[to])
      if (bytes > LARGE_GROUP_BYTES) break
    }
    yield { rows: from === 0 && to === rows.length ? rows : rows.slice(from, to), large }
    from = to
  }
}

/** A statement's text with its values numbered as they come. */
class Text {
  readonly values: unknown[] = []
  parameter(value: unknown, type: string): string {
    this.values.push(value)
    return `$${this.values.length}::${type}`
  }
}

/** One ordered way through the log; a query with several items merges several. */
export interface LogScan {
  /** Ids of the types, undefined for any. */
  readonly typeIds: readonly number[] | undefined
  /** All of them are on the event. */
  readonly tags: readonly string[]
}

/** What the items of a query mean as scans: those without tags go through the log together. */
export async function scansOf(
  query: LogQuery,
  findTypes: (names: readonly string[]) => Promise<readonly number[]>,
): Promise<readonly LogScan[]> {
  const items: readonly QueryItem[] = query.query ?? [
    { types: query.types ?? [], tags: query.tags ?? [] },
  ]
  const scans: LogScan[] = []
  const untagged = new Set<number>()
  let hasUntagged = false
  for (const { types, tags } of items) {
    const typeIds = types.length === 0 ? undefined : await findTypes(types)
    if (typeIds?.length === 0) continue
    if (tags.length > 0 || typeIds === undefined) scans.push({ typeIds, tags })
    else {
      hasUntagged = true
      for (const id of typeIds) untagged.add(id)
    }
  }
  if (hasUntagged) scans.push({ typeIds: [...untagged], tags: [] })
  return scans
}

/** The bounds of one page. */
export interface PageBounds {
  /** Exclusive, in the query's direction: the last position that was seen. */
  readonly after: number
  /** Exclusive. */
  readonly before: number
  readonly limit: number
}

/** The statement for one page of a scan. */
export function logPage(
  schema: string,
  query: LogQuery,
  { typeIds, tags }: LogScan,
  bounds: PageBounds,
): { readonly text: string; readonly values: readonly unknown[] } {
  const t = new Text()
  const [first, ...others] = [...new Set(tags.map(tagHash))]
  const key = first === undefined ? 'e.position' : 'g.position'
  const where = [
    `${key} > ${t.parameter(bounds.after, 'bigint')}`,
    `${key} < ${t.parameter(bounds.before, 'bigint')}`,
  ]
  let from = `${schema}.events e`
  if (first !== undefined) {
    from = `${schema}.event_tags g JOIN ${schema}.events e ON e.position = g.position`
    where.push(`g.tag_hash = ${t.parameter(first, 'bigint')}`)
    for (const hash of others) {
      where.push(
        `EXISTS (SELECT 1 FROM ${schema}.event_tags o WHERE o.tag_hash = ${t.parameter(hash, 'bigint')} AND o.position = g.position)`,
      )
    }
  }
  if (typeIds !== undefined) {
    const column = first === undefined ? 'e.type' : 'g.type'
    where.push(`${column} = ANY (${t.parameter(`{${typeIds.join(',')}}`, 'integer[]')})`)
  }
  if (query.categories !== undefined) {
    where.push(`s.category = ANY (${t.parameter(query.categories.map(askedName), 'text[]')})`)
  }
  const time = query.by === 'recordedAt' ? 'e.recorded_at' : 'e.time'
  if (query.since !== undefined) where.push(`${time} >= ${t.parameter(query.since, 'bigint')}`)
  if (query.until !== undefined) where.push(`${time} < ${t.parameter(query.until, 'bigint')}`)
  if (query.includeArchived !== true) {
    const system = t.parameter(Object.values(systemEventTypes), 'text[]')
    where.push(
      `(s.state <> 1 OR e.type IN (SELECT id FROM ${schema}.types WHERE name = ANY (${system})))`,
    )
  }
  const direction = query.direction === 'forward' ? 'ASC' : 'DESC'
  const text = `SELECT ${pageColumns} FROM ${from} JOIN ${schema}.streams s ON s.id = e.stream
    WHERE ${where.join(' AND ')} ORDER BY ${key} ${direction} LIMIT ${t.parameter(bounds.limit, 'bigint')}`
  return { text, values: t.values }
}
