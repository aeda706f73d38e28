import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { type BoundedWriters, startBoundedWriters } from '../harness/bounded-writers.ts'
import { type Campaign, campaign, percentile } from '../harness/campaign.ts'
import { auditLog } from '../harness/ledger.ts'
import { FaultyProxy, type NetworkFault } from '../servers/faulty-proxy.ts'
import { pgbouncerSkipReason, startPgbouncer } from '../servers/pgbouncer.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'

const skip = postgresSkipReason()
const faults: readonly NetworkFault[] = ['cut reply', 'cut reply', 'reset', 'reset', 'delay']

async function problems(url: string, writers: BoundedWriters): Promise<string[]> {
  await using store = await openStore(url)
  const report = await store.verify()
  const log = await store.readAll({ upTo: 'newest' }).toArray()
  return [...report.problems.map(({ reason }) => reason), ...auditLog(log, writers.ledger)]
}

function summary({ ledger, errors, overdueMs }: BoundedWriters): string {
  const counts = [...errors].map(([code, count]) => `${count} ${code}`).join(', ')
  const latest = Math.max(...overdueMs)
  return `${ledger.length} acknowledged, ${counts || 'no errors'}, latest end ${latest.toFixed()} ms after its deadline`
}

/** SIGKILL to one backend: the server ends all others, and recovers. */
async function killBackend(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  const { rows } = await client.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE datname = current_database()
     AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1`,
  )
  const [victim] = rows
  if (victim !== undefined) {
    // The server ends this session too once it has noticed, and only then is it recovering: asked
    // before that, it would seem to be ready.
    const ended = new Promise<void>((resolve) => client.once('end', resolve))
    process.kill(victim.pid, 'SIGKILL')
    await Promise.race([ended, sleep(5000)])
  }
  await client.end().catch(() => {})
}

async function terminateSessions(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()`,
  )
  await client.end()
}

async function untilReady(url: string): Promise<void> {
  for (;;) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1000 })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.query('SELECT 1')
      return
    } catch {
      await sleep(20)
    } finally {
      await client.end().catch(() => {})
    }
  }
}

