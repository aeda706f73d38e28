import { fork } from 'node:child_process'
import { connect, createServer, type Socket } from 'node:net'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EventStore } from '../../src/ports/index.ts'
import { FaultyProxy } from '../servers/faulty-proxy.ts'
import { pgbouncerSkipReason, startPgbouncer } from '../servers/pgbouncer.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import { event, foreign, one, open, pause, readAll, streamFaults } from './setup.ts'

let server: PostgresServer

/** Appends from many callers while `harm` goes on; what was acknowledged must be there, once. */
async function hammer(
  store: EventStore,
  harm: () => Promise<void>,
): Promise<{ acknowledged: string[]; failed: string[]; slowestMs: number }> {
  const acknowledged: string[] = []
  const failed: string[] = []
  let slowestMs = 0
  let harming = true
  const callers = Array.from({ length: 16 }, async (_, caller) => {
    while (harming) {
      const request = one(`c-${caller % 6}`, { events: [event('Happened'), event('Happened')] })
      const startedAt = performance.now()
      try {
        await store.append(request, { timeoutMs: 10_000 })
        acknowledged.push(...(request.entries[0]?.events.map((e) => e.id) ?? []))
      } catch (error) {
        failed.push(String((error as { code?: unknown }).code))
      }
      slowestMs = Math.max(slowestMs, performance.now() - startedAt)
    }
  })
  await harm()
  harming = false
  await Promise.all(callers)
  return { acknowledged, failed, slowestMs }
}

async function expectExact(store: EventStore, acknowledged: readonly string[]): Promise<void> {
  const events = await readAll(store)
  const found = events.map((e) => e.id)
  expect(new Set(found).size).toBe(found.length)
  const there = new Set(found)
  expect(acknowledged.filter((id) => !there.has(id))).toEqual([])
  expect(streamFaults(events)).toEqual([])
  for await (const fault of store.faults()) throw new Error(fault.reason)
}

