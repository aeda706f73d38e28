import { InvalidArgumentError } from '../../model/index.ts'
import type { DocumentFilter, DocumentQuery } from '../../ports/index.ts'

type DocumentSort = DocumentQuery['sort'][number]

/** The types that compare; lists and objects equal nothing and compare with nothing. */
export type DocumentType = 'boolean' | 'number' | 'text'

/** How a value is compared with another. */
export type ComparisonSign = '=' | '<' | '<=' | '>' | '>='

type Scalar = boolean | number | string

/**
 * What one database says for the properties of a document in column `doc`. Each method gives the
 * text of an expression. A path goes through objects only, never into a list, and is data: the
 * dialect quotes it.
 */
export interface DocumentDialect {
  /** Stands for the n-th value of the statement, from 1. */
  placeholder(n: number): string
  /** A condition: the property is there and of this type. Never an error. */
  is(path: readonly string[], type: DocumentType): string
  /**
   * The property as a value that compares as the type does (text by code point); anything when it
   * is of another type, but never an error: the database may look at it before `is`.
   */
  value(path: readonly string[], type: DocumentType): string
  /** A condition: the property is not there, or null. */
  absent(path: readonly string[]): string
  boolean(value: boolean): string
  /** The comparison of a value with what is given; `value sign right` when it is left out. */
  compared?(value: string, sign: ComparisonSign, right: string, type: DocumentType): string
  /** A condition: the expression is one of the values of a list, which is the one value given. */
  oneOf(expression: string, list: string, type: 'number' | 'text'): string
  /** A list as a value of a statement. */
  list(values: readonly (number | string)[]): unknown
  /**
   * Expressions to order by: false, true, numbers, texts; the first one is NULL for all others,
   * and all of them are equal then.
   */
  order(path: readonly string[]): readonly string[]
  /**
   * Set where an index read backwards serves a descending order only without NULLS LAST, and
   * placeholders may stand in a statement twice.
   */
  readonly apart?: true
}

/** A statement with its values. */
export interface DocumentStatement {
  readonly text: string
  readonly values: readonly unknown[]
}

const NAME_PATTERN = /^[a-z][a-z0-9_]{0,55}$/
/** `LIMIT` of a query that has only an offset. */
const UNLIMITED = Number.MAX_SAFE_INTEGER
const LAST_CHARACTER = '\u{10ffff}'

/** The quoted name of a read model's table or view. Throws InvalidArgumentError. */
export function modelName(name: string): string {
  if (NAME_PATTERN.test(name)) return `"${name}"`
  throw new InvalidArgumentError('table', `is ${JSON.stringify(name)}, not ${NAME_PATTERN.source}`)
}

/** Key, document and position of what a query finds; `table` is quoted already. */
export function findStatement(
  dialect: DocumentDialect,
  table: string,
  { filters, sort, limit, offset }: DocumentQuery,
): DocumentStatement {
  const values: unknown[] = []
  const push = pusher(dialect, values)
  const where = conditions(dialect, filters, push)
  const order = [...sort.flatMap((one) => sortedBy(dialect, one)), 'key'].join(', ')
  const from = `SELECT key, doc, position FROM`
  const limited = limit === undefined && offset === undefined ? '' : push(limit ?? UNLIMITED)
  let page = limited === '' ? '' : ` LIMIT ${limited}`
  if (offset !== undefined) page += ` OFFSET ${push(offset)}`
  const [first] = sort
  if (first?.descending === true && limit !== undefined && dialect.apart !== undefined) {
    const [property] = dialect.order(first.path)
    const count = push(limit + (offset ?? 0))
    const part = (condition: string, absent: number, by: string): string => {
      const both = `${where === '' ? ' WHERE' : `${where} AND`} ${property} ${condition}`
      return `(SELECT *, ${absent} AS absent FROM ${table}${both} ORDER BY ${by} LIMIT ${count})`
    }
    // An index that is read backwards has those without the property first, but they come last.
    const present = part('IS NOT NULL', 0, order.replace(' NULLS LAST', ''))
    const rest = [...sort.slice(1).flatMap((one) => sortedBy(dialect, one)), 'key'].join(', ')
    const parts = `${present} UNION ALL ${part('IS NULL', 1, rest)}`
    const text = `${from} (${parts}) found ORDER BY absent, ${order}${page}`
    return { text, values }
  }
  const text = `${from} ${table}${where} ORDER BY ${order}${page}`
  return { text, values }
}

function sortedBy(dialect: DocumentDialect, { path, descending }: DocumentSort): string[] {
  const direction = descending ? 'DESC' : 'ASC'
  return dialect
    .order(path)
    .map((expression, i) => `${expression} ${direction}${i === 0 ? ' NULLS LAST' : ''}`)
}

