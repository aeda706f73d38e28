import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { EventStore } from '../../src/ports/index.ts'
import { FaultyProxy } from '../servers/faulty-proxy.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import { event, foreign, one, open, pause } from './setup.ts'

// Transactions that end otherwise than their callback, or the one beside them, believes.
describe.skipIf(postgresSkipReason() !== undefined)('a transaction on PostgreSQL', () => {
  let server: PostgresServer
  let url: string
  let store: EventStore
  beforeAll(async () => {
    server = await startPostgres()
  }, 60_000)
  afterAll(() => server?.stop())
  beforeEach(async () => {
    url = await server.database()
    store = await open({ url })
    return () => store.close()
  })

  it('whose callback commits by itself is told so, not believed', async () => {
    const own = store.transaction(async (tx) => {
      await tx.append(one('a-1'))
      await (tx.sql as pg.ClientBase).query('COMMIT')
    })
    await expect(own).rejects.toMatchObject({
      ...{ code: 'STORAGE_FAILED', cause: { message: /leave COMMIT to the store/ } },
    })
    // The connection is good for others.
    await store.transaction((tx) => tx.append(one('a-2')))
  })

  it('gives the error of a statement of its own, as the library tells it', async () => {
    const failing = store.transaction(async (tx) => {
      await tx.append(one('a-1'))
      await (tx.sql as pg.ClientBase).query('SELECT 1 / 0')
    })
    const told = { code: 'STORAGE_FAILED', cause: { message: 'division by zero' } }
    await expect(failing).rejects.toMatchObject(told)
    expect(await store.stream('a-1')).toBeUndefined()
  })

  describe('whose answer to COMMIT is lost', () => {
    let proxy: FaultyProxy
    let far: EventStore
    beforeEach(async () => {
      proxy = await FaultyProxy.open(server.port)
      far = await open({ url: proxy.through(url) })
      return async () => {
        await far.close()
        await proxy.close()
      }
    })

    it('was committed when its events are there', async () => {
      let calls = 0
      const result = await far.transaction(async (tx) => {
        calls++
        await tx.append(one('a-1'))
        await tx.append(one('a-2', { events: [event('T'), event('T')] }))
        proxy.cutReplyTo('COMMIT')
        return 'done'
      })
      expect([result, calls, proxy.cutCount]).toEqual(['done', 1, 1])
      expect((await store.stream('a-2'))?.version).toBe(2)
    })

    it('was not when they are not', async () => {
      const cut = far.transaction(async (tx) => {
        await tx.append(one('a-1'))
        proxy.reset()
      })
      await expect(cut).rejects.toMatchObject({ code: 'CONNECTION_FAILED' })
      expect(await store.stream('a-1')).toBeUndefined()
    })

    it('is of an unknown outcome when nothing was appended that would tell', async () => {
      const written = far.transaction(async (tx) => {
        await tx.records.write([{ kind: 'k', key: 'a', expected: 0, value: 1 }])
        proxy.cutReplyTo('COMMIT')
      })
      await expect(written).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    })
  })

  it("of a caller's own takes no append of a store that was closed", async () => {
    const client = await foreign(url)
    await client.query('BEGIN')
    const other = await open({ url })
    const tx = other.join(client)
    await tx.append(one('a-1'))
    await other.close()
    await expect(tx.append(one('a-1'))).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    await client.query('COMMIT')
    await client.end()
    expect((await store.stream('a-1'))?.version).toBe(1)
  })

  it("of a caller's own is noticed by those who watch, soon after its end", async () => {
    const client = await foreign(url)
    let calls = 0
    const stop = store.watch(() => calls++)
    // By then the polls have become rare.
    await pause(1500)
    calls = 0
    await client.query('BEGIN')
    await store.join(client).append(one('a-1'))
    await client.query('COMMIT')
    const startedAt = performance.now()
    while (calls === 0 && performance.now() - startedAt < 5000) await pause(5)
    expect(performance.now() - startedAt).toBeLessThan(400)
    stop()
    await client.end()
  })

  it('writes a record twice, and waits for one of others no longer than it may', async () => {
    const change = (key: string, expected: number, value: number) => ({
      ...{ kind: 'k', key, expected, value },
    })
    await store.transaction(async (tx) => {
      const revisions = await tx.records.write([
        ...[change('b', 0, 1), change('a', 0, 1), change('b', 1, 2)],
      ])
      expect(revisions).toEqual([1, 1, 2])
    })
    expect(await store.records.get('k', ['b'])).toMatchObject([{ revision: 2, value: 2 }])
    await store.transaction(async (tx) => {
      await tx.records.write([change('a', 1, 5)])
      const blocked = store.transaction((other) =>
        other.records.write([change('a', 1, 6)], { timeoutMs: 100 }),
      )
      await expect(blocked).rejects.toMatchObject({ code: 'TIMEOUT' })
    })
    const late = store.transaction((tx) => tx.records.write([change('a', 1, 6)]))
    await expect(late).rejects.toMatchObject({ code: 'RECORD_CONFLICT' })
  })

  it('that locks more keys than the server has room for locks all of them', async () => {
    const keys = Array.from({ length: 300 }, (_, n) => `k${n}`)
    const lock = (locked: readonly string[]) =>
      store.transaction((tx) => tx.models.lock('t', locked, { timeoutMs: 150 }))
    await store.transaction(async (tx) => {
      await tx.models.lock('t', [])
      await lock(['k7'])
      await tx.models.lock('t', keys.slice(0, 200))
      await lock(['k250'])
      await expect(lock(['k7'])).rejects.toMatchObject({ code: 'TIMEOUT' })
    })
    await store.transaction(async (tx) => {
      await tx.models.lock('t', keys)
      await expect(lock(['of nobody'])).rejects.toMatchObject({ code: 'TIMEOUT' })
    })
    await lock(keys)
  })
})
