import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, expect, test } from 'vitest'
import { seededRandom } from '../../kernel/index.ts'
import { findDocuments, type Json } from '../../model/index.ts'
import type {
  AppendRequest,
  DocumentFilter,
  DocumentOperator,
  DocumentQuery,
  EventStore,
  StoredDocument,
} from '../../ports/index.ts'
import { findStatement } from '../sql/index.ts'
import { documentDialect } from './document-dialect.ts'
import { openSqliteStore, type SqliteStoreOptions } from './open.ts'

const drivers = ['node:sqlite', 'better-sqlite3'] as const
const cleanups: (() => unknown)[] = []
let drawn = 0

afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

function freshFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-read-side-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'log.db')
}

async function opened(options: SqliteStoreOptions): Promise<EventStore> {
  const store = await openSqliteStore(options)
  cleanups.push(() => store.close())
  return store
}

function append(stream: string, type: string, more: Partial<AppendRequest> = {}): AppendRequest {
  const event = { type, data: null, metadata: {}, time: 1, schemaVersion: 1, tags: [] }
  const events = [{ id: `e-${drawn++}`, idGiven: false, ...event }]
  return { entries: [{ stream, expectedVersion: 'any', events }], ...more }
}

const documents = (name: string, ...paths: string[]) =>
  ({
    name,
    shape: {
      kind: 'documents',
      indexes: paths.map((path) => ({ path: path.split('.'), type: 'text' as const })),
    },
  }) as const

const doc = (key: string, value: Json): StoredDocument => ({ key, value, position: 1 })

test.each(drivers)(
  '%s: the guard refuses its caller only, neighbours of the group commit',
  async (driver) => {
    const store = await opened({ file: freshFile(), driver })
    const registered = { name: 'carriers', version: 2, types: ['Booked', 'NeverSeen'] }
    await store.append(append('before', 'Booked'))
    await store.transaction((tx) => tx.inline.register(registered))
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        store.append(
          append(`s-${i}`, i % 13 === 5 ? (['Booked', 'NeverSeen'][i & 1] ?? '') : 'Free'),
        ),
      ),
    )
    outcomes.forEach((outcome, i) => {
      const refusal = { ok: false, reason: 'projection-missing', projections: [registered] }
      expect(outcome).toMatchObject(i % 13 === 5 ? refusal : { ok: true })
    })
    expect(await store.positions()).toEqual({ safe: 38, newest: 38 })
    const inline = [{ name: 'carriers', version: 2 }]
    await store.transaction(async (tx) => {
      expect((await tx.append(append('s', 'Booked'))).ok).toBe(false)
      expect((await tx.append(append('s', 'Booked', { inline }))).ok).toBe(true)
      expect((await tx.append(append('s', 'Booked'))).ok).toBe(false)
    })
    await store.transaction((tx) => tx.inline.unregister('carriers'))
    expect((await store.append(append('s', 'Booked'))).ok).toBe(true)
    for await (const fault of store.faults()) expect(fault).toBeUndefined()
  },
)

test('the guard holds for any program, and is there only while it is needed', async () => {
  const file = freshFile()
  const store = await opened({ file })
  const raw = new DatabaseSync(file)
  cleanups.push(() => raw.close())
  const triggers = () => raw.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").all()
  const insert = () =>
    raw.exec(`INSERT INTO eventuali_events SELECT 9, 9, 9, id, 'x', 0, 0, 1, 0, 0, 0, NULL, NULL,
      NULL, '' FROM eventuali_types WHERE name = 'A'`)
  const projection = { name: 'p', version: 1, types: ['A'] }
  expect(triggers()).toHaveLength(0)
  await store.transaction((tx) => tx.inline.register(projection))
  await store.transaction((tx) => tx.inline.register({ ...projection, name: 'q' }))
  expect(triggers()).toHaveLength(1)
  expect(insert).toThrow('EVENTUALI_INLINE')
  await store.transaction((tx) => tx.inline.unregister('p'))
  expect(insert).toThrow('EVENTUALI_INLINE')
  const undone = store.transaction(async (tx) => {
    await tx.inline.unregister('q')
    throw new Error('no')
  })
  await expect(undone).rejects.toThrow('no')
  expect(insert).toThrow('EVENTUALI_INLINE')
  await store.transaction((tx) => tx.inline.unregister('q'))
  expect(triggers()).toHaveLength(0)
})

