import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, expect, test } from 'vitest'
import type { EventStore } from '../../ports/index.ts'
import { schemaVersion } from './migrations.ts'
import { openSqliteStore } from './open.ts'

const BetterDatabase = createRequire(import.meta.url)('better-sqlite3')
/** A file of the first schema, with data in it, as its own release wrote it. */
const schemaV1 = readFileSync(new URL('schema-v1.sql', import.meta.url), 'utf8')
const drivers = ['node:sqlite', 'better-sqlite3'] as const
const folders: string[] = []

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function fileOfV1(): string {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-v1-'))
  folders.push(folder)
  const file = join(folder, 'log.db')
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

test('an older file is not read without the right to take it on', async () => {
  const file = fileOfV1()
  const refused = openSqliteStore({ file, readOnly: true })
  await expect(refused).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
})
