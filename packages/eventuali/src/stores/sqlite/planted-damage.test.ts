import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock, systemRandom, uuidV7Source } from '../../kernel/index.ts'
import type { AppendRequest, EventStore } from '../../ports/index.ts'
import { openSqliteStore, type SqliteStoreOptions } from './index.ts'
import { Names } from './names.ts'

// Stores whose tables somebody has changed, handles that are used after their end.
const BetterDatabase = createRequire(import.meta.url)('better-sqlite3')
const ids = uuidV7Source(systemClock, systemRandom)
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

function fresh(): string {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-damage-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'log.db')
}

async function sqlite(options: SqliteStoreOptions): Promise<EventStore> {
  const store = await openSqliteStore({ profile: 'relaxed', ...options })
  cleanups.push(() => store.close())
  return store
}

function one(stream: string, type: string, more: object = {}): AppendRequest {
  const event = {
    ...{ id: ids.next(), idGiven: false, type, data: { n: 1 }, metadata: {} },
    ...{ time: 0, schemaVersion: 1, tags: [] },
  }
  return { entries: [{ stream, expectedVersion: 'any', events: [event], ...more }] }
}

async function faultsOf(store: EventStore): Promise<string[]> {
  const found: string[] = []
  for await (const { position, stream, reason } of store.faults()) {
    found.push(`${stream ?? position}: ${reason}`)
  }
  return found.sort()
}

async function fill(store: EventStore): Promise<void> {
  for (const stream of ['a', 'b', 'c', 'd']) {
    for (let n = 0; n < 3; n++) await store.append(one(stream, `T${stream}`))
  }
  await store.append(one('d', '$deleted', { change: { kind: 'delete' } }))
  await store.append(one('a', '$truncated', { change: { kind: 'truncate', before: 2 } }))
}

describe('damage that is planted in SQLite', () => {
  it('is named by stream or position, with what is wrong', async () => {
    const file = fresh()
    const first = await sqlite({ file })
    await fill(first)
    expect(await faultsOf(first)).toEqual([])
    const plant = new DatabaseSync(file)
    plant.exec(`
      UPDATE eventuali_events SET version = version + 5 WHERE position = 6;
      UPDATE eventuali_streams SET first_version = first_version - 1 WHERE name = 'd';
      UPDATE eventuali_events SET version = 3, stream_id = (SELECT id FROM eventuali_streams
        WHERE name = 'd') WHERE position = 8;
      UPDATE eventuali_events SET stream_id = 99 WHERE position = 9;
      DELETE FROM eventuali_types WHERE name = 'Ta';`)
    plant.close()
    const store = await sqlite({ file })
    const found = await faultsOf(store)
    expect(found).toContain('b: its head tells of versions 1 to 3, 1 to 8 are there')
    expect(found).toContain('d: it is deleted and holds more than its tombstone')
    expect(found).toContain('9: its stream is not there')
    expect(found).toContain('a: its type is not there')
    expect(found.some((fault) => fault.startsWith('c: its head tells of 3 events'))).toBe(true)
  })
})

describe('an index of tags', () => {
  const tagged = (stream: string, ...tags: string[]) => {
    const [entry] = one(stream, 'T').entries
    const events = entry?.events.map((event) => ({ ...event, tags })) ?? []
    return { entries: [{ stream, expectedVersion: 'any' as const, events }] }
  }

  it('is held against the events that it names', async () => {
    const file = fresh()
    const store = await sqlite({ file })
    await store.append(tagged('a', 'k:1'))
    await store.append(tagged('b'))
    await store.append(tagged('c', 'k:2'))
    expect(await faultsOf(store)).toEqual([])
    const plant = new DatabaseSync(file)
    plant.exec(`INSERT INTO eventuali_event_tags SELECT tag_hash, 2, type_id
      FROM eventuali_event_tags WHERE position = 1;
      INSERT INTO eventuali_event_tags SELECT tag_hash, 3, type_id
      FROM eventuali_event_tags WHERE position = 1;
      INSERT INTO eventuali_event_tags SELECT tag_hash, 9, type_id
      FROM eventuali_event_tags WHERE position = 1;`)
    expect(await faultsOf(store)).toEqual([
      '2: the index of tags names a tag that it does not have',
      '3: the index of tags names a tag that it does not have',
      '9: the index of tags names an event that is not there',
    ])
    plant.exec('DROP TABLE eventuali_event_tags')
    plant.close()
    const gone = 'undefined: the database failed at read: no such table: eventuali_event_tags'
    // Once for its own pages, once for those of the events; the rest is looked at all the same.
    expect(await faultsOf(store)).toEqual([gone, gone])
  })

  it('is looked at no longer than the caller waits, which is no fault of the file', async () => {
    const store = await sqlite({ file: fresh() })
    await fill(store)
    const stop = new AbortController()
    stop.abort(new Error('enough'))
    const looking = Array.fromAsync(store.faults({ signal: stop.signal }))
    await expect(looking).rejects.toThrow('enough')
  })
})

