import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { AppendRequest, EventStore } from '../../src/ports/index.ts'
import { FaultyProxy } from '../servers/faulty-proxy.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import { event, foreign, one, open, pause } from './setup.ts'

// Bounds, rights and races that only a server has.
describe.skipIf(postgresSkipReason() !== undefined)('a store on PostgreSQL', () => {
  let server: PostgresServer
  let url: string
  let store: EventStore
  let client: pg.Client
  beforeAll(async () => {
    server = await startPostgres()
  }, 60_000)
  afterAll(() => server?.stop())
  beforeEach(async () => {
    url = await server.database()
    client = await foreign(url)
    store = await open({ url })
    return async () => {
      await client.end()
      await store.close()
    }
  })

  /** A login of its own, without the right to make schemas. */
  async function login(name: string): Promise<string> {
    await client.query(`CREATE ROLE ${name} LOGIN`)
    const own = new URL(url)
    own.username = name
    return own.href
  }

  describe('opened by a login with few rights', () => {
    it('makes its tables in a schema that somebody made for it, and no other', async () => {
      const own = await login('tenant')
      await client.query('CREATE SCHEMA prepared AUTHORIZATION tenant')
      const opened = await open({ url: own, schema: 'prepared' })
      expect((await opened.append(one('a-1'))).ok).toBe(true)
      await expect(opened.fork({ into: 'copy', upTo: 1 })).rejects.toMatchObject({
        ...{ code: 'STORAGE_FAILED', cause: { message: /permission denied/ } },
      })
      await opened.close()
      const refused = open({ url: own, schema: 'own' })
      await expect(refused).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    })

    it('reads with the right to read alone, and makes, migrates and writes nothing', async () => {
      await expect(open({ url, schema: 'nothing', readOnly: true })).rejects.toMatchObject({
        ...{ code: 'STORE_READ_ONLY', message: expect.stringContaining('holds no event log') },
      })
      await store.append(one('s-1'))
      const own = await login('looker')
      await client.query('GRANT USAGE ON SCHEMA eventuali TO looker')
      await client.query('GRANT SELECT ON ALL TABLES IN SCHEMA eventuali TO looker')
      const reader = await open({ url: own, readOnly: true })
      expect((await reader.stream('s-1'))?.version).toBe(1)
      expect(await reader.positions()).toEqual({ safe: 1, newest: 1 })
      const refused = { code: 'STORE_READ_ONLY' }
      await expect(reader.append(one('s-1'))).rejects.toMatchObject(refused)
      await expect(reader.transaction(async () => 1)).rejects.toMatchObject(refused)
      await expect(reader.tune?.({ apply: [] })).rejects.toMatchObject(refused)
      await reader.close()
    })

    it('is not opened when its row of identity is gone', async () => {
      await client.query(`DELETE FROM eventuali.meta WHERE key = 'incarnation'`)
      await expect(open({ url })).rejects.toMatchObject({
        ...{ code: 'STORAGE_FAILED', cause: { message: /no incarnation/ } },
      })
    })
  })

  describe('asked for its positions', () => {
    it('passes a gap and thousands behind it in one look', async () => {
      await store.append(one('a-1'))
      await client.query('BEGIN')
      await store.join(client).append(one('b-1'))
      await store.append(one('a-1'))
      expect(await store.positions()).toMatchObject({ safe: 1, newest: 3 })
      // Somebody who may still write, but only behind what was seen: the rest has to be looked at.
      const later = await foreign(url)
      await later.query('BEGIN; LOCK TABLE eventuali.events IN ROW EXCLUSIVE MODE')
      const events = Array.from({ length: 4500 }, () => event('T'))
      await store.append(one('a-1', { events }))
      await client.query('ROLLBACK')
      expect(await store.positions()).toEqual({ safe: 4503, newest: 4503 })
      await later.query('ROLLBACK')
      await later.end()
    })

    it('says who is in the way, also one without a name', async () => {
      await client.query(`SET application_name = ''`)
      await client.query('BEGIN')
      await store.join(client).append(one('a-1'))
      await store.append(one('b-1'))
      const { blocker } = await store.positions()
      expect(blocker?.holders.join()).toMatch(/\(no application name, idle in transaction\)/)
      await client.query('ROLLBACK')
    })

    it('waits for a locked table no longer than it may, and goes on afterwards', async () => {
      await client.query('BEGIN; LOCK eventuali.events')
      const look = store.positions({ timeoutMs: 100 })
      await expect(look).rejects.toMatchObject({ code: 'TIMEOUT' })
      await client.query('COMMIT')
      expect((await store.positions()).safe).toBe(0)
    })
  })

  describe('read', () => {
    it('by several sorts of events at once keeps to the size of a page', async () => {
      const tags = (n: number) => (n % 2 === 0 ? ['k:1', 'k:2'] : ['k:2'])
      for (let n = 0; n < 7; n++) {
        await store.append(one('a-1', { events: [event(`T${n % 3}`, { tags: tags(n) })] }))
      }
      const query = [
        { types: ['T0', 'T1'], tags: ['k:1'] },
        { types: ['T2'], tags: ['k:2'] },
      ]
      const read = async (more: object) => {
        const pages = store.readLog({
          query,
          direction: 'forward',
          upTo: 100,
          pageSize: 2,
          ...more,
        })
        return (await Array.fromAsync(pages)).map((page) => page.map(({ position }) => position))
      }
      expect(await read({})).toEqual([[1, 3], [5, 6], [7]])
      expect(await read({ direction: 'backward', limit: 3 })).toEqual([[7, 6], [5]])
      expect(await read({ limit: 0 })).toEqual([])
      const [only] = query
      expect(await read({ query: [only], limit: 0 })).toEqual([])
    })

    it('by a tag leaves out what only shares its place in the index', async () => {
      await store.append(one('a-1', { events: [event('T', { tags: ['k:1'] })] }))
      await store.append(one('a-1', { events: [event('T', { tags: ['k:2'] })] }))
      await client.query(`INSERT INTO eventuali.event_tags SELECT tag_hash, 2, type
        FROM eventuali.event_tags WHERE position = 1`)
      const asked = { types: ['T'], tags: ['k:1'], direction: 'forward', upTo: 9 } as const
      for (const pageSize of [1, 10]) {
        const pages = await Array.fromAsync(store.readLog({ ...asked, pageSize }))
        expect(pages.map((page) => page.map(({ position }) => position))).toEqual([[1]])
      }
    })
  })

  describe('appended to', () => {
    it('does not try for ever against a unique key of somebody else', async () => {
      await client.query(`CREATE UNIQUE INDEX one_time ON eventuali.events (time)`)
      await store.append(one('a-1', { events: [event('T', { time: 7 })] }))
      const alone = (time: number): AppendRequest =>
        one('a-1', { events: [event('$archived', { time })], change: { kind: 'archive' } })
      const startedAt = performance.now()
      for (const request of [alone(7), one('b-1', { events: [event('T', { time: 7 })] })]) {
        await expect(store.append(request)).rejects.toMatchObject({
          ...{ code: 'STORAGE_FAILED', cause: { message: /one_time/ } },
        })
      }
      expect(performance.now() - startedAt).toBeLessThan(10_000)
      expect((await store.append(alone(8))).ok).toBe(true)
    })

    it('takes plain and compressed data in one group', async () => {
      const codec = { compress: { with: 'gzip', above: 1000 } } as const
      const small = await open({ url, codec })
      const text = 'much of the same '.repeat(200)
      const data = (n: number) => (n % 2 === 0 ? { text, n } : { n })
      const requests = Array.from({ length: 6 }, (_, n) =>
        one(`a-${n}`, {
          events: [event('T', { data: data(n) }), event('T', { data: data(n + 1) })],
        }),
      )
      await Promise.all(requests.map((request) => small.append(request)))
      for (let n = 0; n < 6; n++) {
        const asked = { stream: `a-${n}`, direction: 'forward' } as const
        const read = (await Array.fromAsync(store.readStream(asked))).flat()
        expect(read.map((found) => found.data)).toEqual([data(n), data(n + 1)])
      }
      await small.close()
    })

    it('holds a condition also where an append has more tags than locks', async () => {
      const tagged = (n: number) => event('T', { tags: [`k:${n}`] })
      const events = Array.from({ length: 400 }, (_, n) => tagged(n))
      const condition = { query: [{ types: ['T'], tags: ['k:7'] }], position: 0 }
      const request = () => ({
        ...one('a-1', { events: events.map((e) => ({ ...e })) }),
        condition,
      })
      expect((await store.append(request())).ok).toBe(true)
      const again = await store.append({ ...request(), ...{ entries: one('b-1').entries } })
      expect(again).toMatchObject({ ok: false, reason: 'condition-failed' })
    })

    it('ends with the reason of the one who stops it', async () => {
      await store.append(one('a-1'))
      await client.query('BEGIN')
      await client.query(`SELECT * FROM eventuali.streams WHERE name = 'a-1' FOR UPDATE`)
      const stop = new AbortController()
      const stopped = store.append(one('a-1'), { signal: stop.signal })
      const refused = expect(stopped).rejects.toThrow('enough')
      await pause(100)
      stop.abort(new Error('enough'))
      await refused
      await client.query('COMMIT')
      expect((await store.stream('a-1'))?.version).toBe(1)
    })

    it('over a silent network ends each caller of a group by its own bound', async () => {
      const proxy = await FaultyProxy.open(server.port)
      // The loss is noticed when the first one has given up.
      const limits = { statementTimeoutMs: 500 }
      const far = await open({ url: proxy.through(url), limits })
      await far.append(one('a-1'))
      proxy.freeze()
      const appending = Promise.allSettled([
        far.append(one('b-1'), { timeoutMs: 400 }),
        far.append(one('c-1'), { timeoutMs: 10_000 }),
      ])
      // Silent for longer than the first one waits; then the network lets new connections in.
      await pause(600)
      proxy.reset()
      const both = await appending
      expect(both).toMatchObject([
        { status: 'rejected', reason: { code: expect.stringMatching(/TIMEOUT|OUTCOME_UNKNOWN/) } },
        { status: 'fulfilled', value: { ok: true } },
      ])
      expect(await store.stream('b-1')).toBeUndefined()
      expect((await store.stream('c-1'))?.version).toBe(1)
      await far.close()
      await proxy.close()
    })
  })

  describe('with tables of the own', () => {
    const shape = (...create: string[]) => ({ kind: 'sql', create }) as const

    it('pages rows that have no key, each copy once', async () => {
      const rows = `INSERT INTO {table} VALUES (1, 'x'), (1, 'x'), (2, NULL)`
      await store.transaction((tx) =>
        tx.models.create({ name: 't', shape: shape('CREATE TABLE {table} (a int, b text)', rows) }),
      )
      const seen: unknown[] = []
      for (let after: string | undefined; ; ) {
        const [row] = await store.models.rows('t', { after, limit: 1 })
        if (row === undefined) break
        seen.push(row.value)
        after = row.key
      }
      expect(seen).toEqual([
        { a: 1, b: 'x' },
        { a: 1, b: 'x' },
        { a: 2, b: null },
      ])
    })

    it('finds them in its schema, whatever path the connection searches', async () => {
      await store.transaction(async (tx) => {
        const sql = tx.sql as pg.ClientBase
        await sql.query(`SELECT set_config('search_path', '', true)`)
        await tx.models.create({ name: 'own', shape: shape('CREATE TABLE {table} (a int)') })
        const { rows } = await sql.query(`SELECT current_setting('search_path') AS path`)
        expect(rows).toEqual([{ path: '' }])
      })
      expect(await store.models.rows('own', { limit: 1 })).toEqual([])
      const other = store.transaction((tx) =>
        tx.models.create({ name: 'wanted', shape: shape('CREATE TABLE other (a int)') }),
      )
      await expect(other).rejects.toMatchObject({ code: 'ARGUMENT_INVALID', argument: 'create' })
    })
  })

  it('recodes in parts of bytes, and the next goes on there', async () => {
    const data = { text: 'Grüße '.repeat(200_000) }
    for (let n = 0; n < 8; n++) await store.append(one('a-1', { events: [event('T', { data })] }))
    const ends: number[] = []
    for (let after = 0; after < 8; ) {
      const codec = { compress: { with: 'gzip', above: 0 } } as const
      const asked = { codec, after, upTo: 8, countMax: 100 }
      const step = await store.transaction((tx) => tx.recode(asked))
      expect(step.changed).toBe(step.position - after)
      after = step.position
      ends.push(after)
    }
    expect(ends.length).toBeGreaterThan(1)
    for await (const fault of store.faults()) expect(fault).toBeUndefined()
  })

  it('tells who watches again at once after nobody did', async () => {
    let calls = 0
    const stop = store.watch(() => calls++)
    stop()
    const stopAgain = store.watch(() => calls++)
    const other = await open({ url })
    await pause(300)
    calls = 0
    await other.append(one('a-1'))
    for (let n = 0; n < 400 && calls === 0; n++) await pause(5)
    expect(calls).toBeGreaterThan(0)
    stopAgain()
    await other.close()
  })
})
