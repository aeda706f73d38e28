import type { DocumentDialect, DocumentStatement } from '../sql/index.ts'
import type { SqlInput } from './driver.ts'

/** A path as a SQL literal: each name in JSON's own quotes, then all of it in SQL's. */
function pathLiteral(path: readonly string[]): string {
  const text = `$${path.map((name) => `.${JSON.stringify(name)}`).join('')}`
  return `'${text.replaceAll("'", "''")}'`
}

const ranks = { boolean: 0, number: 1, text: 2 } as const

function rank(path: readonly string[]): string {
  return `CASE json_type(doc, ${pathLiteral(path)}) WHEN 'false' THEN 0 WHEN 'true' THEN 0 WHEN 'integer' THEN 1 WHEN 'real' THEN 1 WHEN 'text' THEN 2 END`
}

function value(path: readonly string[]): string {
  const at = pathLiteral(path)
  return `CASE WHEN json_type(doc, ${at}) IN ('array', 'object') THEN NULL ELSE json_extract(doc, ${at}) END`
}

/**
 * Looks into JSON text. Paths stand in the text of the statement, since SQLite takes an index on
 * an expression only for the same expression.
 */
export const documentDialect: DocumentDialect = {
  placeholder: () => '?',
  is: (path, type) => `${rank(path)} = ${ranks[type]}`,
  value,
  absent: (path) =>
    `${rank(path)} IS NULL AND coalesce(json_type(doc, ${pathLiteral(path)}), 'null') = 'null'`,
  boolean: (value) => (value ? '1' : '0'),
  oneOf: (expression, list) => `${expression} IN (SELECT value FROM json_each(${list}))`,
  list: (values) => JSON.stringify(values),
  order: (path) => [rank(path), value(path)],
}

/** What an index on a property holds: it serves each operator, and the sort down to the key. */
export function indexedColumns(path: readonly string[]): string {
  return `${rank(path)}, ${value(path)}, key`
}

const INT64_MAX = 2n ** 63n - 1n

/**
 * The values of a statement as SQLite has them in JSON text: there a whole number of up to 64 bits
 * is an integer of just the digits that JavaScript writes, which are not always the number itself.
 */
export function inputsOf({ values }: DocumentStatement): readonly SqlInput[] {
  return (values as readonly SqlInput[]).map((value) => {
    if (!Number.isInteger(value) || Number.isSafeInteger(value)) return value
    if (Math.abs(value as number) >= 1e21) return value
    const written = BigInt(String(value))
    return written > INT64_MAX || written < -INT64_MAX ? value : written
  })
}
