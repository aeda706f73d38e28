import type { DocumentDialect } from '../sql/index.ts'

/** What an index holds of a text: its entries are bounded, and texts are not. */
const INDEXED_LENGTH = 100

/** The document as SQL can take it apart. */
const ROOT = 'coalesce(plain, doc)'

/** Types as an index and an order have them: false, true, numbers, texts. */
const NUMBER_RANK = 2
const TEXT_RANK = 3

function quoted(name: string): string {
  return `E'${name.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}

function property(path: readonly string[]): string {
  // By name only: a list has none, so that a path never goes into one.
  return [ROOT, ...path.map(quoted)].join(' -> ')
}

function propertyText(path: readonly string[]): string {
  const last = path.at(-1)
  if (last === undefined) return `${ROOT} #>> '{}'`
  return `${property(path.slice(0, -1))} ->> ${quoted(last)}`
}

function rank(path: readonly string[]): string {
  return `(CASE json_typeof(${property(path)}) WHEN 'string' THEN ${TEXT_RANK}
    WHEN 'number' THEN ${NUMBER_RANK}
    WHEN 'boolean' THEN CASE ${propertyText(path)} WHEN 'true' THEN 1 ELSE 0 END END)`
}

function number(path: readonly string[]): string {
  return `(CASE json_typeof(${property(path)}) WHEN 'number'
    THEN (${propertyText(path)})::double precision END)`
}

function text(path: readonly string[]): string {
  return `((CASE json_typeof(${property(path)}) WHEN 'string'
    THEN ${propertyText(path)} END) COLLATE "C")`
}

function start(value: string): string {
  return `left(${value}, ${INDEXED_LENGTH})`
}

/** What an index of a path holds; it serves comparisons with values of all types, and the order. */
export function indexedExpressions(path: readonly string[]): readonly string[] {
  return [rank(path), number(path), start(text(path))]
}

/** Documents are json: jsonb would change numbers and the order of keys, and refuse some texts. */
export const documentDialect: DocumentDialect = {
  placeholder: (n) => `$${n}`,
  is: (path, type) => {
    if (type === 'boolean') return `${rank(path)} < ${NUMBER_RANK}`
    if (type === 'number') return `${rank(path)} = ${NUMBER_RANK}`
    // The second is known, and leads on to the last column of the index.
    return `${rank(path)} = ${TEXT_RANK} AND ${number(path)} IS NULL`
  },
  value: (path, type) => {
    if (type === 'boolean') return rank(path)
    return type === 'number' ? number(path) : text(path)
  },
  absent: (path) => `coalesce(json_typeof(${property(path)}), 'null') = 'null'`,
  boolean: (value) => (value ? '1' : '0'),
  compared: (value, sign, right, type) => {
    const exact = `${value} ${sign} ${right}`
    if (type !== 'text') return exact
    const wide = sign === '=' ? '=' : `${sign[0]}=`
    return `${start(value)} ${wide} ${start(right)} AND ${exact}`
  },
  oneOf: (expression, list, type) => {
    if (type === 'number') return `${expression} = ANY (${list}::double precision[])`
    const starts = `ARRAY(SELECT ${start('u')} FROM unnest(${list}::text[]) u)`
    return `${start(expression)} = ANY (${starts}) AND ${expression} = ANY (${list}::text[])`
  },
  list: (values) => [...values],
  order: (path) => [...indexedExpressions(path), text(path)],
  apart: true,
}
