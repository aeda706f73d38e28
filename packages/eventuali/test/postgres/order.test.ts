import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { EventStore } from '../../src/ports/index.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import { event, foreign, one, open, pause, readAll, streamFaults } from './setup.ts'

let server: PostgresServer
let url: string
let store: EventStore
let schemaCount = 0
let schema: string

/** Waits until the safe position is at least this far; how long that took. */
async function safeAt(position: number, timeoutMs = 5000): Promise<number> {
  const startedAt = performance.now()
  for (;;) {
    const { safe } = await store.positions()
    const passedMs = performance.now() - startedAt
    if (safe >= position) return passedMs
    if (passedMs > timeoutMs) throw new Error(`safe stays at ${safe}, wanted ${position}`)
    await pause(5)
  }
}

async function append(stream: string): Promise<number> {
  const outcome = await store.append(one(stream))
  if (!outcome.ok) throw new Error(outcome.reason)
  return outcome.entries[0]?.positions[0] as number
}

describe.skipIf(postgresSkipReason() !== undefined)('the order of the log on PostgreSQL', () => {
  beforeAll(async () => {
    server = await startPostgres()
    url = server.url
  }, 60_000)
  afterAll(() => server?.stop())
  beforeEach(async () => {
    schema = `order_${++schemaCount}`
    store = await open({ url, schema })
    return () => store.close()
  })

  it('an unrelated open transaction that has written elsewhere stalls nobody', async () => {
    const client = await foreign(url)
    await client.query('CREATE TABLE IF NOT EXISTS elsewhere (n int)')
    await client.query('BEGIN')
    await client.query('INSERT INTO elsewhere VALUES (1)')
    const last = await append('a-1')
    expect(await safeAt(last)).toBeLessThan(250)
    await client.query('ROLLBACK')
    await client.end()
  })

  it('stops before an open position, names its holder, and goes on after', async () => {
    const first = await append('a-1')
    const client = await foreign(url)
    await client.query('BEGIN')
    await store.join(client).append(one('b-1'))
    const last = await append('a-1')
    const held = await store.positions()
    expect(held.safe).toBe(first)
    expect(held.newest).toBe(last)
    expect(held.blocker?.position).toBe(first + 1)
    expect(held.blocker?.holders.join()).toMatch(
      /backend \d+ \(somebody else, idle in transaction\)/,
    )
    await client.query('COMMIT')
    await client.end()
    expect(await safeAt(last)).toBeLessThan(1000)
    expect((await store.positions()).blocker).toBeUndefined()
  })

  it('a rolled-back append stalls nobody, not even beside a longer one', async () => {
    await append('a-1')
    const failed = store.transaction(async (tx) => {
      await tx.append(one('b-1'))
      throw new Error('no')
    })
    await expect(failed).rejects.toThrow('no')
    const last = await append('a-1')
    expect(await safeAt(last)).toBeLessThan(250)
    // Another transaction, begun after, keeps its own positions back only.
    const client = await foreign(url)
    await client.query('BEGIN')
    await store.join(client).append(one('c-1'))
    const before = (await store.positions()).safe
    await append('a-1')
    expect((await store.positions()).safe).toBe(before)
    await client.query('ROLLBACK')
    await client.end()
    expect(await safeAt(last + 2)).toBeLessThan(250)
  })

  it('a prepared transaction holds its position until it is finished', async () => {
    const first = await append('a-1')
    const client = await foreign(url)
    await client.query('BEGIN')
    await store.join(client).append(one('b-1'))
    const last = await append('a-1')
    expect((await store.positions()).safe).toBe(first)
    await client.query(`PREPARE TRANSACTION 'two_phase_${schema}'`)
    for (let i = 0; i < 3; i++) {
      const held = await store.positions()
      expect(held.safe).toBe(first)
      expect(held.blocker?.holders.join()).toContain(`two_phase_${schema}`)
    }
    await client.query(`COMMIT PREPARED 'two_phase_${schema}'`)
    await client.end()
    await safeAt(last)
    expect((await readAll(store)).map((e) => e.position)).toContain(first + 1)
  })

  it('never backwards, even when the append runs in a transaction that wrote before', async () => {
    const client = await foreign(url)
    await client.query('CREATE TABLE IF NOT EXISTS elsewhere (n int)')
    await client.query('BEGIN')
    await client.query('INSERT INTO elsewhere VALUES (1)')
    await append('order-1')
    await store.join(client).append(one('order-1'))
    await client.query('COMMIT')
    await client.end()
    const events = await readAll(store)
    expect(events.map((e) => e.version)).toEqual([1, 2])
  })

  it('a new process does not prove old gaps again, and starts right', async () => {
    for (let i = 0; i < 3; i++) {
      await append('a-1')
      await store
        .transaction(async (tx) => {
          await tx.append(one('b-1'))
          throw new Error('no')
        })
        .catch(() => {})
    }
    const last = await append('a-1')
    await safeAt(last)
    const other = await open({ url, schema })
    expect((await other.positions()).safe).toBe(last)
    await other.close()
  })

  it('raced: tailing readers skip nothing and see one order', async () => {
    const other = await open({ url, schema })
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      const own = writer % 2 === 0 ? store : other
      for (let round = 0; round < 25; round++) {
        const stream = `s-${(writer + round) % 5}`
        if (round % 3 !== 0) {
          await own.append(one(stream))
          continue
        }
        await own
          .transaction(async (tx) => {
            await tx.append(one(stream))
            await pause(round % 4 === 0 ? 30 : 1)
            if (round % 9 === 0) throw new Error('no')
          })
          .catch(() => {})
      }
    })
    let writing = true
    const tail = async (
      reader: EventStore,
    ): Promise<{ stream: string; version: number; id: string }[]> => {
      const seen = []
      let after = 0
      for (;;) {
        const done = !writing
        const { safe } = await reader.positions()
        const query = { direction: 'forward', after, upTo: safe } as const
        for await (const page of reader.readLog(query)) seen.push(...page)
        after = safe
        if (done && (await reader.positions()).safe === after) return seen
      }
    }
    const readers = [tail(store), tail(other)]
    await Promise.all(writers)
    await safeAt((await store.positions()).newest)
    writing = false
    const [mine = [], theirs = []] = await Promise.all(readers)
    const all = await readAll(store)
    expect(mine.map((e) => e.id)).toEqual(all.map((e) => e.id))
    expect(theirs.map((e) => e.id)).toEqual(all.map((e) => e.id))
    expect(streamFaults(all)).toEqual([])
    await other.close()
  }, 60_000)

  it('16 racers for a condition, one of them plain, a lower position open', async () => {
    const other = await open({ url, schema })
    for (let round = 0; round < 30; round++) {
      const tag = `seat:${round}`
      const client = await foreign(url)
      await client.query('BEGIN')
      await store.join(client).append(one(`unrelated-${round}`))
      await append(`later-${round}`)
      const { safe } = await store.positions()
      const condition = { query: [{ types: ['Seated'], tags: [tag] }], position: safe }
      const seated = (i: number) =>
        one(`racer-${round}-${i}`, { events: [event('Seated', { tags: [tag] })] })
      const racers = Array.from({ length: 16 }, (_, i) => {
        const request = i === 7 ? seated(i) : { ...seated(i), condition }
        return (i % 2 === 0 ? store : other).append(request)
      })
      const outcomes = await Promise.all(racers)
      await client.query(round % 2 === 0 ? 'COMMIT' : 'ROLLBACK')
      await client.end()
      const winners = outcomes.filter((outcome, i) => i !== 7 && outcome.ok)
      expect(outcomes[7]?.ok).toBe(true)
      expect(winners.length).toBeLessThanOrEqual(1)
      // A winner must have come before the plain one.
      const events = (await readAll(store)).filter((e) => e.stream.startsWith(`racer-${round}-`))
      expect(events.length).toBe(winners.length + 1)
      expect(events.at(-1)?.stream).toBe(`racer-${round}-7`)
    }
    await other.close()
  }, 60_000)
})