test.each(drivers)(
  '%s: statements outlive changes of the schema, of this handle and of others',
  async (driver) => {
    const file = freshFile()
    const one = await opened({ file, driver })
    const two = await opened({ file, driver })
    const make = (store: EventStore, table: string, view: string, n: number) =>
      store.transaction(async (tx) => {
        await tx.models.create(documents(table, 'n'))
        await tx.models.put(table, [doc('a', { n })])
        await tx.models.publish(view, table)
      })
    const query: DocumentQuery = {
      filters: [{ path: ['n'], operator: 'gt', value: 0 }],
      sort: [],
    }
    for (let n = 1; n <= 4; n++) {
      const [writing, other] = n % 2 === 0 ? [one, two] : [two, one]
      await make(writing, `carts__g${n}`, 'carts', n)
      for (const store of [other, writing]) {
        expect(await store.models.find('carts', query)).toMatchObject([{ value: { n } }])
        expect(await store.models.rows('carts', { limit: 2 })).toHaveLength(1)
        await store.append(append('s', 'T'))
        const projection = { name: `p${n}`, version: 1, types: ['Other'] }
        await store.transaction((tx) => tx.inline.register(projection))
      }
    }
    await one.transaction((tx) => tx.models.drop('carts__g1'))
    await expect(two.models.get('carts__g1', ['a'])).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
    })
    await make(two, 'carts__g1', 'carts', 7)
    expect(await two.models.get('carts__g1', ['a'])).toMatchObject([{ value: { n: 7 } }])
    // A table of other columns under the same name and the same text of a statement.
    const own = (...create: string[]) => ({ name: 'own', shape: { kind: 'sql', create } }) as const
    const columns = ['a INTEGER PRIMARY KEY', 'a INTEGER PRIMARY KEY, b TEXT']
    for (const [i, text] of columns.entries()) {
      await one.transaction((tx) =>
        tx.models.create(
          own(`CREATE TABLE {table} (${text})`, 'INSERT INTO {table} (a) VALUES (1)'),
        ),
      )
      const value = i === 0 ? { a: 1 } : { a: 1, b: null }
      expect(await two.models.rows('own', { limit: 9 })).toEqual([{ key: '[1]', value }])
      await one.transaction((tx) => tx.models.drop('own'))
    }
  },
)

test('finds go by the index, and a page in its order needs no sort of all', async () => {
  const store = await opened({ file: freshFile() })
  await store.transaction(async (tx) => {
    await tx.models.create(documents('t', 'o.\'x y"', 'n'))
    await tx.models.publish('v', 't')
    await tx.models.put(
      't',
      Array.from({ length: 500 }, (_, n) => doc(`k${n}`, { n, o: { '\'x y"': `c${n % 50}` } })),
    )
    const planOf = (filters: DocumentFilter[], sort: DocumentQuery['sort'] = []) => {
      const { text, values } = findStatement(documentDialect, 'v', { filters, sort, limit: 5 })
      return (tx.sql as DatabaseSync)
        .prepare(`EXPLAIN QUERY PLAN ${text}`)
        .all(...(values as string[]))
        .map(({ detail }) => detail)
        .join('; ')
    }
    const city = ['o', '\'x y"']
    const values: [DocumentOperator, Json][] = [
      ['eq', 'c7'],
      ['gt', 'c1'],
      ['lte', 'c1'],
      ['prefix', 'c4'],
      ['in', ['c1', 'c2']],
      ['eq', null],
      ['exists', false],
      ['eq', true],
    ]
    for (const [operator, value] of values) {
      const plan = planOf([{ path: city, operator, value }])
      expect([operator, plan]).toEqual([operator, expect.stringContaining('eventuali_index_t_0')])
      expect(plan).toContain('SEARCH')
    }
    const sort = [{ path: ['n'], descending: false }]
    const sorted = planOf([], sort)
    expect(sorted).toContain('USING INDEX eventuali_index_t_1')
    const both = planOf([{ path: city, operator: 'eq', value: 'c1' }])
    expect(both).toMatch(/eventuali_index_t_0.*<expr>=\? AND <expr>=\?/)
  })
})

