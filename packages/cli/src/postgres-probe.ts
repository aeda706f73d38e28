import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { StorePlace } from 'eventuali'
import { Refused } from './exit-codes.ts'

/** The part of a `pg` client that is used here. */
interface Client {
  connect(): Promise<void>
  query(text: string, values?: readonly unknown[]): Promise<{ rows: Record<string, unknown>[] }>
  end(): Promise<void>
}

const CONNECT_TIMEOUT_MS = 10_000
const STATEMENT_TIMEOUT_MS = 30_000

/** Packages as the library finds them: beside it, not beside the command line. */
export const libraryRequire: NodeJS.Require = createRequire(
  fileURLToPath(import.meta.resolve('eventuali')),
)

/** The version of the library, which the command line shares. */
export const libraryVersion = (): string =>
  (libraryRequire('eventuali/package.json') as { version: string }).version

/** Whether a url leads to a Postgres server. */
export const isPostgres = (url: string): boolean => /^postgres(ql)?:/.test(url)

/** The schema with a store's tables. */
export function schemaOf({ url, options }: Pick<StorePlace, 'url' | 'options'>): string {
  const named = URL.canParse(url) ? new URL(url).searchParams.get('schema') : null
  return named ?? options.schema ?? 'eventuali'
}

/**
 * Asks a server without opening a store in it, which would make its tables. Throws what `pg` throws
 * when the server is away, Refused when `pg` is not installed.
 */
export async function withPostgres<T>(
  place: Pick<StorePlace, 'url' | 'options'>,
  work: (client: Client, schema: string) => Promise<T>,
): Promise<T> {
  let pg: { Client: new (options: object) => Client }
  try {
    pg = libraryRequire('pg')
  } catch {
    throw new Refused('the package pg is not installed; run: npm install pg')
  }
  const at = new URL(place.url)
  at.searchParams.delete('schema')
  const client = new pg.Client({
    connectionString: at.href,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
  })
  try {
    await client.connect()
    return await work(client, schemaOf(place))
  } finally {
    await client.end().catch(() => {})
  }
}

const META = `SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = 'meta'`

/** Whether there is a store in the schema. */
export async function hasStore(client: Client, schema: string): Promise<boolean> {
  return (await client.query(META, [schema])).rows.length > 0
}

/** Whether the schema is there, whatever is in it. */
export async function hasSchema(client: Client, schema: string): Promise<boolean> {
  const found = await client.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema])
  return found.rows.length > 0
}

const MAY_WRITE = `SELECT has_schema_privilege(n.oid, 'USAGE')
    AND has_table_privilege(c.oid, 'INSERT') AS may
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = 'events'`

/** Whether this user may append to the store in the schema. */
export async function mayWrite(client: Client, schema: string): Promise<boolean> {
  return (await client.query(MAY_WRITE, [schema])).rows[0]?.may === true
}

/** Removes a schema that was begun and came to nothing; one with events in it stays. */
export async function dropUnused(client: Client, schema: string): Promise<void> {
  const name = `"${schema.replaceAll('"', '""')}"`
  const { rows } = await client.query('SELECT to_regclass($1) AS events', [`${name}.events`])
  if (rows[0]?.events !== null) {
    const { rows: events } = await client.query(`SELECT 1 FROM ${name}.events LIMIT 1`)
    if (events.length > 0) return
  }
  await client.query(`DROP SCHEMA IF EXISTS ${name} CASCADE`)
}