describe('names that a SQLite store remembers', () => {
  it('are looked up once, and not remembered when they are not there', () => {
    let asked = 0
    const looked = (rows: Readonly<Record<number, string>>) => ({
      get: (id: number) => {
        asked++
        return rows[id] === undefined ? undefined : [rows[id]]
      },
    })
    const sql = { typeName: looked({ 1: 'T' }), streamName: looked({ 1: 's' }), typeId: looked({}) }
    const names = new Names()
    for (let n = 0; n < 3; n++) {
      expect(names.typeName(sql as never, 1)).toBe('T')
      expect(names.streamName(sql as never, 1)).toBe('s')
    }
    expect(asked).toBe(2)
    expect([names.typeName(sql as never, 2), names.streamName(sql as never, 2)]).toEqual(['', ''])
    expect([names.typeName(sql as never, 2), names.streamName(sql as never, 2)]).toEqual(['', ''])
    expect(asked).toBe(6)
    expect(names.knownTypeId('T')).toBe(1)
    expect(names.typeId(sql as never, 'none')).toBe(undefined)
  })

  it('are bounded in number, and right when they begin anew', () => {
    const names = new Names()
    for (let id = 1; id <= 10_001; id++) names.addType(id, `T${id}`)
    expect(names.knownTypeId('T10001')).toBe(10_001)
    expect(names.knownTypeId('T1')).toBe(undefined)
    const streamName = { get: (id: number) => [`s${id}`] }
    for (let id = 1; id <= 50_001; id++) names.streamName({ streamName } as never, id)
    expect(names.streamName({ streamName } as never, 1)).toBe('s1')
  })
})

describe('a handle of SQLite', () => {
  it('that only reads says so, and shows its settings', async () => {
    const file = fresh()
    await (await sqlite({ file })).append(one('a', 'T'))
    const reader = await sqlite({ file, readOnly: true })
    expect(await reader.settings()).toMatchObject({ profile: 'relaxed' })
    await expect(reader.append(one('a', 'T'))).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
    expect(await faultsOf(reader)).toEqual([])
  })

  it('in memory has no fork, whoever opened it', async () => {
    const connection = new BetterDatabase(':memory:')
    cleanups.push(() => connection.close())
    for (const store of [await sqlite({ file: ':memory:' }), await sqlite({ connection })]) {
      const forking = store.fork({ into: fresh(), upTo: 0 })
      await expect(forking).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' })
    }
  })

  it('is no number and no object of another kind', async () => {
    for (const connection of [7, null, {}, () => {}]) {
      const opening = openSqliteStore({ connection } as never)
      await expect(opening).rejects.toMatchObject({ argument: 'connection' })
    }
  })

  it('forks into a url or a path, never into a folder that is not there', async () => {
    const file = fresh()
    const store = await sqlite({ file })
    await fill(store)
    const into = join(file, '..', 'fork.db')
    const { safe: upTo } = await store.positions()
    await store.fork({ into: `sqlite:${into}`, upTo })
    const fork = await sqlite({ file: into })
    expect((await fork.positions()).safe).toBe((await store.positions()).safe)
    const again = store.fork({ into, upTo })
    await expect(again).rejects.toMatchObject({ code: 'FORK_TARGET_EXISTS' })
    for (const bad of ['', ':memory:', join(file, 'none', 'fork.db')]) {
      await expect(store.fork({ into: bad, upTo })).rejects.toMatchObject({ argument: 'into' })
    }
  })

  it('takes 400 items of a query at most', async () => {
    const store = await sqlite({ file: fresh() })
    await store.append(one('a', 'T'))
    const items = (count: number) =>
      Array.from({ length: count }, () => ({ types: ['T'], tags: [] }))
    const read = (count: number) =>
      Array.fromAsync(store.readLog({ query: items(count), direction: 'forward', upTo: 1 }))
    expect((await read(400)).flat()).toHaveLength(1)
    await expect(read(401)).rejects.toMatchObject({ argument: 'query' })
  })
})
