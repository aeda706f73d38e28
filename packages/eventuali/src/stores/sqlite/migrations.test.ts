import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, expect, test } from 'vitest'
import type { EventStore } from '../../ports/index.ts'
import type { SqlConnection } from './driver.ts'
import { migrateOneStep, schemaVersion, schemaVersionOf } from './migrations.ts'
import { fromNodeConnection } from './node-driver.ts'
import { openSqliteStore } from './open.ts'

const BetterDatabase = createRequire(import.meta.url)('better-sqlite3')
/** A file of the first schema, with data in it, as its own release wrote it. */
const schemaV1 = readFileSync(new URL('schema-v1.sql', import.meta.url), 'utf8')
const drivers = ['node:sqlite', 'better-sqlite3'] as const
const folders: string[] = []

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function emptyFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-v1-'))
  folders.push(folder)
  return join(folder, 'log.db')
}

function fileOfV1(): string {
  const file = emptyFile()
  const connection = new DatabaseSync(file)
  connection.exec(`PRAGMA journal_mode = WAL; ${schemaV1}`)
  connection.close()
  return file
}

async function assertWhole(store: EventStore): Promise<void> {
  const seen: string[] = []
  const all = { direction: 'forward', upTo: 100, includeArchived: true } as const
  for await (const page of store.readLog(all)) {
    for (const { position, stream, version, type } of page) {
      seen.push(`${position} ${stream} ${version} ${type}`)
    }
  }
  expect(seen).toEqual([
    '2 cart-1 2 ItemAdded',
    '3 cart-2 1 ItemAdded',
    '4 cart-3 1 Paid',
    '5 cart-3 2 $archived',
    '8 cart-4 3 $deleted',
    '9 cart-1 3 Paid',
    '10 cart-1 4 $truncated',
  ])
  expect((await store.eventById('cart-2', 'given-1'))?.data).toEqual({ sku: 'Grüße 🚀' })
  for await (const fault of store.faults()) expect(fault).toBeUndefined()
}

test.each(drivers)('%s: a file of the first schema is taken on with its data', async (driver) => {
  const file = fileOfV1()
  const store = await openSqliteStore({ file, driver })
  expect(store.incarnation).toMatch(/^[0-9a-f-]{36}$/)
  await assertWhole(store)
  expect(await store.records.list({ kind: 'worker', limit: 5 })).toEqual([])
  expect(await store.inlineProjections()).toEqual([])
  await store.transaction(async (tx) => {
    await tx.records.write([{ kind: 'k', key: 'a', expected: 0, value: 1 }])
    await tx.models.create({ name: 'carts__g1', shape: { kind: 'documents', indexes: [] } })
  })
  await store.close()
  const again = await openSqliteStore({ file, driver })
  expect(again.incarnation).toBe(store.incarnation)
  expect((await again.records.get('k', ['a']))[0]?.revision).toBe(1)
  await assertWhole(again)
  await again.close()
})

test('a handed-in connection is taken on, and eight at once make one step', async () => {
  const connection = new BetterDatabase(fileOfV1())
  await assertWhole(await openSqliteStore({ connection }))
  connection.close()
  const file = fileOfV1()
  const stores = await Promise.all(Array.from({ length: 8 }, () => openSqliteStore({ file })))
  for (const store of stores) {
    await assertWhole(store)
    await store.close()
  }
  const raw = new DatabaseSync(file)
  const version = raw.prepare("SELECT value FROM eventuali_meta WHERE key = 'schema'").get()
  raw.close()
  expect(version?.value).toBe(String(schemaVersion))
})

test('a step that another process makes meanwhile is not made again', () => {
  const file = fileOfV1()
  const open = () => fromNodeConnection(new DatabaseSync(file))?.connection as SqlConnection
  const [mine, theirs] = [open(), open()]
  const raced: SqlConnection = {
    ...mine,
    exec: (sql) => {
      if (sql.startsWith('BEGIN')) while (migrateOneStep(theirs, 'theirs'));
      mine.exec(sql)
    },
  }
  expect(migrateOneStep(raced, 'mine')).toBe(true)
  expect(schemaVersionOf(mine)).toBe(schemaVersion)
  expect(migrateOneStep(raced, 'mine')).toBe(false)
  mine.close()
  theirs.close()
})

test('a table in the way of a step is told of, and nothing of the step stays', async () => {
  const file = emptyFile()
  const raw = new DatabaseSync(file)
  raw.exec('CREATE TABLE eventuali_events (of_somebody_else)')
  const opening = openSqliteStore({ file })
  await expect(opening).rejects.toMatchObject({
    ...{ code: 'STORAGE_FAILED', cause: { message: expect.stringContaining('already exists') } },
  })
  const tables = raw.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
  expect(tables).toEqual([{ name: 'eventuali_events' }])
  raw.exec('DROP TABLE eventuali_events')
  await (await openSqliteStore({ file })).close()
  raw.close()
})

test('a disk so full that it ends the transaction of a step is told of as such', () => {
  const connection = fromNodeConnection(new DatabaseSync(emptyFile()))?.connection as SqlConnection
  const full = new Error('database or disk is full')
  const filling: SqlConnection = {
    ...connection,
    get inTransaction() {
      return connection.inTransaction
    },
    exec: (sql) => {
      connection.exec(sql.includes('CREATE') ? 'ROLLBACK' : sql)
      if (sql.includes('CREATE')) throw full
    },
  }
  expect(() => migrateOneStep(filling, 'one')).toThrow(full)
  expect(schemaVersionOf(connection)).toBe(0)
  connection.close()
})

test('an older file is not read without the right to take it on', async () => {
  const file = fileOfV1()
  const refused = openSqliteStore({ file, readOnly: true })
  await expect(refused).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
})
