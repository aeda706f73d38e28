import type { Deadline, IdSource } from '../../kernel/index.ts'
import { ReadOnlyStoreError, SchemaTooNewError, StorageError } from '../../model/index.ts'
import { appendOneStep } from './append-one.ts'
import { appendFunctionV1 } from './append-v1.ts'
import { codecsStep } from './append-v2.ts'
import { type Connections, type Row, type Session, statement } from './connections.ts'
import { tablesV1 } from './schema-v1.ts'
import { readSideV2 } from './schema-v2.ts'
import { safeNumbersV4 } from './schema-v4.ts'

/** One step of the schema. Frozen once released; the next change is the next number. */
export interface Migration {
  readonly version: number
  sql(schema: string): string
}

/** All of them, in their order. */
export const migrations: readonly Migration[] = [
  { version: 1, sql: (schema) => tablesV1(schema) + appendFunctionV1(schema) },
  { version: 2, sql: readSideV2 },
  { version: 3, sql: codecsStep },
  { version: 4, sql: safeNumbersV4 },
  { version: 5, sql: appendOneStep },
]

/** The newest schema this library knows. */
export const schemaVersion: number = migrations.length

/** What the store's own table says about it. */
export interface SchemaState {
  readonly incarnation: string
  /** Whether a log is being put back, and is not whole yet. */
  readonly isRestoring: boolean
}

/** Brings the schema up to date, or finds that it is; several openers at once are safe. */
export async function migrate(
  connections: Connections,
  schema: string,
  { ids, readOnly = false }: { readonly ids: IdSource; readonly readOnly?: boolean | undefined },
  deadline: Deadline,
): Promise<SchemaState> {
  const session = await connections.acquire('reads', deadline, false)
  let broken = true
  try {
    const run = async (text: string, values: readonly unknown[] = []): Promise<readonly Row[]> => {
      return (await connections.run(session, statement(text), values, deadline.leftMs())).rows
    }
    for (;;) {
      const found = await readVersion(run, schema)
      if (found > schemaVersion) throw new SchemaTooNewError(found, schemaVersion)
      if (found === schemaVersion) break
      if (readOnly) {
        broken = false
        const what = found === 0 ? 'the schema holds no event log' : 'its schema is older'
        throw new ReadOnlyStoreError(`${what}; open it for writing once`)
      }
      await step(session, run, schema, ids, deadline)
    }
    const meta = await run(
      `SELECT key, value FROM ${schema}.meta WHERE key IN ('incarnation', 'restoring')`,
    )
    const incarnation = meta.find(([key]) => key === 'incarnation')?.[1]
    const isRestoring = meta.some(([key]) => key === 'restoring')
    if (typeof incarnation !== 'string') {
      throw new StorageError('opening', { cause: new Error('the store has no incarnation') })
    }
    broken = false
    return { incarnation, isRestoring }
  } finally {
    // A failed step may have left a transaction open; the connection goes with it.
    session.release(broken)
  }
}

/** Runs one statement of a transaction. */
export type RunText = (text: string, values?: readonly unknown[]) => Promise<readonly Row[]>

/** The last step that was made; 0 for a schema without tables of ours. */
export async function readVersion(run: RunText, schema: string): Promise<number> {
  // Asked of the catalog's rows: name lookups like to_regclass may answer from a cache that does
  // not know yet what another opener has just committed.
  const there = await run(
    `SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = 'meta'`,
    [schema],
  )
  if (there.length === 0) return 0
  const [row] = await run(`SELECT value FROM ${schema}.meta WHERE key = 'schema_version'`)
  return Number(row?.[0] ?? 0)
}

/** One migration in one transaction, so that what is interrupted goes on where it was. */
export async function step(
  session: Session,
  run: RunText,
  schema: string,
  ids: IdSource,
  deadline: Deadline,
): Promise<void> {
  await beginStep(run, deadline)
  const found = await readVersion(run, schema)
  if (found === 0) {
    const there = await run(`SELECT 1 FROM pg_namespace WHERE nspname = $1`, [schema])
    if (there.length === 0) await run(`CREATE SCHEMA ${schema}`)
    await makeMeta(run, schema, ids.next())
  }
  await apply(session, run, schema, migrations[found])
  await run('COMMIT')
}

/** Begins a transaction in which nobody else makes or takes back a step. */
export async function beginStep(run: RunText, deadline: Deadline): Promise<void> {
  await run('BEGIN')
  await boundLocks(run, deadline)
  await run(`SELECT pg_advisory_xact_lock(hashtextextended('eventuali migrations', 0))`)
}

async function boundLocks(run: RunText, deadline: Deadline): Promise<void> {
  await run(
    `SELECT set_config('lock_timeout', $1, true), set_config('client_min_messages', 'warning', true)`,
    [String(Math.max(1, Math.floor(Math.min(deadline.leftMs(), 2 ** 31 - 1))))],
  )
}

async function makeMeta(run: RunText, schema: string, incarnation: string): Promise<void> {
  await run(`CREATE TABLE ${schema}.meta (key text PRIMARY KEY, value text NOT NULL)`)
  await run(`INSERT INTO ${schema}.meta (key, value) VALUES ('incarnation', $1)`, [incarnation])
}

async function apply(
  session: Session,
  run: RunText,
  schema: string,
  next: Migration | undefined,
): Promise<void> {
  if (next === undefined) return
  // Several statements in one text go by the simple protocol, which takes no parameters.
  await session.client.query(next.sql(schema))
  await noteVersion(run, schema, next.version)
}

/** Writes which step was the last. */
export async function noteVersion(run: RunText, schema: string, version: number): Promise<void> {
  await run(
    `INSERT INTO ${schema}.meta (key, value) VALUES ('schema_version', $1)
     ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
    [String(version)],
  )
}

/**
 * Makes a schema with empty tables of today in the caller's transaction. That it is not there yet
 * is the caller's to see; another one who makes it at the same time is waited for, and then fails.
 */
export async function makeTables(
  session: Session,
  run: RunText,
  schema: string,
  incarnation: string,
  deadline: Deadline,
): Promise<void> {
  await boundLocks(run, deadline)
  await run(`CREATE SCHEMA ${schema}`)
  await makeMeta(run, schema, incarnation)
  for (const migration of migrations) await apply(session, run, schema, migration)
}
