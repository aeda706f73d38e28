import { InvalidArgumentError } from '../../model/index.ts'
import type { CallOptions, ModelRow } from '../../ports/index.ts'
import { modelName } from '../sql/index.ts'
import type { Access } from './access.ts'
import { type Row, statement } from './connections.ts'
import { fromPlain, toPlain } from './plain-text.ts'

/** What tables of documents are told from the user's own by. */
export const documentsComment = 'eventuali documents'

interface Page {
  readonly after?: string | undefined
  readonly limit: number
}

/** The table behind a name: columns of its primary key with their types, and what made it. */
function shapeText(): string {
  // A published view depends on one table, through its rule.
  return `WITH given AS (
      SELECT c.oid, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v')
    ), base AS (
      SELECT CASE WHEN g.relkind <> 'v' THEN g.oid ELSE (
        SELECT d.refobjid FROM pg_rewrite w JOIN pg_depend d
          ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
        WHERE w.ev_class = g.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> g.oid
        ORDER BY 1 LIMIT 1) END AS oid
      FROM given g
    )
    SELECT coalesce(obj_description(b.oid, 'pg_class'), ''), a.attname,
           format_type(a.atttypid, a.atttypmod)
    FROM base b
    LEFT JOIN pg_index i ON i.indrelid = b.oid AND i.indisprimary
    LEFT JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, n) ON true
    LEFT JOIN pg_attribute a ON a.attrelid = b.oid AND a.attnum = k.attnum
    ORDER BY k.n`
}

const shape = statement(shapeText())

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** Rows of a table in key order, as JSON. */
export async function modelRows(
  access: Access,
  table: string,
  page: Page,
  options?: CallOptions,
): Promise<readonly ModelRow[]> {
  const name = `${access.schema}.${modelName(table)}`
  const columns = await access.query(shape, [access.schema, table], options)
  if (columns.length === 0) {
    throw new InvalidArgumentError('table', `${JSON.stringify(table)} is not there`)
  }
  if (columns[0]?.[0] === documentsComment) return documentRows(access, name, page, options)
  const { text, values } = sqlRows(name, columns, page)
  const rows = await access.query(statement(text), values, options)
  return rows.map(([key, value]) => ({ key: key as string, value: JSON.parse(value as string) }))
}

async function documentRows(
  access: Access,
  name: string,
  { after, limit }: Page,
  options: CallOptions | undefined,
): Promise<readonly ModelRow[]> {
  const where = after === undefined ? '' : ' WHERE key > $2'
  const text = `SELECT key, doc FROM ${name}${where} ORDER BY key LIMIT $1::bigint`
  const values = after === undefined ? [limit] : [limit, toPlain(after)]
  const rows = await access.query(statement(text), values, options)
  return rows.map(([key, doc]) => {
    return { key: fromPlain(key as string), value: JSON.parse(doc as string) }
  })
}

/** One page of a table of the user's own. */
function sqlRows(
  name: string,
  columns: readonly Row[],
  { after, limit }: Page,
): { readonly text: string; readonly values: readonly unknown[] } {
  const keys = columns.flatMap(([, column, type]) => {
    return typeof column === 'string' ? [{ column: `t.${quoted(column)}`, type }] : []
  })
  let from = `${name} t`
  let value = 'row_to_json(t)'
  if (keys.length === 0) {
    // Without a primary key each copy of a row has a number beside the row itself.
    from = `(SELECT r.row, row_number() OVER (PARTITION BY r.row) AS copy
      FROM (SELECT row_to_json(s)::text COLLATE "C" AS row FROM ${name} s) r) t`
    value = 't.row'
    keys.push({ column: 't.row', type: 'text' }, { column: 't.copy', type: 'bigint' })
  }
  const values: unknown[] = [limit]
  let where = ''
  if (after !== undefined) {
    values.push(after)
    const given = keys.map(({ type }, i) => `($2::json ->> ${i})::${type}`)
    where = ` WHERE (${keys.map(({ column }) => column).join(', ')}) > (${given.join(', ')})`
  }
  const order = keys.map(({ column }) => column).join(', ')
  const parts = keys.map(({ column }) => `to_json(${column})::text`).join(`, ',', `)
  return {
    text: `SELECT concat('[', ${parts}, ']'), ${value} FROM ${from}${where} ORDER BY ${order} LIMIT $1::bigint`,
    values,
  }
}
