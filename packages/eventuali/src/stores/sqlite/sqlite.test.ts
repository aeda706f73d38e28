import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, expect, test } from 'vitest'
import { sleep, systemClock } from '../../kernel/index.ts'
import type { AppendRequest, EventStore, NewEvent } from '../../ports/index.ts'
import { schemaVersion } from './migrations.ts'
import { openSqliteStore, type SqliteStoreOptions } from './open.ts'

const BetterDatabase = createRequire(import.meta.url)('better-sqlite3')
const cleanups: (() => unknown)[] = []
let drawn = 0

afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

function freshFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-sqlite-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'log.db')
}

async function opened(options: SqliteStoreOptions): Promise<EventStore> {
  const store = await openSqliteStore(options)
  cleanups.push(() => store.close())
  return store
}

function foreign(file: string): DatabaseSync {
  const connection = new DatabaseSync(file)
  cleanups.push(() => connection.close())
  return connection
}

const event = (more: Partial<NewEvent> = {}): NewEvent => ({
  id: `event-${drawn++}`,
  idGiven: false,
  type: 'Happened',
  data: { n: 1 },
  metadata: {},
  time: 1_700_000_000_000,
  schemaVersion: 1,
  tags: [],
  ...more,
})

const one = (stream: string, ...events: NewEvent[]): AppendRequest => ({
  entries: [{ stream, expectedVersion: 'any', events: events.length === 0 ? [event()] : events }],
})

/** Makes each event whose data holds `boom` fail inside the insert. */
const plant = `CREATE TRIGGER planted BEFORE INSERT ON eventuali_events WHEN NEW.data LIKE '%boom%'
  BEGIN SELECT RAISE(ABORT, 'planted'); END`

test.each(['node:sqlite', 'better-sqlite3'] as const)(
  '%s: durability is what was asked for',
  async (driver) => {
    const durable = await opened({ file: freshFile(), driver })
    await durable.append(one('s'))
    expect(await durable.settings()).toMatchObject({
      driver,
      journal_mode: 'wal',
      synchronous: 'FULL',
      profile: 'durable',
    })
    const relaxed = await opened({ file: freshFile(), driver, profile: 'relaxed' })
    expect(await relaxed.settings()).toMatchObject({ journal_mode: 'wal', synchronous: 'NORMAL' })
  },
)

test('a handed-in connection with other defaults is set to FULL as well', async () => {
  const connection = foreign(freshFile())
  connection.exec('PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF')
  const store = await opened({ connection })
  expect(await store.settings()).toMatchObject({ journal_mode: 'wal', synchronous: 'FULL' })
})

