import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import type { ClientBase } from 'pg'

type Row = Readonly<Record<string, unknown>>

/**
 * Runs a statement on the store's own connection, whichever database it is. A program that knows
 * its database has no such step, and would take Kysely or Drizzle: see docs/guide/sql.md.
 */
export async function execute(
  connection: unknown,
  text: string,
  values: readonly SQLInputValue[] = [],
): Promise<readonly Row[]> {
  if (isPostgres(connection)) {
    let count = 0
    const { rows } = await connection.query(
      text.replaceAll('?', () => `$${++count}`),
      [...values],
    )
    return rows
  }
  return (connection as DatabaseSync).prepare(text).all(...values) as Row[]
}

function isPostgres(connection: unknown): connection is ClientBase {
  return typeof connection === 'object' && connection !== null && 'query' in connection
}
