import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EventStore } from '../../src/ports/index.ts'
import { LockKeys } from '../../src/stores/postgres/lock-keys.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import { event, foreign, one, open, pause, percentile } from './setup.ts'

let server: PostgresServer
let url: string
let store: EventStore

/** What a foreign transaction holds while others append. */
const holds: readonly {
  name: string
  /** Appends of each of the others, about a tenth of a second apart. */
  rounds?: number
  begin: (client: Awaited<ReturnType<typeof foreign>>) => Promise<unknown>
  blocked: () => ReturnType<EventStore['append']>
}[] = [
  {
    name: 'the row of a stream, for ten seconds',
    rounds: 95,
    begin: (client) =>
      client.query(`SELECT * FROM eventuali.streams WHERE name = 'hot-1' FOR UPDATE`),
    blocked: () => store.append(one('hot-1'), { timeoutMs: 1500 }),
  },
  {
    name: 'a new stream, made by the library',
    begin: (client) => store.join(client).append(one('fresh-1')),
    blocked: () => store.append(one('fresh-1'), { timeoutMs: 1500 }),
  },
  {
    name: 'a new stream, made by plain SQL',
    begin: (client) =>
      client.query(
        `INSERT INTO eventuali.streams (name, category, version, first_version) VALUES ('raw-1', 'raw', 0, 1)`,
      ),
    blocked: () => store.append(one('raw-1'), { timeoutMs: 1500 }),
  },
  {
    name: 'a tag, shared, against a condition',
    begin: (client) =>
      client.query('SELECT pg_advisory_xact_lock_shared($1)', [
        new LockKeys('eventuali').ofTag('Seated', 'course:1'),
      ]),
    blocked: () => {
      const query = [{ types: ['Seated'], tags: ['course:1'] }]
      return store.append(
        { ...one('seat-1'), condition: { query, position: 0 } },
        { timeoutMs: 1500 },
      )
    },
  },
  {
    name: 'a tag, exclusive, against a plain append',
    begin: (client) =>
      client.query('SELECT pg_advisory_xact_lock($1)', [
        new LockKeys('eventuali').ofTag('Seated', 'course:2'),
      ]),
    blocked: () => {
      const events = [event('Seated', { tags: ['course:2'] })]
      return store.append(one('seat-2', { events }), { timeoutMs: 1500 })
    },
  },
]

describe.skipIf(postgresSkipReason() !== undefined)('a foreign transaction holds', () => {
  beforeAll(async () => {
    server = await startPostgres()
    url = server.url
    store = await open({ url })
    await store.append(one('hot-1'))
  }, 60_000)
  afterAll(async () => {
    await store?.close()
    await server?.stop()
  })

  for (const { name, rounds = 10, begin, blocked } of holds) {
    it(`${name}: others go on, the blocked one ends in time, and succeeds after`, async () => {
      const client = await foreign(url)
      await client.query('BEGIN')
      await begin(client)
      const before = performance.now()
      const refusal = blocked().then(
        () => ({ code: 'stored', afterMs: 0 }),
        ({ code }: { code?: string }) => ({ code, afterMs: performance.now() - before }),
      )
      const waits: number[] = []
      const others = Array.from({ length: 100 }, async (_, caller) => {
        for (let round = 0; round < rounds; round++) {
          const startedAt = performance.now()
          await store.append(one(`other-${caller}`))
          waits.push(performance.now() - startedAt)
          await pause(100)
        }
      })
      await Promise.all(others)
      expect(percentile(waits, 0.99)).toBeLessThan(250)
      const { code, afterMs } = await refusal
      expect(code).toBe('TIMEOUT')
      expect(afterMs).toBeLessThan(4000)
      const waiting = blocked()
      await pause(200)
      await client.query('ROLLBACK')
      await client.end()
      expect((await waiting).ok).toBe(true)
    }, 60_000)
  }

  it('many streams at once: the lanes are shared out', async () => {
    const client = await foreign(url)
    for (let i = 0; i < 20; i++) await store.append(one(`held-${i}`))
    await client.query('BEGIN')
    await client.query(`SELECT * FROM eventuali.streams WHERE category = 'held' FOR UPDATE`)
    const waiting = Array.from({ length: 20 }, (_, i) => store.append(one(`held-${i}`)))
    await pause(300)
    const startedAt = performance.now()
    expect((await store.append(one('free-1'))).ok).toBe(true)
    expect(performance.now() - startedAt).toBeLessThan(1000)
    await client.query('ROLLBACK')
    await client.end()
    const outcomes = await Promise.all(waiting)
    expect(outcomes.every((outcome) => outcome.ok)).toBe(true)
  }, 60_000)

  it('the bad text of one caller of a group fails that caller only', async () => {
    // A time that no bigint holds: refused by the server, not by any check before it.
    const bad = one('bad-1', { events: [event('Happened', { time: 1e300 })] })
    const calls = Array.from({ length: 50 }, (_, i) =>
      store.append(i === 23 ? bad : one(`good-${i}`)).then(
        (outcome) => outcome.ok,
        (error: { code?: string }) => error.code,
      ),
    )
    const results = await Promise.all(calls)
    expect(results.filter((result) => result === true)).toHaveLength(49)
    expect(results[23]).toBe('STORAGE_FAILED')
  })
})