test.each(drivers)('%s: finds mean what they mean in memory', async (driver) => {
  const random = seededRandom(7)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random.next() * list.length)] as T
  const texts = [
    '',
    'a',
    'A',
    'ab',
    "a'b",
    'ä',
    '\u{1f680}',
    '\uff5a',
    '10',
    '9',
    'true',
    'null',
    '[1]',
  ]
  const numbers = [
    0,
    1,
    -1,
    1.5,
    0.1,
    0.1 + 0.2,
    1e21,
    -1e-7,
    ...[53, 60, 63, 64].flatMap((n) => [2 ** n, -(2 ** n)]),
  ]
  const scalars = [...texts, ...numbers, true, false, null]
  const value = (): Json =>
    pick<Json>([pick(scalars), pick(scalars), pick(scalars), [1], { q: pick(scalars) }])
  const paths = [['p'], ['o', 'r'], ['o'], ['no']]
  const operators: DocumentOperator[] = [
    ...(['eq', 'ne', 'lt', 'lte', 'gt', 'gte', 'in', 'prefix', 'exists'] as const),
  ]
  const filter = (): DocumentFilter => {
    const operator = pick(operators)
    const one = operator === 'exists' ? random.next() < 0.5 : value()
    return { path: pick(paths), operator, value: operator === 'in' ? [value(), value()] : one }
  }
  const stored = Array.from({ length: 300 }, (_, i) =>
    doc(pick(texts) + i, pick<Json>([{ p: value(), o: { r: value() } }, { p: value() }, value()])),
  )
  const store = await opened({ file: ':memory:', driver })
  const tables = ['plain', 'indexed']
  await store.transaction(async (tx) => {
    await tx.models.create(documents('plain'))
    await tx.models.create(documents('indexed', 'p', 'o.r', 'no'))
    for (const table of tables) await tx.models.put(table, stored)
  })
  for (let i = 0; i < 1500; i++) {
    const sort = Array.from({ length: i % 3 }, () => ({
      path: pick(paths),
      descending: random.next() < 0.5,
    }))
    const filters = Array.from({ length: pick([0, 1, 1, 2]) }, filter)
    const query = { filters, sort, limit: pick([undefined, 7]), offset: pick([undefined, 3]) }
    const expected = findDocuments(stored, query).map(({ key }) => key)
    const found = await store.models.find(pick(tables), query)
    expect({ query, keys: found.map(({ key }) => key) }).toEqual({ query, keys: expected })
  }
})

test('records are listed by their indexes', async () => {
  const file = freshFile()
  await opened({ file })
  const raw = new DatabaseSync(file)
  cleanups.push(() => raw.close())
  const plan = (where: string, order: string) =>
    raw
      .prepare(
        `EXPLAIN QUERY PLAN SELECT value FROM eventuali_records WHERE ${where} ORDER BY ${order}`,
      )
      .all()
      .map(({ detail }) => detail)
      .join('; ')
  expect(plan("kind = 'k' AND due <= 5", 'due, key')).toMatch(
    /eventuali_records_due \(kind=\? AND due<\?\)$/,
  )
  expect(plan("kind = 'k' AND key > 'a' AND state = 's'", 'key')).toMatch(
    /eventuali_records_state \(kind=\? AND state=\? AND key>\?\)$/,
  )
  expect(plan("kind = 'k' AND key >= 'a' AND key < 'b'", 'key')).toMatch(/key>\? AND key<\?\)$/)
})