/** How many documents match; `table` is quoted already. */
export function countStatement(
  dialect: DocumentDialect,
  table: string,
  filters: readonly DocumentFilter[],
): DocumentStatement {
  const values: unknown[] = []
  const where = conditions(dialect, filters, pusher(dialect, values))
  return { text: `SELECT count(*) FROM ${table}${where}`, values }
}

/** Takes a value in and gives its placeholder. */
type Push = (value: unknown) => string

function pusher(dialect: DocumentDialect, values: unknown[]): Push {
  return (value) => dialect.placeholder(values.push(value))
}

function conditions(
  dialect: DocumentDialect,
  filters: readonly DocumentFilter[],
  push: Push,
): string {
  if (filters.length === 0) return ''
  return ` WHERE ${filters.map((filter) => `(${condition(dialect, filter, push)})`).join(' AND ')}`
}

const NEVER = '1 = 0'
const ALWAYS = '1 = 1'
const comparisons = { lt: '<', lte: '<=', gt: '>', gte: '>=' } as const

function condition(dialect: DocumentDialect, filter: DocumentFilter, push: Push): string {
  const { path, operator, value } = filter
  switch (operator) {
    case 'eq':
      if (value === null) return dialect.absent(path)
      return isScalar(value) ? compare(dialect, path, '=', value, push) : NEVER
    case 'ne':
      if (value === null) return `NOT (${dialect.absent(path)})`
      return isScalar(value) ? `(${compare(dialect, path, '=', value, push)}) IS NOT TRUE` : ALWAYS
    case 'lt':
    case 'lte':
    case 'gt':
    case 'gte':
      return isScalar(value) ? compare(dialect, path, comparisons[operator], value, push) : NEVER
    case 'in':
      return Array.isArray(value) ? among(dialect, path, value, push) : NEVER
    case 'prefix':
      return typeof value === 'string' ? begins(dialect, path, value, push) : NEVER
    case 'exists':
      if (typeof value !== 'boolean') return NEVER
      return value ? `NOT (${dialect.absent(path)})` : dialect.absent(path)
  }
}

function isScalar(value: unknown): value is Scalar {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function typeOf(value: Scalar): DocumentType {
  return typeof value === 'string' ? 'text' : (typeof value as 'number' | 'boolean')
}

function compare(
  dialect: DocumentDialect,
  path: readonly string[],
  sign: ComparisonSign,
  value: Scalar,
  push: Push,
): string {
  const type = typeOf(value)
  const right = typeof value === 'boolean' ? dialect.boolean(value) : push(value)
  return `${dialect.is(path, type)} AND ${compared(dialect, path, sign, right, type)}`
}

function compared(
  dialect: DocumentDialect,
  path: readonly string[],
  sign: ComparisonSign,
  right: string,
  type: DocumentType,
): string {
  const value = dialect.value(path, type)
  return dialect.compared?.(value, sign, right, type) ?? `${value} ${sign} ${right}`
}

function among(
  dialect: DocumentDialect,
  path: readonly string[],
  list: readonly unknown[],
  push: Push,
): string {
  const parts: string[] = []
  for (const type of ['text', 'number'] as const) {
    const wanted = type === 'text' ? 'string' : 'number'
    const values = list.filter((one): one is string | number => typeof one === wanted)
    if (values.length === 0) continue
    const found = dialect.oneOf(dialect.value(path, type), push(dialect.list(values)), type)
    parts.push(`${dialect.is(path, type)} AND ${found}`)
  }
  for (const value of [true, false]) {
    if (list.includes(value)) parts.push(compare(dialect, path, '=', value, push))
  }
  if (list.includes(null)) parts.push(dialect.absent(path))
  return parts.length === 0 ? NEVER : parts.map((part) => `(${part})`).join(' OR ')
}

/** As a range, which an index serves. */
function begins(
  dialect: DocumentDialect,
  path: readonly string[],
  prefix: string,
  push: Push,
): string {
  const bounds = [dialect.is(path, 'text')]
  if (prefix !== '') bounds.push(compared(dialect, path, '>=', push(prefix), 'text'))
  const end = afterPrefix(prefix)
  if (end !== undefined) bounds.push(compared(dialect, path, '<', push(end), 'text'))
  return bounds.join(' AND ')
}

/** The least text above all that begin with the prefix; undefined when there is none. */
export function afterPrefix(prefix: string): string | undefined {
  const characters = Array.from(prefix)
  while (characters.at(-1) === LAST_CHARACTER) characters.pop()
  const last = characters.pop()?.codePointAt(0)
  if (last === undefined) return undefined
  // What lies between are halves of characters, which no text holds.
  const next = last + 1 >= 0xd800 && last + 1 <= 0xdfff ? 0xe000 : last + 1
  return characters.join('') + String.fromCodePoint(next)
}
