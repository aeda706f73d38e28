import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import type { EventStore, ModelRow } from '../../ports/index.ts'
import { openSqliteStore } from './open.ts'

const drivers = ['node:sqlite', 'better-sqlite3'] as const

const make = (store: EventStore, name: string, ...create: string[]) =>
  store.transaction((tx) => tx.models.create({ name, shape: { kind: 'sql', create } }))

/** All rows, one a page. */
async function allRows(store: EventStore, name: string): Promise<ModelRow[]> {
  const rows: ModelRow[] = []
  for (;;) {
    const [row] = await store.models.rows(name, { after: rows.at(-1)?.key, limit: 1 })
    if (row === undefined) return rows
    rows.push(row)
  }
}

test.each(drivers)('%s: rows of any table come as JSON, each once', async (driver) => {
  const store = await openSqliteStore({ file: ':memory:', driver })
  await make(
    store,
    'odd',
    'CREATE TABLE {table} ("a ""b" BLOB, "order" TEXT, n, g AS (1), PRIMARY KEY ("order", "a ""b"))',
    "INSERT INTO {table} VALUES (x'00ff', NULL, 9223372036854775807), (NULL, NULL, 1.5)",
    "INSERT INTO {table} VALUES (NULL, 'x', NULL), (x'01', 'x', 'text'), (x'02', 'x', x'')",
  )
  expect(await allRows(store, 'odd')).toEqual([
    { key: '[null,null]', value: { 'a "b': null, order: null, n: 1.5 } },
    {
      key: '[null,{"blob":"00ff"}]',
      value: { 'a "b': { blob: '00ff' }, order: null, n: '9223372036854775807' },
    },
    { key: '["x",null]', value: { 'a "b': null, order: 'x', n: null } },
    { key: '["x",{"blob":"01"}]', value: { 'a "b': { blob: '01' }, order: 'x', n: 'text' } },
    { key: '["x",{"blob":"02"}]', value: { 'a "b': { blob: '02' }, order: 'x', n: { blob: '' } } },
  ])
  await make(store, 'keyless', 'CREATE TABLE {table} (a, b)')
  await store.transaction(async (tx) => {
    ;(tx.sql as DatabaseSync).exec(
      "INSERT INTO keyless VALUES (1, 'x'), (1, 'x'), (1, NULL), (0, NULL), (1, 'x')",
    )
  })
  const rows = await allRows(store, 'keyless')
  expect(rows.map(({ key }) => key)).toEqual([
    '[0,null,1]',
    '[1,null,1]',
    '[1,"x",1]',
    '[1,"x",2]',
    '[1,"x",3]',
  ])
  expect(rows[4]?.value).toEqual({ a: 1, b: 'x' })
  await store.close()
})

test.each(drivers)('%s: statements that make no table are refused, and undone', async (driver) => {
  const store = await openSqliteStore({ file: ':memory:', driver })
  const other = make(store, 'wanted', 'CREATE TABLE other (a INTEGER PRIMARY KEY)')
  await expect(other).rejects.toMatchObject({ code: 'ARGUMENT_INVALID', argument: 'create' })
  const broken = make(store, 'wanted', 'CREATE TABLE {table} (a)', 'CREATE INDEX nonsense')
  await expect(broken).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  const ending = make(store, 'wanted', 'CREATE TABLE {table} (a)', 'ROLLBACK')
  await expect(ending).rejects.toThrow()
  for (const name of ['other', 'wanted']) {
    await expect(store.models.rows(name, { limit: 1 })).rejects.toThrow()
  }
  for (const name of ['Wanted', 'a"b', '', 'a-b', '1a', 'x'.repeat(57)]) {
    await expect(make(store, name, 'CREATE TABLE {table} (a)')).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
    await expect(store.models.get(name, ['k'])).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
  }
  await make(store, 'wanted', 'CREATE TABLE {table} (a INTEGER PRIMARY KEY)')
  expect(await store.models.rows('wanted', { limit: 1 })).toEqual([])
  await store.close()
})

test("a caller's own transaction takes the lock before it looks", async () => {
  const connection = new DatabaseSync(':memory:')
  const store = await openSqliteStore({ connection })
  connection.exec('BEGIN')
  const tx = store.join(connection)
  await tx.barrier()
  await tx.records.write([{ kind: 'k', key: 'a', expected: 0, value: 1 }])
  await expect(
    tx.savepoint(async () => {
      await tx.records.write([{ kind: 'k', key: 'a', expected: 1, value: 2 }])
      await tx.models.create({ name: 't', shape: { kind: 'documents', indexes: [] } })
      throw new Error('no')
    }),
  ).rejects.toThrow('no')
  await expect(tx.models.get('t', ['a'])).rejects.toThrow()
  const waiting = store.records.get('k', ['a'])
  connection.exec('COMMIT')
  expect(await waiting).toMatchObject([{ revision: 1, value: 1 }])
  await store.close()
  connection.close()
})
