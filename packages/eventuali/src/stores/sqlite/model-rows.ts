import { InvalidArgumentError, type Json } from '../../model/index.ts'
import type { ModelRow } from '../../ports/index.ts'
import { modelName } from '../sql/index.ts'
import type { SqlRow, SqlValue } from './driver.ts'
import type { Session } from './session.ts'

const viewText = "SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = ?"
const published = /SELECT \* FROM "([a-z0-9_]+)"$/
const columnsOf = 'SELECT name, pk FROM pragma_table_info(?) ORDER BY cid'
const COPY = 'eventuali_copy'

interface Shape {
  /** All columns of the user's. */
  readonly columns: readonly string[]
  readonly key: readonly string[]
  /** What to read from: the table, or its rows with a number for each copy of the same one. */
  readonly source: string
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** The table that a published view shows; any other name is a table's own. */
function physicalName(session: Session, name: string): string {
  const text = session.prepare(viewText).get(name)?.[0]
  return published.exec(String(text ?? ''))?.[1] ?? name
}

function shapeOf(session: Session, table: string): Shape {
  const found = session.prepare(columnsOf).all(table)
  if (found.length === 0) throw new InvalidArgumentError('table', `has no rows to read: ${table}`)
  const columns = found.map(([name]) => String(name))
  const key = found
    .filter(([, pk]) => (pk as number) > 0)
    .sort((a, b) => (a[1] as number) - (b[1] as number))
    .map(([name]) => String(name))
  const source = modelName(table)
  if (key.length > 0) return { columns, key, source }
  // The same row twice differs from the same row once, so that each copy has a key of its own.
  const copies = `row_number() OVER (PARTITION BY ${columns.map(quoted).join(', ')}) AS ${COPY}`
  return { columns, key: [...columns, COPY], source: `(SELECT *, ${copies} FROM ${source})` }
}

/** Rows that come after a key. NULL, which SQLite allows in a key, is the least value. */
function afterKey(key: readonly string[], after: readonly SqlValue[], values: SqlValue[]): string {
  if (!after.includes(null)) {
    values.push(...after)
    return `(${key.map(quoted).join(', ')}) > (${key.map(() => '?').join(', ')})`
  }
  const parts = key.map((column, i) => {
    const same = key.slice(0, i).map((before, j) => {
      values.push(after[j] as SqlValue)
      return `${quoted(before)} IS ?`
    })
    const value = after[i] as SqlValue
    if (value !== null) values.push(value)
    const above = value === null ? `${quoted(column)} IS NOT NULL` : `${quoted(column)} > ?`
    return [...same, above].join(' AND ')
  })
  return `(${parts.join(' OR ')})`
}

/** Drivers throw at integers that a number does not hold: those come as text. */
function selected(column: string): string {
  const name = quoted(column)
  return `CASE WHEN typeof(${name}) = 'integer' AND ${name} NOT BETWEEN ${Number.MIN_SAFE_INTEGER} AND ${Number.MAX_SAFE_INTEGER} THEN CAST(${name} AS TEXT) ELSE ${name} END`
}

function toJson(value: SqlValue): Json {
  return value instanceof Uint8Array ? { blob: Buffer.from(value).toString('hex') } : value
}

function fromJson(value: Json): SqlValue {
  if (typeof value !== 'object' || value === null) return value as SqlValue
  return Buffer.from((value as { readonly blob: string }).blob, 'hex')
}

function toRow({ columns, key }: Shape, row: SqlRow): ModelRow {
  const value = Object.fromEntries(columns.map((name, i) => [name, toJson(row[i] as SqlValue)]))
  const keys = key.map((_, i) => toJson(row[columns.length + i] as SqlValue))
  return { key: JSON.stringify(keys), value }
}

const isCollection = (columns: readonly string[]): boolean => columns.join() === 'key,doc,position'

/** A page of any table's rows, in the order of the values of its key. */
export function modelRows(
  session: Session,
  name: string,
  { after, limit }: { readonly after?: string | undefined; readonly limit: number },
): readonly ModelRow[] {
  modelName(name)
  const shape = shapeOf(session, physicalName(session, name))
  const { columns, key, source } = shape
  const values: SqlValue[] = []
  const documents = isCollection(columns)
  let where = ''
  if (after !== undefined) {
    const start = documents ? [after] : (JSON.parse(after) as Json[]).map(fromJson)
    where = ` WHERE ${afterKey(key, start, values)}`
  }
  const read = documents ? 'key, doc' : [...columns, ...key].map(selected).join(', ')
  const order = key.map(quoted).join(', ')
  const text = `SELECT ${read} FROM ${source}${where} ORDER BY ${order} LIMIT ?`
  const rows = session.prepare(text).all(...values, limit)
  if (!documents) return rows.map((row) => toRow(shape, row))
  return rows.map(([at, doc]) => ({ key: at as string, value: JSON.parse(doc as string) }))
}
