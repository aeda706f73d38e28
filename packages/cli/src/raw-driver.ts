import { readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Store } from 'eventuali'

/**
 * The same work by the database's driver alone: one table, one index, no event store. Each gives
 * the number of rows.
 */
export interface RawDriver {
  /** One row in a transaction of its own. */
  one(data: string): Promise<number> | number
  /** Many rows in one transaction. */
  many(data: readonly string[]): Promise<number> | number
  /** All rows of one stream that has `count` rows, made once. */
  read(count: number, data: string): Promise<number> | number
  /** Removes everything that it made. */
  close(): Promise<void>
}

interface SqliteRow {
  all(...values: unknown[]): readonly unknown[]
  run(...values: unknown[]): unknown
}

/** What `DatabaseSync` of node:sqlite and `Database` of better-sqlite3 have in common. */
interface SqliteConnection {
  readonly constructor: unknown
  readonly name?: string
  location?(): string | null
  exec(sql: string): unknown
  prepare(sql: string): SqliteRow
  close(): void
}

/** The part of a `pg` Client that is needed to open another one like it. */
interface PostgresClient {
  readonly constructor: unknown
  readonly host: string
  readonly port: number
  readonly user: string | undefined
  readonly password: unknown
  readonly database: string | undefined
  readonly ssl: unknown
  connect(): Promise<unknown>
  query(sql: string | object, values?: readonly unknown[]): Promise<{ readonly rows: unknown[] }>
  end(): Promise<void>
}

const READ_STREAM = 'read'
const SCHEMA_PREFIX = 'eventuali_benchmark_'
const LEFT_FILE = /^[\da-f]{32}(?:-wal|-shm)?$/

/**
 * The driver under a store, with a database of its own beside it: a file in the same folder, or a
 * schema in the same database. Undefined for stores that have none. `id`, 32
 * hexadecimal digits, keeps runs apart.
 */
export async function rawDriverOf(store: Store, id: string): Promise<RawDriver | undefined> {
  if (store.adapter !== 'sqlite' && store.adapter !== 'postgres') return undefined
  const handle = await store.transaction(async (tx) => tx.sql)
  if (store.adapter === 'postgres') return openPostgres(handle as PostgresClient, id)
  const { synchronous = 'FULL' } = await store.port.settings()
  return openSqlite(handle as SqliteConnection, id, synchronous)
}

/** Removes what drivers of killed programs have left beside a store; gives how many there were. */
export async function removeRawLeftovers(store: Store): Promise<number> {
  if (store.adapter === 'sqlite') {
    const file = fileOf((await store.transaction(async (tx) => tx.sql)) as SqliteConnection)
    if (file === undefined) return 0
    const own = `${basename(file)}-benchmark-`
    const left = readdirSync(dirname(file)).filter(
      (name) => name.startsWith(own) && LEFT_FILE.test(name.slice(own.length)),
    )
    for (const name of left) rmSync(join(dirname(file), name), { force: true })
    return new Set(left.map((name) => name.replace(/-(?:wal|shm)$/, ''))).size
  }
  if (store.adapter !== 'postgres') return 0
  return store.transaction(async (tx) => {
    const client = tx.sql as PostgresClient
    const text = `SELECT nspname FROM pg_namespace WHERE nspname ~ '^${SCHEMA_PREFIX}[0-9a-f]{32}$'`
    const { rows } = await client.query(text)
    for (const { nspname } of rows as readonly { readonly nspname: string }[]) {
      await client.query(`DROP SCHEMA ${nspname} CASCADE`)
    }
    return rows.length
  })
}

/** The file of a connection; undefined for one in memory. */
function fileOf(handle: SqliteConnection): string | undefined {
  const file = handle.location?.() ?? handle.name
  return file === null || file === '' || file === ':memory:' ? undefined : file
}

function openSqlite(
  handle: SqliteConnection,
  id: string,
  synchronous: string,
): RawDriver | undefined {
  const file = fileOf(handle)
  if (file === undefined) return undefined
  const Database = handle.constructor as new (file: string) => SqliteConnection
  const path = `${file}-benchmark-${id}`
  const remove = () => {
    for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`, { force: true })
  }
  const raw = new Database(path)
  try {
    raw.exec('PRAGMA journal_mode = WAL')
    raw.exec(`PRAGMA synchronous = ${synchronous === 'NORMAL' ? 'NORMAL' : 'FULL'}`)
    raw.exec(
      'CREATE TABLE events (position INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, version INTEGER NOT NULL, data TEXT NOT NULL, UNIQUE (stream, version))',
    )
  } catch (error) {
    raw.close()
    remove()
    throw error
  }
  const insert = raw.prepare('INSERT INTO events (stream, version, data) VALUES (?, ?, ?)')
  const select = raw.prepare('SELECT * FROM events WHERE stream = ? ORDER BY version')
  const all = (stream: string, data: readonly string[], version: number) => {
    raw.exec('BEGIN IMMEDIATE')
    for (const [i, text] of data.entries()) insert.run(stream, version + i, text)
    raw.exec('COMMIT')
  }
  let version = 1
  let isFilled = false
  return {
    one: (data) => {
      insert.run('write', version++, data)
      return 1
    },
    many: (data) => {
      all('write', data, version)
      version += data.length
      return data.length
    },
    read: (count, data) => {
      if (!isFilled) all(READ_STREAM, Array<string>(count).fill(data), 1)
      isFilled = true
      return select.all(READ_STREAM).length
    },
    close: async () => {
      raw.close()
      remove()
    },
  }
}

async function openPostgres(handle: PostgresClient, id: string): Promise<RawDriver> {
  const Client = handle.constructor as new (config: object) => PostgresClient
  const { host, port, user, password, database, ssl } = handle
  // A client of a pool has another class than the driver's own only where somebody made one.
  const client = new Client({ host, port, user, password, database, ssl })
  await client.connect()
  const schema = `${SCHEMA_PREFIX}${id}`
  const table = `${schema}.events`
  let version = 1
  let isFilled = false
  const rows = async (stream: string, data: readonly string[], first: number): Promise<void> => {
    await client.query({
      name: 'rows',
      text: `INSERT INTO ${table} (stream, version, data)
        SELECT $1, $2 + n - 1, d FROM unnest($3::text[]) WITH ORDINALITY AS u (d, n)`,
      values: [stream, first, data],
    })
  }
  try {
    await client.query(`CREATE SCHEMA ${schema}`)
    await client.query(
      `CREATE TABLE ${table} (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stream text NOT NULL, version bigint NOT NULL, data text NOT NULL, UNIQUE (stream, version))`,
    )
  } catch (error) {
    await client.end()
    throw error
  }
  return {
    one: async (data) => {
      const text = `INSERT INTO ${table} (stream, version, data) VALUES ($1, $2, $3)`
      await client.query({ name: 'one', text, values: ['write', version++, data] })
      return 1
    },
    many: async (data) => {
      await rows('write', data, version)
      version += data.length
      return data.length
    },
    read: async (count, data) => {
      if (!isFilled) await rows(READ_STREAM, Array<string>(count).fill(data), 1)
      isFilled = true
      const text = `SELECT * FROM ${table} WHERE stream = $1 ORDER BY version`
      return (await client.query({ name: 'read', text, values: [READ_STREAM] })).rows.length
    },
    close: async () => {
      try {
        await client.query(`DROP SCHEMA ${schema} CASCADE`)
      } finally {
        await client.end()
      }
    },
  }
}
