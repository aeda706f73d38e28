import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { openStore, type Store } from '../../src/index.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'

const tagged = (n: number) => ({ type: 'Noted', data: { n }, tags: [`n:${n}`] })

describe.skipIf(postgresSkipReason() !== undefined)('the short way of one event', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres({ settings: { track_functions: 'pl' } })
  }, 60_000)
  afterAll(() => server?.stop())

  async function setUp() {
    const url = await server.database()
    const store = await openStore(url)
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    onTestFinished(async () => {
      await client.end()
      await store.close()
    })
    return { url, store, client }
  }

  async function whole(store: Store): Promise<void> {
    expect((await store.verify()).problems).toEqual([])
  }

  it('is taken where the stream is there, and stores what the long way does', async () => {
    const { url, store, client } = await setUp()
    const time = new Date(1_700_000_000_000)
    const metadata = { actor: 'ada', tenant: 'acme' }
    const event = {
      type: 'Noted',
      data: { text: 'Grüße \u0000 "\\' },
      metadata,
      time,
      tags: ['a:b'],
    }
    const writer = await openStore(url)
    for (let n = 0; n < 5; n++) await writer.append('s-1', event, { expectedVersion: n })
    // Most of a hundred new ones do not pay for a guess; ones that are there do.
    for (let n = 0; n < 100; n++) await writer.append(`new-${n}`, { type: 'Other', data: {} })
    for (let n = 0; n < 100; n++) await writer.append(`new-${n}`, { type: 'Other', data: {} })
    // A backend tells what it has counted when it ends.
    await writer.close()
    const calls = async () => {
      const counted = `SELECT calls FROM pg_stat_user_functions WHERE funcname = 'append_one_v1'`
      return Number((await client.query(counted)).rows[0]?.calls ?? 0)
    }
    await expect.poll(calls, { timeout: 20_000 }).toBeGreaterThanOrEqual(104)
    expect(await calls()).toBeLessThan(114)
    const events = await store.readStream('s-1').toArray()
    expect(events.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5])
    const plain = ({ data, metadata: of, time: at, tags, type, schemaVersion }: typeof first) =>
      JSON.stringify([data, of, at, tags, type, schemaVersion])
    const [first] = events as [(typeof events)[number]]
    for (const other of events) expect(plain(other)).toBe(plain(first))
    const found = await store.readAll({ tags: ['a:b'] }).toArray()
    expect(found).toEqual(events)
    await whole(store)
  })

  it('gives the refusals of the long way', async () => {
    const { store } = await setUp()
    await store.append('s-1', tagged(1))
    await store.append('s-1', tagged(2))
    const stale = store.append('s-1', tagged(3), { expectedVersion: 1 })
    await expect(stale).rejects.toMatchObject({ code: 'VERSION_CONFLICT', actualVersion: 2 })
    await store.append('s-1', tagged(3), { expectedVersion: 'exists' })
    await store.truncate('s-1', { before: 3 })
    expect((await store.append('s-1', tagged(4))).version).toBe(5)
    await store.archive('s-1')
    await expect(store.append('s-1', tagged(5))).rejects.toMatchObject({ code: 'STREAM_ARCHIVED' })
    await store.archive('s-1', { undo: true })
    await store.append('s-1', tagged(5))
    await store.deleteStream('s-1')
    await expect(store.append('s-1', tagged(6))).rejects.toMatchObject({ code: 'STREAM_DELETED' })
    await whole(store)
  })

  it('waits for whoever holds the stream, without holding others up', async () => {
    const { store, client } = await setUp()
    await store.append('s-1', tagged(1))
    await store.append('s-2', tagged(1))
    await client.query('BEGIN')
    await client.query(`SELECT 1 FROM eventuali.streams WHERE name = 's-1' FOR UPDATE`)
    const waiting = store.append('s-1', tagged(2))
    for (let n = 2; n < 5; n++) expect((await store.append('s-2', tagged(n))).version).toBe(n)
    await client.query('COMMIT')
    expect((await waiting).version).toBe(2)
    await whole(store)
  })

  it('keeps conditions: a plain event is seen by those that must not be beside it', async () => {
    const { url, store } = await setUp()
    const other = await openStore(url)
    const rounds = 150
    for (let n = 0; n < rounds; n++) {
      await store.append(`plain-${n}`, { type: 'Other', data: {} })
    }
    for (let n = 0; n < rounds; n++) {
      const { safe } = await store.positions()
      const condition = { query: { types: ['Noted'], tags: [`n:${n}`] }, position: safe }
      const [plain, ...conditional] = await Promise.allSettled([
        store.append(`plain-${n}`, tagged(n)),
        ...[0, 1, 2].map((m) =>
          other.appendAll([{ stream: `seat-${n}-${m}`, events: tagged(n) }], { condition }),
        ),
      ])
      expect(plain.status).toBe('fulfilled')
      const winners = conditional.filter(({ status }) => status === 'fulfilled').length
      expect(winners).toBeLessThanOrEqual(1)
      const stored = await store
        .readAll({ types: ['Noted'], tags: [`n:${n}`], upTo: 'newest' })
        .toArray()
      expect(stored.length).toBe(winners + 1)
      expect(stored.at(-1)?.stream).toBe(`plain-${n}`)
    }
    await other.close()
    await whole(store)
  })
})
