import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EventStore, StoredDocument } from '../../src/ports/index.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import { event, foreign, one, open, pause, readAll } from './setup.ts'

const city = ['address', 'city']

function person(n: number): StoredDocument {
  const value = { name: `person ${n}`, age: n % 90, address: { city: `city ${n % 500}` } }
  return { key: `p-${String(n).padStart(6, '0')}`, value, position: n }
}

describe.skipIf(postgresSkipReason() !== undefined)('the read side in PostgreSQL', () => {
  let server: PostgresServer
  let url: string
  let store: EventStore
  let client: pg.Client
  beforeAll(async () => {
    server = await startPostgres()
    url = await server.database()
    store = await open({ url })
    client = await foreign(url)
  }, 60_000)
  afterAll(async () => {
    await client?.end()
    await store?.close()
    await server?.stop()
  })

  async function plan(text: string, values: readonly unknown[]): Promise<string> {
    const { rows } = await client.query({
      text: `EXPLAIN ${text}`,
      values: [...values],
      rowMode: 'array',
    })
    return rows.map(([line]) => line).join('\n')
  }

  /** The statements that `work` runs, as the server is asked for them. */
  async function statementsOf(work: (tx: EventStore['models']) => Promise<unknown>) {
    const seen: { text: string; values: readonly unknown[] }[] = []
    await store.transaction(async (tx) => {
      const sql = tx.sql as { query: (query: { text: string; values: unknown[] }) => unknown }
      const query = sql.query.bind(sql)
      sql.query = (asked) => {
        seen.push(asked)
        return query(asked)
      }
      try {
        await work(tx.models)
      } finally {
        sql.query = query
      }
    })
    return seen.filter(({ text }) => text.startsWith('SELECT'))
  }

  it('finds by the indexes of a collection', async () => {
    await store.transaction(async (tx) => {
      const indexes = [
        { path: city, type: 'text' as const },
        { path: ['age'], type: 'number' as const },
      ]
      await tx.models.create({ name: 'people', shape: { kind: 'documents', indexes } })
      await tx.models.put(
        'people',
        Array.from({ length: 20_000 }, (_, n) => person(n)),
      )
      await tx.models.publish('persons', 'people')
    })
    await client.query('ANALYZE eventuali.people')
    const finds = await statementsOf(async (models) => {
      const eq = { path: city, operator: 'eq', value: 'city 7' } as const
      const filters = [eq]
      expect(await models.find('persons', { filters, sort: [] })).toHaveLength(40)
      const prefix = { path: city, operator: 'prefix', value: 'city 49' } as const
      expect(await models.count('people', [prefix])).toBe(440)
      const some = { path: ['age'], operator: 'in', value: [7, 8] } as const
      expect(await models.count('people', [some])).toBe(446)
      const young = { path: ['age'], operator: 'lt', value: 1 } as const
      expect(await models.count('persons', [young])).toBe(223)
      const sort = [{ path: ['age'], descending: false }]
      const first = await models.find('persons', { filters: [], sort, limit: 3 })
      expect(first.map(({ position }) => position)).toEqual([0, 90, 180])
      const last = [{ path: ['age'], descending: true }]
      const old = await models.find('persons', { filters: [], sort: last, limit: 3 })
      expect(old.map(({ position }) => position)).toEqual([89, 179, 269])
    })
    expect(finds).toHaveLength(6)
    for (const { text, values } of finds) {
      const found = await plan(text, values)
      expect.soft(found, text).toMatch(/people_[01]_x/)
      expect.soft(found, text).not.toContain('Seq Scan')
    }
  })

  it('takes texts of any length and character under an index', async () => {
    const long = 'x'.repeat(10_000)
    const values = [`${long}a`, `${long}b`, 'nul \u0000', 'half \ud83d', '\u0001', '', 'Ω']
    await store.transaction(async (tx) => {
      const indexes = [{ path: ['t'], type: 'text' as const }]
      await tx.models.create({ name: 'texts', shape: { kind: 'documents', indexes } })
      const documents = values.map((t, i) => ({ key: `k${i}`, value: { t }, position: i }))
      await tx.models.put('texts', documents)
    })
    for (const value of values) {
      const filters = [{ path: ['t'], operator: 'eq' as const, value }]
      const found = await store.models.find('texts', { filters, sort: [] })
      expect(found.map((document) => document.value)).toEqual([{ t: value }])
    }
    const after = [{ path: ['t'], operator: 'gt' as const, value: `${long}a` }]
    const sort = [{ path: ['t'], descending: true }]
    const found = await store.models.find('texts', { filters: after, sort })
    expect(found.map(({ position }) => position)).toEqual([6, 1])
  })

  it('keeps readers of a view going while other columns come under its name', async () => {
    const create = (column: string) => [
      `CREATE TABLE {table} (id integer PRIMARY KEY, ${column} NOT NULL)`,
      'CREATE INDEX {table}_second ON {table} (second)',
    ]
    await store.transaction(async (tx) => {
      await tx.models.create({ name: 't1', shape: { kind: 'sql', create: create('second text') } })
      await tx.models.create({
        name: 't2',
        shape: { kind: 'sql', create: create('second integer') },
      })
      const sql = tx.sql as pg.Client
      await sql.query(
        `INSERT INTO eventuali.t1 VALUES (1, 'one'); INSERT INTO eventuali.t2 VALUES (2, 2)`,
      )
      await tx.models.publish('shown', 't1')
    })
    let done = false
    const seen = new Set<string>()
    const reader = async (): Promise<void> => {
      while (!done) {
        for (const row of await store.models.rows('shown', { limit: 5 }))
          seen.add(JSON.stringify(row))
      }
    }
    const readers = [reader(), reader(), reader()]
    for (let i = 0; i < 20; i++) {
      await store.transaction((tx) => tx.models.publish('shown', i % 2 === 0 ? 't2' : 't1'))
      await pause(5)
    }
    done = true
    await Promise.all(readers)
    expect([...seen].sort()).toEqual([
      '{"key":"[1]","value":{"id":1,"second":"one"}}',
      '{"key":"[2]","value":{"id":2,"second":2}}',
    ])
    await expect(store.transaction((tx) => tx.models.drop('events'))).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
  })

  it('holds appends back behind a barrier and loses none', async () => {
    const other = await open({ url })
    const before = (await readAll(store)).length
    const slow = store.transaction(async (tx) => {
      await tx.append(one('barrier-slow'))
      await pause(200)
    })
    await pause(50)
    let appends: Promise<unknown>[] = []
    const count = await store.transaction(async (tx) => {
      await tx.append(one('barrier-own'))
      await tx.barrier()
      appends = Array.from({ length: 200 }, (_, i) =>
        (i % 2 === 0 ? store : other).append(one(`barrier-${i}`)),
      )
      await pause(400)
      const upTo = await tx.newestPosition()
      let found = 0
      for await (const page of tx.readLog({ direction: 'forward', upTo })) found += page.length
      expect(await tx.newestPosition()).toBe(upTo)
      return found
    })
    expect(count).toBe(before + 2)
    const startedAt = performance.now()
    const outcomes = await Promise.all(appends)
    expect(outcomes.filter((outcome) => (outcome as { ok: boolean }).ok)).toHaveLength(200)
    expect(performance.now() - startedAt).toBeLessThan(10_000)
    await slow
    expect(await readAll(store)).toHaveLength(before + 202)
    await other.close()
  })

  it('gives up waiting for a barrier in time', async () => {
    await client.query('BEGIN; LOCK TABLE eventuali.events IN ROW EXCLUSIVE MODE')
    const waiting = store.transaction((tx) => tx.barrier({ timeoutMs: 200 }))
    await expect(waiting).rejects.toMatchObject({ code: 'TIMEOUT' })
    await client.query('ROLLBACK')
  })

  it('refuses an unguarded append alone, whoever makes it', async () => {
    const inline = [{ name: 'guarded', version: 2 }]
    await store.transaction((tx) =>
      tx.inline.register({ name: 'guarded', version: 2, types: ['Guarded'] }),
    )
    const requests = Array.from({ length: 50 }, (_, i) =>
      one(`inline-${i}`, { events: [event(i === 17 ? 'Guarded' : 'Happened')] }),
    )
    const outcomes = await Promise.all(requests.map((request) => store.append(request)))
    expect(outcomes.findIndex((outcome) => !outcome.ok)).toBe(17)
    expect(outcomes.filter((outcome) => !outcome.ok)).toHaveLength(1)
    expect(outcomes[17]).toMatchObject({
      reason: 'projection-missing',
      projections: [{ name: 'guarded', version: 2, types: ['Guarded'] }],
    })
    await store.transaction(async (tx) => {
      const guarded = one('inline-tx', { events: [event('Guarded')] })
      expect(await tx.append({ ...guarded, inline })).toMatchObject({ ok: true })
      // What one append runs admits no other.
      expect(await tx.append(guarded)).toMatchObject({ reason: 'projection-missing' })
      expect(await tx.append(one('inline-tx'))).toMatchObject({ ok: true })
    })
    const raw = client.query(`INSERT INTO eventuali.events
      (stream, version, time, recorded_at, checksum, type, schema_version, flags, id)
      SELECT 1, 1000, 0, 0, 0, t.id, 1, 0, 'x' FROM eventuali.types t WHERE name = 'Guarded'`)
    await expect(raw).rejects.toMatchObject({ code: 'EV001' })

    // A reader that stays does not keep the last one from being taken off.
    await client.query('BEGIN; SELECT count(*) FROM eventuali.events')
    await store.transaction((tx) => tx.inline.unregister('guarded'))
    await client.query('COMMIT')
    expect(await store.append(requests[17] as (typeof requests)[0])).toMatchObject({ ok: true })
    await store.transaction(async (tx) => {
      await tx.inline.register({ name: 'again', version: 1, types: ['Guarded'] })
      expect(await tx.append(requests[17] as (typeof requests)[0])).toMatchObject({ ok: false })
      await tx.inline.unregister('again')
    })
    const { rows } = await client.query(`SELECT 1 FROM pg_trigger WHERE tgname = 'inline_guard'`)
    expect(rows).toEqual([])
  })

  it('goes on after a savepoint whose SQL failed', async () => {
    await store.transaction(async (tx) => {
      const failing = tx.savepoint(async () => {
        await tx.append(one('savepoint-1'))
        await (tx.sql as pg.Client).query('SELECT 1 / 0')
      })
      await expect(failing).rejects.toMatchObject({ code: '22012' })
      // A failure that the work swallows is found at its end.
      const swallowed = tx.savepoint(async () => {
        await (tx.sql as pg.Client).query('SELECT 1 / 0').catch(() => {})
      })
      await expect(swallowed).rejects.toBeDefined()
      await tx.append(one('savepoint-2'))
    })
    expect(await store.stream('savepoint-1')).toBeUndefined()
    expect(await store.stream('savepoint-2')).toMatchObject({ version: 1 })
  })

  it('locks a record that is not there yet', async () => {
    const record = { kind: 'lock', key: 'new', expected: 0, value: 1 } as const
    let second: Promise<unknown> = Promise.resolve()
    await store.transaction(async (tx) => {
      expect(await tx.records.lock('lock', ['new'])).toEqual([undefined])
      second = store.transaction(async (other) => {
        const [found] = await other.records.lock('lock', ['new'])
        return found?.value
      })
      await pause(100)
      await tx.records.write([record])
    })
    expect(await second).toBe(1)
  })

  it('writes many records in one statement', async () => {
    const changes = Array.from({ length: 1000 }, (_, i) => {
      return { kind: 'many', key: `k${i}`, expected: 0, value: { i }, due: 1000 - i } as const
    })
    let count = 0
    await store.transaction(async (tx) => {
      const sql = tx.sql as pg.Client
      const query = sql.query.bind(sql) as (...args: unknown[]) => Promise<unknown>
      Object.assign(sql, {
        query: (...args: unknown[]) => {
          count++
          return query(...args)
        },
      })
      await tx.records.write(changes)
      Object.assign(sql, { query })
    })
    expect(count).toBe(1)
    const due = await store.records.list({ kind: 'many', dueUpTo: 3, limit: 10 })
    expect(due.map(({ key }) => key)).toEqual(['k999', 'k998', 'k997'])
  })
})