describe.skipIf(skip !== undefined)('a PostgreSQL that fails in mid-append', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server?.stop())

  const disturb = async (url: string, kind: number): Promise<void> => {
    if (kind === 0) await server.restart('immediate')
    else if (kind === 1) {
      await server.kill()
      await sleep(100)
      await server.restart()
    } else if (kind === 2) await killBackend(url)
    else await terminateSessions(url)
    await untilReady(url)
  }

  test('crashes and restarts lose and double nothing', async () => {
    await campaign('R10 crashes', async (run) => {
      const url = await server.database()
      const store = await openStore(url)
      const { random } = run
      const options = { writerCount: 8, batchCountMax: 20, timeoutMs: 5000, random }
      const writers = startBoundedWriters(store, options)
      const recoveriesMs: number[] = []
      for (let round = 0; round < run.scaled(20); round++) {
        await sleep(run.between(20, 300))
        await disturb(url, round % 4)
        const startedAt = performance.now()
        await writers.allSucceed()
        recoveriesMs.push(performance.now() - startedAt)
      }
      await writers.stop()
      await store.close()
      const longest = Math.max(...recoveriesMs)
      run.note(
        `${recoveriesMs.length} rounds, ${summary(writers)}, recovered in ${longest.toFixed()} ms`,
      )
      expect(await problems(url, writers)).toEqual([])
      expect(longest).toBeLessThan(5000)
      expect(Math.max(...writers.overdueMs)).toBeLessThan(1000)
      expect([...writers.errors.keys()].filter((code) => code.startsWith('not ours'))).toEqual([])
    })
  })

  test('the harness finds commits that a crash takes back', async () => {
    await campaign('R10 planted: acknowledges before the log is on the disk', async (run) => {
      const url = await server.database()
      const store = await openStore(url, { profile: 'relaxed' })
      const { random } = run
      const options = { writerCount: 8, batchCountMax: 5, timeoutMs: 5000, random }
      const writers = startBoundedWriters(store, options)
      for (let round = 0; round < 5; round++) {
        await sleep(run.between(300, 600))
        await disturb(url, 0)
        await writers.allSucceed()
      }
      await writers.stop()
      await store.close()
      const wrong = await problems(url, writers)
      run.note(`${summary(writers)}; ${wrong[0]}`)
      expect(wrong.join()).toMatch(/is lost/)
    })
  }, 120_000)

  const harm = async (run: Campaign, proxy: FaultyProxy, fault: NetworkFault): Promise<void> => {
    if (fault === 'cut reply') proxy.cutNextReply()
    else if (fault === 'reset') proxy.reset()
    else if (fault === 'half-open') proxy.freeze()
    else {
      proxy.slow(true)
      await sleep(run.between(200, 800))
      proxy.slow(false)
    }
  }

  /** `port` is where the proxy leads: the server's, or a pooler's in front of it. */
  const breakNetwork = async (run: Campaign, port: number, count: number): Promise<void> => {
    const url = await server.database()
    const proxy = await FaultyProxy.open(port)
    const store = await openStore(proxy.through(url))
    const { random } = run
    const options = { writerCount: 8, batchCountMax: 20, timeoutMs: 1500, random }
    const writers = startBoundedWriters(store, options)
    for (let n = 0; n < count; n++) {
      await sleep(run.between(10, 200))
      await harm(run, proxy, n % 10 === 9 ? 'half-open' : run.pick(faults))
      // A silent connection is noticed by its deadline only: not one fault on top of another.
      if (n % 10 === 9) await writers.allSucceed()
    }
    await writers.allSucceed()
    await writers.stop()
    await store.close()
    await proxy.close()
    run.note(`${count} faults, ${proxy.cutCount} replies cut, ${summary(writers)}`)
    expect(await problems(url, writers)).toEqual([])
    expect(Math.max(...writers.overdueMs)).toBeLessThan(1000)
    expect([...writers.errors.keys()].filter((code) => code.startsWith('not ours'))).toEqual([])
  }

  test('a network that cuts, delays and goes silent loses and doubles nothing', async () => {
    await campaign('R12 network faults', (run) => breakNetwork(run, server.port, run.scaled(100)))
  })

  test.skipIf(pgbouncerSkipReason())(
    'nor does it behind PgBouncer',
    async () => {
      const pooler = await startPgbouncer(server.url)
      try {
        const port = Number(new URL(pooler.url).port)
        const name = 'R12 network faults, PgBouncer'
        await campaign(name, (run) => breakNetwork(run, port, run.scaled(40)))
      } finally {
        await pooler.stop()
      }
    },
    600_000,
  )

  test('the harness finds a client that appends again without knowing', async () => {
    await campaign('R12 planted: retries blindly', async (run) => {
      const url = await server.database()
      const proxy = await FaultyProxy.open(server.port)
      const store = await openStore(proxy.through(url))
      const { random } = run
      const mutant = 'retries-blindly'
      const options = { writerCount: 8, batchCountMax: 5, timeoutMs: 100, random, mutant } as const
      const writers = startBoundedWriters(store, options)
      for (let n = 0; n < 4; n++) {
        await sleep(500)
        const { cutCount } = proxy
        proxy.cutNextReply()
        while (proxy.cutCount === cutCount) await sleep(1)
        // Long enough for the store not to find out before the caller's deadline.
        proxy.refuse(true)
        await sleep(900)
        proxy.refuse(false)
      }
      await writers.stop()
      await store.close()
      await proxy.close()
      const wrong = await problems(url, writers)
      run.note(`${summary(writers)}; ${wrong[0]}`)
      expect(wrong.join()).toMatch(/has \d+ of \d+ events/)
    })
  })

  test('the same event id after a cut reply is one event', async () => {
    await campaign('R7 retries with the same id', async (run) => {
      const url = await server.database()
      const proxy = await FaultyProxy.open(server.port)
      const store = await openStore(proxy.through(url))
      const count = run.scaled(500)
      const wrong: string[] = []
      const tookMs: number[] = []
      let unknown = 0
      for (let n = 0; n < count; n++) {
        const event = { type: 'Once', data: n, id: `id-${run.seed}-${n}` }
        const stream = `once-${n % 10}`
        // Now and then the server stays away until the caller has given up.
        const away = n % 50 === 0
        const { cutCount } = proxy
        // By the id: a listener that reconnects, or a look at the head, is not what is meant.
        proxy.cutReplyTo(event.id)
        const startedAt = performance.now()
        let over = false
        const first = store.append(stream, event, { timeoutMs: away ? 500 : 10_000 })
        const settled = first
          .then(({ version }) => version)
          .catch(() => undefined)
          .finally(() => {
            over = true
          })
        if (away) {
          while (proxy.cutCount === cutCount && !over) await sleep(1)
          proxy.refuse(true)
        }
        const version = await settled
        tookMs.push(performance.now() - startedAt)
        proxy.refuse(false)
        if (proxy.cutCount === cutCount) wrong.push(`${n}: the reply was not cut`)
        if (version === undefined) unknown++
        const again = await store.append(stream, event)
        if (version !== undefined && again.version !== version) wrong.push(`${n}: another version`)
        if (version !== undefined && again.duplicate !== true) wrong.push(`${n}: stored again`)
        const third = await store.append(stream, event)
        if (third.version !== again.version) wrong.push(`${n}: version ${third.version} at last`)
      }
      const log = await store.readAll({ upTo: 'newest' }).toArray()
      if (new Set(log.map(({ data }) => data)).size !== log.length) wrong.push('doubled events')
      await store.close()
      await proxy.close()
      run.note(
        `${count} cut replies, ${unknown} unknown to the caller, p99 ${percentile(tookMs, 0.99).toFixed()} ms`,
      )
      expect(wrong).toEqual([])
      expect(log.length).toBe(count)
      expect(unknown).toBeGreaterThan(0)
    })
  })
})
