import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it, onTestFinished } from 'vitest'
import { migrateStore, migrationStatus, openStore, rollbackStore, type Store } from './index.ts'

function place(): { file: string; url: string } {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-steps-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'log.db')
  return { file, url: `sqlite:${file}` }
}

/** All tables, indexes, views and triggers, as text. */
function schemaOf(file: string): unknown[] {
  const database = new DatabaseSync(file)
  try {
    const rows = database.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY name').all()
    return rows.map(({ type, name, sql }) => [type, name, String(sql).replaceAll(/\s+/g, ' ')])
  } finally {
    database.close()
  }
}

async function fill(store: Store): Promise<void> {
  for (let n = 0; n < 30; n++) {
    await store.append(`cart-${n % 5}`, { type: 'Added', data: { n }, tags: [`n:${n % 2}`] })
  }
  await store.archive('cart-1')
  await store.truncate('cart-2', { before: 3 })
  await store.deleteStream('cart-3')
}

const contentOf = async (store: Store) => ({
  log: await store.readAll({ includeArchived: true }).toArray(),
  streams: await store.streams().toArray(),
})

it.each([2, 1])('SQLite: a store with data goes back to schema %i and on again', async (to) => {
  const { file, url } = place()
  const store = await openStore(url)
  await fill(store)
  const before = await contentOf(store)
  await store.close()
  const whole = schemaOf(file)
  const planned = await rollbackStore(url, { to, dryRun: true })
  expect(schemaOf(file)).toEqual(whole)
  const done: number[] = []
  const outcome = await rollbackStore(url, { to, onProgress: (version) => done.push(version) })
  expect(outcome).toEqual({ ...planned, dryRun: false })
  expect(outcome).toMatchObject({ from: 3, to })
  expect(done).toEqual([2, 1].filter((version) => version >= to))
  const fresh = place()
  expect(await migrateStore(fresh.url, { to })).toMatchObject({ from: 0, to })
  expect(schemaOf(file)).toEqual(schemaOf(fresh.file))
  expect(await migrationStatus(url)).toMatchObject({ version: to, newest: 3 })
  const again = await openStore(url)
  expect(await contentOf(again)).toEqual(before)
  expect((await again.verify()).problems).toEqual([])
  await again.close()
  expect(schemaOf(file)).toEqual(whole)
})

it('SQLite: what would be lost is not taken back', async () => {
  const { file, url } = place()
  const store = await openStore(url, { codec: { encoding: 'msgpack' } })
  await store.append('cart-1', { type: 'Added', data: { n: 1 } })
  await store.port.transaction((tx) =>
    tx.records.write([{ kind: 'schema', key: 'Added', expected: 'any', value: 1 }]),
  )
  await store.close()
  const whole = schemaOf(file)
  const refused = { code: 'MIGRATION_IRREVERSIBLE', version: 3 }
  await expect(rollbackStore(url, { to: 2 })).rejects.toMatchObject(refused)
  expect((await migrationStatus(url)).objection).toContain('recode --to json')
  expect(schemaOf(file)).toEqual(whole)
  const database = new DatabaseSync(file)
  database.exec('UPDATE eventuali_events SET codec = 0, data = \'{"n":1}\'')
  database.close()
  await expect(rollbackStore(url, { to: 1 })).rejects.toMatchObject({
    ...{ code: 'MIGRATION_IRREVERSIBLE', version: 2 },
    message: expect.stringContaining('eventuali restore'),
  })
  expect((await migrationStatus(url)).version).toBe(3)
  await expect(rollbackStore(url, { to: 0 })).rejects.toMatchObject({
    ...{ code: 'MIGRATION_IRREVERSIBLE', version: 1 },
  })
})

it('looks without making or changing anything, and says what it cannot do', async () => {
  const { file, url } = place()
  expect(await migrateStore(url, { to: 1 })).toMatchObject({ from: 0, to: 1, dryRun: false })
  const whole = schemaOf(file)
  const status = await migrationStatus(url)
  expect(status.migrations.map(({ state }) => state)).toEqual(['applied', 'pending', 'pending'])
  expect(await migrateStore(url, { dryRun: true })).toMatchObject({ from: 1, to: 3, dryRun: true })
  expect(schemaOf(file)).toEqual(whole)
  for (const to of [0, 4, 1.5]) {
    await expect(migrateStore(url, { to })).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
  }
  await expect(rollbackStore(url, { to: 2 })).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
  for (const wrong of ['memory:', 'sqlite::memory:', 'file.db']) {
    await expect(migrationStatus(wrong)).rejects.toMatchObject({ code: 'STORE_URL_INVALID' })
  }
  const missing = place()
  await expect(migrationStatus(missing.url)).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  expect(existsSync(missing.file)).toBe(false)
  const newer = new DatabaseSync(file)
  newer.exec("UPDATE eventuali_meta SET value = '99' WHERE key = 'schema'")
  newer.close()
  await expect(migrationStatus(url)).rejects.toMatchObject({ code: 'SCHEMA_TOO_NEW' })
})