test('a handed-in connection that could not write for a while is used again', async () => {
  const connection = foreign(freshFile())
  const store = await opened({ connection })
  connection.exec('PRAGMA query_only = ON')
  await expect(store.append(one('s'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  connection.exec('PRAGMA query_only = OFF')
  expect(await store.append(one('s'))).toMatchObject({ ok: true })
})

test('durability that does not hold after the first write is an error', async () => {
  const connection = foreign(freshFile())
  const store = await opened({ connection })
  connection.exec('PRAGMA synchronous = OFF')
  await expect(store.append(one('s'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
})

test('a connection with an open transaction, and what is no connection, are refused', async () => {
  const connection = foreign(freshFile())
  connection.exec('BEGIN')
  await expect(openSqliteStore({ connection })).rejects.toMatchObject({ argument: 'connection' })
  await expect(openSqliteStore({ connection: {} })).rejects.toMatchObject({
    argument: 'connection',
  })
  await expect(
    openSqliteStore({ file: freshFile(), driver: 'libsql' as 'node:sqlite' }),
  ).rejects.toMatchObject({ argument: 'driver' })
})

test('an unsafe SQLite reads and does not write', async () => {
  const file = freshFile()
  const writing = await openSqliteStore({ file })
  await writing.append(one('s'))
  await writing.close()
  const old = foreign(file)
  const prepare = old.prepare.bind(old)
  old.prepare = (sql) => prepare(sql.replace('sqlite_version()', "'3.51.2'"))
  const store = await opened({ connection: old })
  expect((await store.stream('s'))?.version).toBe(1)
  await expect(store.append(one('s'))).rejects.toMatchObject({ code: 'SQLITE_UNSAFE' })
  await expect(store.transaction(async () => 1)).rejects.toMatchObject({ code: 'SQLITE_UNSAFE' })
  const forking = store.fork({ into: `${file}-fork`, upTo: 1 })
  await expect(forking).rejects.toMatchObject({ code: 'SQLITE_UNSAFE' })
})

test('read-only reads, refuses to write, and wants a log to be there', async () => {
  const file = freshFile()
  await expect(openSqliteStore({ file, readOnly: true })).rejects.toMatchObject({
    code: 'STORAGE_FAILED',
  })
  const other = foreign(file)
  other.exec('CREATE TABLE of_somebody_else (n)')
  await expect(openSqliteStore({ file, readOnly: true })).rejects.toMatchObject({
    ...{ code: 'STORE_READ_ONLY', message: expect.stringContaining('holds no event log') },
  })
  await (await openSqliteStore({ file })).close()
  const store = await opened({ file, readOnly: true })
  expect(await store.positions()).toEqual({ safe: 0, newest: 0 })
  await expect(store.append(one('s'))).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
})

test('a schema from the future is refused', async () => {
  const file = freshFile()
  await (await openSqliteStore({ file })).close()
  foreign(file).exec(
    `UPDATE eventuali_meta SET value = '${schemaVersion + 1}' WHERE key = 'schema'`,
  )
  await expect(openSqliteStore({ file })).rejects.toMatchObject({ code: 'SCHEMA_TOO_NEW' })
})

test('many handles make one log', async () => {
  const file = freshFile()
  const stores = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      opened({ file, driver: 'node:sqlite', timeoutMs: 10_000 + i }),
    ),
  )
  expect(new Set(stores.map((store) => store.incarnation)).size).toBe(1)
  await Promise.all(stores.map((store) => store.append(one('s'))))
  expect((await stores[0]?.stream('s'))?.version).toBe(8)
})

test('a foreign lock is waited for without blocking, and not for ever', async () => {
  const file = freshFile()
  const store = await opened({ file })
  const other = foreign(file)
  other.exec('BEGIN IMMEDIATE')
  await expect(store.append(one('s'), { timeoutMs: 60 })).rejects.toMatchObject({
    code: 'STORAGE_BUSY',
  })
  let turns = 0
  const waiting = store.append(one('s'))
  const stop = new AbortController()
  const stopped = store.append(one('t'), { signal: stop.signal })
  stopped.catch(() => {})
  for (let i = 0; i < 20; i++) {
    await sleep(systemClock, 5)
    turns++
  }
  stop.abort(new Error('enough'))
  await sleep(systemClock, 60)
  other.exec('COMMIT')
  expect((await waiting).ok).toBe(true)
  await expect(stopped).rejects.toThrow('enough')
  expect(turns).toBe(20)
  expect(await store.stream('t')).toBeUndefined()
})

test.each(['node:sqlite', 'better-sqlite3'] as const)(
  '%s: a failing statement touches its caller only',
  async (driver) => {
    const file = freshFile()
    const store = await opened({ file, driver })
    const connection = driver === 'node:sqlite' ? foreign(file) : new BetterDatabase(file)
    connection.exec(plant)
    connection.close()
    if (driver === 'node:sqlite') cleanups.splice(cleanups.length - 1, 1)
    const results = await Promise.allSettled(
      Array.from({ length: 40 }, (_, i) =>
        store.append(
          one(`new-${i}`, event({ type: `Type${i}` }), event({ data: i === 17 ? 'boom' : 'fine' })),
        ),
      ),
    )
    expect(results.map((r) => r.status).indexOf('rejected')).toBe(17)
    expect(results.filter((r) => r.status === 'rejected')).toHaveLength(1)
    expect(results[17]).toMatchObject({ reason: { code: 'STORAGE_FAILED' } })
    // Ids of what was rolled back may not have stayed in a cache.
    await store.append(one('new-17', event({ type: 'Type17' })))
    const pages = []
    for await (const page of store.readLog({ direction: 'forward', upTo: 1000 }))
      pages.push(...page)
    expect(pages.map((e) => e.position)).toEqual(Array.from({ length: 79 }, (_, i) => i + 1))
    for (const e of pages.slice(0, 78)) {
      if (e.version === 1) expect(e.type).toBe(e.stream.replace('new-', 'Type'))
    }
    for await (const fault of store.faults()) expect(fault).toBeUndefined()
  },
)

test('a transaction whose append failed goes on without that append', async () => {
  const file = freshFile()
  const store = await opened({ file })
  foreign(file).exec(plant)
  await store.transaction(async (tx) => {
    await tx.append(one('a'))
    const failing = tx.append(one('b', event(), event({ data: 'boom' })))
    await expect(failing).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    await tx.append(one('c'))
  })
  expect(await store.stream('b')).toBeUndefined()
  expect(await store.positions()).toEqual({ safe: 2, newest: 2 })
})

test('a transaction that ended under way does not count as committed', async () => {
  const store = await opened({ file: freshFile() })
  const ended = store.transaction(async (tx) => {
    await tx.append(one('a'))
    ;(tx.sql as DatabaseSync).exec('ROLLBACK')
    await expect(tx.append(one('b'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  })
  await expect(ended).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  expect(await store.positions()).toEqual({ safe: 0, newest: 0 })
  expect((await store.append(one('a'))).ok).toBe(true)
})

test('only a transaction on the store own connection can be joined', async () => {
  const file = freshFile()
  const store = await opened({ file })
  const other = foreign(file)
  other.exec('BEGIN')
  expect(() => store.join(other)).toThrow('joins only')
  await store.transaction(async (tx) => {
    await store.join(tx.sql).append(one('a'))
  })
  expect((await store.stream('a'))?.version).toBe(1)
})

test("a caller's own transaction on a handed-in connection holds the queue up", async () => {
  const connection = foreign(freshFile())
  const store = await opened({ connection })
  connection.exec('BEGIN')
  await store.join(connection).append(one('a'))
  const waiting = store.append(one('b'))
  await sleep(systemClock, 20)
  expect(await store.stream('a')).toBeUndefined()
  connection.exec('COMMIT')
  expect(await waiting).toMatchObject({ ok: true, entries: [{ positions: [2] }] })
})

test('pages of large events are cut by bytes', async () => {
  const store = await opened({ file: freshFile() })
  const large = 'x'.repeat(1.5 * 1024 * 1024)
  for (let i = 0; i < 8; i++) await store.append(one('s', event({ data: large })))
  const sizes: number[] = []
  for await (const page of store.readStream({ stream: 's', direction: 'forward' })) {
    sizes.push(page.length)
  }
  for await (const page of store.readLog({ direction: 'backward', upTo: 100 })) {
    sizes.push(page.length)
  }
  expect(sizes).toEqual([3, 3, 2, 3, 3, 2])
})

test('a bound far beyond the end costs no empty windows', async () => {
  const store = await opened({ file: freshFile() })
  await store.append(one('s'))
  const query = { direction: 'forward', upTo: Number.MAX_SAFE_INTEGER, types: ['Other'] } as const
  for await (const page of store.readLog(query)) expect(page).toBeUndefined()
})

test('each kind of damage below the events is found and named', async () => {
  const file = freshFile()
  const store = await opened({ file })
  for (const stream of ['a', 'b', 'c', 'd']) {
    await store.append(one(stream, event({ tags: ['k:1'] }), event()))
  }
  const found = async () => {
    const faults = []
    for await (const { position, stream } of store.faults()) faults.push({ position, stream })
    return faults
  }
  expect(await found()).toEqual([])
  foreign(file).exec(`
    UPDATE eventuali_events SET data = '{"n":2}' WHERE position = 1;
    UPDATE eventuali_streams SET version = 3 WHERE name = 'b';
    DELETE FROM eventuali_event_tags WHERE position = 5;
    UPDATE eventuali_head SET last_position = 7;`)
  expect(await found()).toEqual([
    { position: 8, stream: undefined },
    { position: undefined, stream: 'b' },
    { position: 1, stream: 'a' },
    { position: 5, stream: 'c' },
  ])
})

test('another process is noticed while somebody watches', async () => {
  const file = freshFile()
  const store = await opened({ file })
  const other = await opened({ file })
  let calls = 0
  const stop = store.watch(() => calls++)
  await sleep(systemClock, 300)
  await other.transaction((tx) =>
    tx.records.write([{ kind: 'worker', key: 'a', expected: 0, value: 1 }]),
  )
  await sleep(systemClock, 200)
  expect(calls).toBe(0)
  await other.append(one('s'))
  for (let i = 0; i < 400 && calls === 0; i++) await sleep(systemClock, 5)
  expect(calls).toBeGreaterThan(0)
  stop()
  const before = calls
  await store.append(one('s'))
  expect(calls).toBe(before)
})

test('events of several streams stand in the log in the order that is asked for', async () => {
  const store = await opened({ file: freshFile() })
  const entryOf = (stream: string, ordinals: readonly number[]) => ({
    ...{ stream, expectedVersion: 'any' as const, ordinals },
    events: ordinals.map((n) => event({ data: { n } })),
  })
  const orders = [
    [entryOf('a', [0, 3]), entryOf('b', [1, 2])],
    // No places: with gaps, and one that comes twice.
    [entryOf('a', [10, 40]), entryOf('b', [20, 30])],
    [entryOf('a', [5, 7]), entryOf('b', [5, 6])],
  ]
  const expected = ['abba', 'abba', 'abba']
  for (const entries of orders) expect((await store.append({ entries })).ok).toBe(true)
  const log = (await Array.fromAsync(store.readLog({ direction: 'forward', upTo: 12 }))).flat()
  const streams = log.map(({ stream }) => stream).join('')
  expect(streams).toBe(expected.join(''))
  expect(log.map(({ position }) => position)).toEqual(log.map((_, i) => i + 1))
})

test('rare events are found however far they lie apart, forward and back', async () => {
  const store = await opened({ file: freshFile(), profile: 'relaxed' })
  const rare = [1, 4096, 4097, 8193, 20_000]
  for (let from = 1; from <= 20_000; from += 1000) {
    const events = Array.from({ length: 1000 }, (_, i) =>
      event(rare.includes(from + i) ? { type: 'Rare', tags: ['k:1'] } : {}),
    )
    await store.append(one('s', ...events))
  }
  const found = async (more: object) => {
    const positions: number[] = []
    for await (const page of store.readLog({
      after: 0,
      upTo: 1e9,
      direction: 'forward',
      ...more,
    })) {
      positions.push(...page.map(({ position }) => position))
    }
    return positions
  }
  for (const filter of [{ types: ['Rare'] }, { tags: ['k:1'] }]) {
    expect(await found(filter)).toEqual(rare)
    expect(await found({ ...filter, direction: 'backward' })).toEqual(rare.toReversed())
    expect(await found({ ...filter, after: 1, limit: 3 })).toEqual([4096, 4097, 8193])
    const back = { ...filter, direction: 'backward', before: 20_000, limit: 2 }
    expect(await found(back)).toEqual([8193, 4097])
  }
})
