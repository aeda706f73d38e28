import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore, type Store } from '../../src/index.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'

const event = { type: 'Noted', data: {} }

/** What a subscriber and a writer of before still believe. */
interface Before {
  readonly newest: number
  readonly deletedVersion: number
  readonly truncatedVersion: number
}

/** A log whose newest streams are gone: nothing is left from which `max()` could count on. */
async function removeNewest(store: Store): Promise<Before> {
  await store.append('kept-1', [event, event, event])
  await store.append('cut-1', [event, event])
  await store.append('gone-1', [event, event, event, event, event])
  const cut = await store.truncate('cut-1', { before: 3 })
  const gone = await store.deleteStream('gone-1')
  return { newest: gone.position, deletedVersion: gone.version, truncatedVersion: cut.version }
}

/** The log goes on above all that was; a subscriber that stood at the end gets it. */
async function goesOn(store: Store, before: Before): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<number>()
  await using subscription = store.subscribe({ after: before.newest }, (e) => resolve(e.position))
  const next = await store.append('gone-1', event, { recreate: true })
  expect(next.position).toBeGreaterThan(before.newest)
  expect(next.version).toBe(before.deletedVersion + 1)
  expect(await promise).toBe(next.position)
  expect((await store.append('cut-1', event)).version).toBe(before.truncatedVersion + 1)
  expect((await store.append('kept-1', event)).version).toBe(4)
  expect((await store.append('new-1', event)).version).toBe(1)
  expect(subscription.state).not.toBe('failed')
  expect((await store.verify()).problems).toEqual([])
}

async function removedAt(url: string): Promise<Before> {
  await using store = await openStore(url)
  return await removeNewest(store)
}

async function goesOnAt(url: string, before: Before): Promise<void> {
  await using store = await openStore(url)
  await goesOn(store, before)
}

test('memory: no position or version is used twice', async () => {
  await using store = await openStore('memory:')
  await goesOn(store, await removeNewest(store))
})

/** Row by row into an empty file, as a dump would be read back. */
function restoreRows(from: string, to: string): void {
  const source = new DatabaseSync(from, { readOnly: true })
  const target = new DatabaseSync(to)
  const schema = 'SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid'
  const entries = source.prepare(schema).all() as { type: string; name: string; sql: string }[]
  for (const { sql } of entries) target.exec(sql)
  for (const { name } of entries.filter(({ type }) => type === 'table')) {
    for (const row of source.prepare(`SELECT * FROM ${name}`).iterate()) {
      const values = Object.values(row) as SQLInputValue[]
      const places = values.map(() => '?').join(', ')
      target.prepare(`INSERT INTO ${name} VALUES (${places})`).run(...values)
    }
  }
  source.close()
  target.close()
}

describe('sqlite: no position or version is used twice', () => {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-once-'))
  let count = 0
  const newFile = (): string => join(folder, `log-${count++}.db`)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('after opening again', async () => {
    const file = newFile()
    await goesOnAt(`sqlite:${file}`, await removedAt(`sqlite:${file}`))
  })

  test('after VACUUM', async () => {
    const file = newFile()
    const before = await removedAt(`sqlite:${file}`)
    const database = new DatabaseSync(file)
    database.exec('VACUUM')
    database.close()
    await goesOnAt(`sqlite:${file}`, before)
  })

  test('after VACUUM INTO another file', async () => {
    const [file, copy] = [newFile(), newFile()]
    const before = await removedAt(`sqlite:${file}`)
    const database = new DatabaseSync(file)
    database.exec(`VACUUM INTO '${copy}'`)
    database.close()
    await goesOnAt(`sqlite:${copy}`, before)
  })

  test('after a dump of its rows was read back', async () => {
    const [file, copy] = [newFile(), newFile()]
    const before = await removedAt(`sqlite:${file}`)
    restoreRows(file, copy)
    await goesOnAt(`sqlite:${copy}`, before)
  })
})

const skip = postgresSkipReason()

/** What pg_dump writes down, read back: rows as they are, sequences at their last value. */
async function restoreDatabase(from: string, to: string): Promise<void> {
  // Makes the tables; their first rows give way to those of the dump.
  await (await openStore(to)).close()
  const source = new pg.Client({ connectionString: from })
  const target = new pg.Client({ connectionString: to })
  await Promise.all([source.connect(), target.connect()])
  const list = `SELECT relname AS name FROM pg_class
    WHERE relnamespace = 'eventuali'::regnamespace AND relkind =`
  const tables = await source.query<{ name: string }>(`${list} 'r'`)
  for (const { name } of tables.rows) {
    const { rows } = await source.query(
      `SELECT row_to_json(t)::text AS row FROM eventuali.${name} t`,
    )
    await target.query(`TRUNCATE eventuali.${name}`)
    await target.query(
      `INSERT INTO eventuali.${name} OVERRIDING SYSTEM VALUE
       SELECT (json_populate_record(NULL::eventuali.${name}, r::json)).* FROM unnest($1::text[]) r`,
      [rows.map(({ row }: { row: string }) => row)],
    )
  }
  const sequences = await source.query<{ name: string }>(`${list} 'S'`)
  for (const { name } of sequences.rows) {
    const { rows } = await source.query(`SELECT last_value, is_called FROM eventuali.${name}`)
    const { last_value, is_called } = rows[0] as { last_value: string; is_called: boolean }
    await target.query(`SELECT setval('eventuali.${name}', $1, $2)`, [last_value, is_called])
  }
  await Promise.all([source.end(), target.end()])
}

describe.skipIf(skip !== undefined)('postgres: no position or version is used twice', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server?.stop())

  test('after opening again', async () => {
    const url = await server.database()
    await goesOnAt(url, await removedAt(url))
  })

  test('after VACUUM FULL', async () => {
    const url = await server.database()
    const before = await removedAt(url)
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query('VACUUM FULL')
    await client.end()
    await goesOnAt(url, before)
  })

  test('after a crash of the server', async () => {
    const url = await server.database()
    const before = await removedAt(url)
    await server.restart('immediate')
    await goesOnAt(url, before)
  })

  test('in a copy of the database', async () => {
    const url = await server.database()
    const before = await removedAt(url)
    const copy = new URL(url)
    copy.pathname += '_copy'
    const client = new pg.Client({ connectionString: server.url })
    await client.connect()
    await client.query(
      `CREATE DATABASE ${copy.pathname.slice(1)} TEMPLATE ${new URL(url).pathname.slice(1)}`,
    )
    await client.end()
    await goesOnAt(copy.href, before)
  })

  test('after a dump of its rows and sequences was read back', async () => {
    const [url, copy] = [await server.database(), await server.database()]
    const before = await removedAt(url)
    await restoreDatabase(url, copy)
    await goesOnAt(copy, before)
  })
})
