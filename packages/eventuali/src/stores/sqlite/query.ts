import { askedName, InvalidArgumentError, type RecordedEvent } from '../../model/index.ts'
import type { LogQuery, QueryItem } from '../../ports/index.ts'
import { tagHash } from '../sql/index.ts'
import type { SqlValue } from './driver.ts'
import type { Names } from './names.ts'
import { eventColumns, type Session } from './session.ts'

/** SQLite joins no more than 500 selects. */
const ITEM_COUNT_MAX = 400

/** What `planLog` needs of a query; the bounds of the page come beside it. */
export type LogFilter = Pick<
  LogQuery,
  'since' | 'until' | 'by' | 'types' | 'categories' | 'tags' | 'query' | 'includeArchived'
>

/** A page's statement with its values. */
export interface LogPlan {
  readonly text: string
  readonly values: readonly SqlValue[]
}

interface Item {
  /** Undefined for any type. */
  readonly typeIds: readonly number[] | undefined
  readonly tags: readonly string[]
}

/** Inclusive and exclusive bounds of one page, and how many rows it takes. */
export interface LogRange {
  /** Exclusive. */
  readonly after: number
  /** Inclusive. */
  readonly upTo: number
  readonly direction: 'forward' | 'backward'
  readonly countMax: number
}

/** Whether a read has to look at more events than it returns. */
export function isFiltered(filter: LogFilter): boolean {
  const { since, until, types, categories, tags, query } = filter
  return [since, until, types, categories, tags, query].some((part) => part !== undefined)
}

const marks = (values: readonly unknown[]): string => values.map(() => '?').join(', ')

function itemsOf(session: Session, names: Names, filter: LogFilter): readonly Item[] | undefined {
  const { query, types, tags } = filter
  const idsOf = (list: readonly string[]): number[] =>
    list.map((name) => names.typeId(session.sql, askedName(name))).filter((id) => id !== undefined)
  if (query === undefined) {
    if (types === undefined && (tags === undefined || tags.length === 0)) return undefined
    const typeIds = types === undefined ? undefined : idsOf(types)
    return typeIds?.length === 0 ? [] : [{ typeIds, tags: tags ?? [] }]
  }
  if (query.length > ITEM_COUNT_MAX) {
    throw new InvalidArgumentError('query', `has more than ${ITEM_COUNT_MAX} items`)
  }
  return query
    .map((item) => ({ typeIds: idsOf(item.types), tags: item.tags }))
    .filter((item) => item.typeIds.length > 0)
}

/** The positions that one item with tags may match, from the index of tags. */
function taggedSelect(item: Item, range: LogRange, values: SqlValue[]): string {
  const [first, ...rest] = item.tags.map(tagHash)
  values.push(first as number, range.after, range.upTo)
  let text =
    'SELECT t.position AS position FROM eventuali_event_tags t WHERE t.tag_hash = ? AND t.position > ? AND t.position <= ?'
  if (item.typeIds !== undefined) {
    text += ` AND t.type_id IN (${marks(item.typeIds)})`
    values.push(...item.typeIds)
  }
  for (const hash of rest) {
    text +=
      ' AND EXISTS (SELECT 1 FROM eventuali_event_tags o WHERE o.tag_hash = ? AND o.position = t.position)'
    values.push(hash)
  }
  return text
}

function plainSelect(typeIds: readonly number[], range: LogRange, values: SqlValue[]): string {
  values.push(range.after, range.upTo, ...typeIds)
  return `SELECT position FROM eventuali_events WHERE position > ? AND position <= ? AND type_id IN (${marks(typeIds)})`
}

/** The FROM and WHERE of a page, the filter's items in them. */
function source(items: readonly Item[] | undefined, range: LogRange, values: SqlValue[]): string {
  if (items?.some((item) => item.tags.length > 0)) {
    const selects = items.map((item) =>
      item.tags.length > 0
        ? taggedSelect(item, range, values)
        : plainSelect(item.typeIds ?? [], range, values),
    )
    return `FROM (${selects.join(' UNION ')}) p CROSS JOIN eventuali_events e ON e.position = p.position WHERE 1`
  }
  values.push(range.after, range.upTo)
  let text = 'FROM eventuali_events e WHERE e.position > ? AND e.position <= ?'
  if (items !== undefined) {
    const typeIds = items.flatMap((item) => item.typeIds ?? [])
    text += ` AND e.type_id IN (${marks(typeIds)})`
    values.push(...typeIds)
  }
  return text
}

/**
 * The statement for one page of the log, or undefined when nothing can match. Events whose tags
 * only share a hash come along: `matchesTags` tells them apart.
 */
export function planLog(
  session: Session,
  names: Names,
  filter: LogFilter,
  range: LogRange,
): LogPlan | undefined {
  const items = itemsOf(session, names, filter)
  // What holds a dash is no category, only the beginning of names.
  const categories = filter.categories?.filter((category) => !category.includes('-'))
  if (items?.length === 0 || categories?.length === 0) return undefined
  const values: SqlValue[] = []
  let text = `SELECT ${eventColumns} ${source(items, range, values)}`
  const time = filter.by === 'recordedAt' ? 'e.recorded_at' : 'e.time'
  if (filter.since !== undefined) {
    text += ` AND ${time} >= ?`
    values.push(filter.since)
  }
  if (filter.until !== undefined) {
    text += ` AND ${time} < ?`
    values.push(filter.until)
  }
  if (categories !== undefined) {
    const each = categories.map((category) => {
      const name = askedName(category)
      values.push(name, `${name}-`, `${name}-`)
      return 's.name = ? OR substr(s.name, 1, length(?)) = ?'
    })
    text += ` AND EXISTS (SELECT 1 FROM eventuali_streams s WHERE s.id = e.stream_id AND (${each.join(' OR ')}))`
  }
  if (filter.includeArchived !== true && session.sql.anyArchived.get() !== undefined) {
    text +=
      " AND (NOT EXISTS (SELECT 1 FROM eventuali_streams a WHERE a.id = e.stream_id AND a.state = 1) OR e.type_id IN (SELECT id FROM eventuali_types WHERE name >= '$' AND name < '%'))"
  }
  values.push(range.countMax)
  text += ` ORDER BY e.position ${range.direction === 'forward' ? 'ASC' : 'DESC'} LIMIT ?`
  return { text, values }
}

/** Whether the event's own tags are what the filter asks for, not only their hashes. */
export function matchesTags(event: RecordedEvent, filter: LogFilter): boolean {
  if (filter.query !== undefined) return filter.query.some((item) => matchesItem(event, item))
  return filter.tags === undefined || filter.tags.every((tag) => event.tags.includes(tag))
}

function matchesItem(event: RecordedEvent, item: QueryItem): boolean {
  return item.types.includes(event.type) && item.tags.every((tag) => event.tags.includes(tag))
}