/** Passes bytes on until told to go silent, or to cut everything. */
async function startProxy(port: number) {
  const sockets = new Set<Socket>()
  let silent = false
  const proxy = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('data', (data) => void (silent || to.write(data)))
      from.on('error', () => {})
      from.on('close', () => {
        sockets.delete(from)
        if (!silent) to.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const address = proxy.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    silence: (on: boolean) => {
      silent = on
    },
    cut: () => {
      for (const socket of sockets) socket.destroy()
    },
    stop: () => {
      for (const socket of sockets) socket.destroy()
      proxy.close()
    },
  }
}

describe.skipIf(postgresSkipReason() !== undefined)('faults of PostgreSQL', () => {
  beforeAll(async () => {
    server = await startPostgres()
  }, 60_000)
  afterAll(() => server?.stop())

  it('connections terminated mid-append: nothing lost, nothing doubled', async () => {
    const store = await open({ url: server.url, schema: 'terminated' })
    const client = await foreign(server.url)
    const result = await hammer(store, async () => {
      for (let i = 0; i < 40; i++) {
        await pause(25)
        await client.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'eventuali'`,
        )
      }
    })
    expect(result.failed).toEqual([])
    expect(result.acknowledged.length).toBeGreaterThan(0)
    await expectExact(store, result.acknowledged)
    await client.end()
    await store.close()
  }, 60_000)

  it.skipIf(pgbouncerSkipReason() !== undefined)(
    'the same behind a pooler, where no backend can be ended by its pid',
    async () => {
      const pooler = await startPgbouncer(server.url)
      const store = await open({ url: pooler.url, schema: 'pooled' })
      const client = await foreign(server.url)
      const result = await hammer(store, async () => {
        for (let i = 0; i < 40; i++) {
          await pause(25)
          await client.query(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = 'eventuali' AND pid <> pg_backend_pid()`,
          )
        }
      })
      expect(result.failed).toEqual([])
      expect(result.acknowledged.length).toBeGreaterThan(0)
      await expectExact(store, result.acknowledged)
      await client.end()
      await store.close()
      await pooler.stop()
    },
    60_000,
  )

  it('a conflict in a group whose reply was lost is told as a conflict', async () => {
    const proxy = await FaultyProxy.open(server.port)
    const store = await open({ url: proxy.through(server.url), schema: 'conflicts' })
    await store.append(one('a-1'))
    const marked = event('Happened', { data: { mark: 'the last of the group' } })
    const right = Array.from({ length: 8 }, () => one('a-1'))
    const stale = Array.from({ length: 8 }, () => one('a-1', { expectedVersion: 0 }))
    proxy.cutReplyTo('the last of the group')
    const all = [...right, ...stale, one('a-1', { events: [marked] })]
    const outcomes = await Promise.all(all.map((request) => store.append(request)))
    expect(proxy.cutCount).toBe(1)
    expect(outcomes.filter(({ ok }) => ok).length).toBe(9)
    for (const outcome of outcomes.slice(8, 16)) {
      expect(outcome).toMatchObject({ ok: false, reason: 'version-conflict', stream: 'a-1' })
    }
    expect((await store.stream('a-1'))?.version).toBe(10)
    await store.close()
    await proxy.close()
  }, 30_000)

  it('the server restarted and killed mid-append: nothing lost, nothing doubled', async () => {
    const store = await open({ url: server.url, schema: 'restarted' })
    store.watch(() => {})
    const result = await hammer(store, async () => {
      for (let i = 0; i < 3; i++) {
        await pause(300)
        await server.restart('immediate')
        await pause(300)
        await server.kill()
        await server.restart()
      }
      await pause(300)
    })
    expect(result.failed).toEqual([])
    expect(result.slowestMs).toBeLessThan(11_000)
    await expectExact(store, result.acknowledged)
    await store.close()
  }, 120_000)

  it('a network that cuts and goes silent: calls end, nothing is doubled', async () => {
    const proxy = await startProxy(server.port)
    const url = `postgres://postgres@127.0.0.1:${proxy.port}/postgres`
    const limits = { statementTimeoutMs: 500, connectTimeoutMs: 1000 }
    const store = await open({ url, schema: 'network', limits })
    const result = await hammer(store, async () => {
      for (let i = 0; i < 10; i++) {
        await pause(60)
        proxy.cut()
      }
      proxy.silence(true)
      await pause(1500)
      proxy.cut()
      proxy.silence(false)
      await pause(500)
    })
    expect(result.slowestMs).toBeLessThan(11_000)
    expect(result.failed).toEqual([])
    await expectExact(store, result.acknowledged)
    // Silent for good: the call ends by its deadline all the same.
    proxy.silence(true)
    const startedAt = performance.now()
    const failure = await store.append(one('c-1'), { timeoutMs: 1000 }).catch((error) => error)
    expect(failure.code).toMatch(/OUTCOME_UNKNOWN|CONNECTION_FAILED|TIMEOUT/)
    expect(performance.now() - startedAt).toBeLessThan(2000)
    proxy.silence(false)
    proxy.cut()
    await store.append(one('c-1'))
    await store.close()
    proxy.stop()
  }, 60_000)

  it('a failed statement of the callback rolls everything back, caught or not', async () => {
    const store = await open({ url: server.url, schema: 'failed_statement' })
    const failing = store.transaction(async (tx) => {
      await tx.append(one('a-1'))
      await (tx.sql as pg.ClientBase).query('SELECT 1 / 0').catch(() => {})
      return 'as if nothing had happened'
    })
    await expect(failing).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    expect(await store.stream('a-1')).toBeUndefined()
    const late = store.transaction(
      async (tx) => {
        await tx.append(one('a-1'))
        await pause(2000)
      },
      { timeoutMs: 200 },
    )
    await expect(late).rejects.toMatchObject({ code: 'TRANSACTION_TIMEOUT' })
    // The stream is free again at once.
    expect((await store.append(one('a-1'), { timeoutMs: 1500 })).ok).toBe(true)
    expect((await store.stream('a-1'))?.version).toBe(1)
    await store.close()
  }, 30_000)

  it('four processes open a fresh schema at once', async () => {
    const child = new URL('./open-child.ts', import.meta.url)
    const runs = Array.from({ length: 4 }, () => {
      return new Promise<string>((resolve, reject) => {
        const env = { ...process.env, STORE_URL: server.url }
        const run = fork(child, { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
        run.once('message', (incarnation) => resolve(String(incarnation)))
        run.once('exit', (code) => reject(new Error(`ended with ${code}`)))
      })
    })
    const incarnations = new Set(await Promise.all(runs))
    expect(incarnations.size).toBe(1)
    const store = await open({ url: server.url, schema: 'migrated' })
    expect((await store.positions()).newest).toBe(4)
    await store.close()
  }, 60_000)

  it('a schema of a newer library is refused', async () => {
    const store = await open({ url: server.url, schema: 'newer' })
    await store.close()
    const client = await foreign(server.url)
    await client.query(`UPDATE newer.meta SET value = '99' WHERE key = 'schema_version'`)
    await client.end()
    const opening = open({ url: server.url, schema: 'newer' })
    await expect(opening).rejects.toMatchObject({ code: 'SCHEMA_TOO_NEW' })
  })

  it('durable is set where the server says otherwise, relaxed only by name', async () => {
    const client = await foreign(server.url)
    await client.query(`CREATE DATABASE careless`)
    await client.query(`ALTER DATABASE careless SET synchronous_commit = off`)
    await client.end()
    const url = server.url.replace(/postgres$/, 'careless')
    const durable = await open({ url })
    expect((await durable.settings()).synchronous_commit).toBe('on')
    await durable.append(one('a-1'))
    await durable.close()
    const relaxed = await open({ url, profile: 'relaxed' })
    expect((await relaxed.settings()).synchronous_commit).toBe('off')
    await relaxed.close()
  })

  it('a server that is not there is said at once', async () => {
    const startedAt = performance.now()
    const opening = open({ url: 'postgres://nobody@127.0.0.1:1/none' })
    await expect(opening).rejects.toMatchObject({ code: 'CONNECTION_FAILED' })
    expect(performance.now() - startedAt).toBeLessThan(5000)
  })
})
