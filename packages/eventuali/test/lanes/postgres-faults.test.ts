import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { type BoundedWriters, startBoundedWriters } from '../harness/bounded-writers.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { auditLog } from '../harness/ledger.ts'
import { FaultyProxy, type NetworkFault } from '../servers/faulty-proxy.ts'
import { pgbouncerSkipReason, startPgbouncer } from '../servers/pgbouncer.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'

const skip = postgresSkipReason()
const faults: readonly NetworkFault[] = [
  ...(['cut reply', 'cut reply', 'reset', 'reset', 'delay', 'loss', 'slow reader'] as const),
]

async function problems(url: string, writers: BoundedWriters): Promise<string[]> {
  await using store = await openStore(url)
  const report = await store.verify()
  const log = await store.readAll({ upTo: 'newest' }).toArray()
  return [...report.problems.map(({ reason }) => reason), ...auditLog(log, writers.ledger)]
}

function summary({ ledger, errors, overdueMs, readCount }: BoundedWriters): string {
  const counts = [...errors].map(([code, count]) => `${count} ${code}`).join(', ')
  const latest = Math.max(...overdueMs)
  return `${ledger.length} acknowledged, ${readCount} reads, ${counts || 'no errors'}, latest end ${latest.toFixed()} ms after its deadline`
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

  const harm = async (run: Campaign, proxy: FaultyProxy, fault: NetworkFault): Promise<void> => {
    if (fault === 'cut reply') proxy.cutNextReply()
    else if (fault === 'reset') proxy.reset()
    else if (fault === 'half-open') proxy.freeze()
    else {
      proxy.pass(fault)
      await sleep(run.between(200, 800))
      proxy.pass('at once')
    }
  }

  /** `port` is where the proxy leads: the server's, or a pooler's in front of it. */
  const breakNetwork = async (run: Campaign, port: number, count: number): Promise<void> => {
    const url = await server.database()
    const { random } = run
    const proxy = await FaultyProxy.open(port, random)
    const store = await openStore(proxy.through(url))
    const options = { writerCount: 8, readerCount: 4, batchCountMax: 20, timeoutMs: 1500, random }
    const writers = startBoundedWriters(store, options)
    const kinds = new Map<NetworkFault, number>()
    for (let n = 0; n < count; n++) {
      await sleep(run.between(10, 200))
      // The first ones in turn, so that none is left to chance.
      const fault = n % 10 === 9 ? 'half-open' : (faults[n] ?? run.pick(faults))
      kinds.set(fault, (kinds.get(fault) ?? 0) + 1)
      await harm(run, proxy, fault)
      // A silent connection is noticed by its deadline only: not one fault on top of another.
      if (n % 10 === 9) await writers.allSucceed()
    }
    await writers.allSucceed()
    await writers.stop()
    await store.close()
    await proxy.close()
    const each = [...kinds].map(([kind, times]) => `${times} ${kind}`).join(', ')
    run.note(`${count} faults (${each}), ${proxy.cutCount} replies cut, ${summary(writers)}`)
    expect(await problems(url, writers)).toEqual([])
    expect(writers.wrong).toEqual([])
    expect(writers.readCount).toBeGreaterThan(count)
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
        await campaign(name, (run) => breakNetwork(run, port, run.scaled(24)))
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

  test('the harness finds a call that goes on past its deadline', async () => {
    await campaign('R12 planted: ignores its deadline', async (run) => {
      const { random } = run
      const proxy = await FaultyProxy.open(server.port, random)
      const store = await openStore(proxy.through(await server.database()))
      const mutant = 'ignores-its-deadline'
      const options = { writerCount: 2, batchCountMax: 2, timeoutMs: 800, random, mutant } as const
      const writers = startBoundedWriters(store, options)
      await writers.allSucceed()
      proxy.freeze()
      proxy.refuse(true)
      await sleep(3200)
      proxy.refuse(false)
      await writers.allSucceed()
      await writers.stop()
      await store.close()
      await proxy.close()
      run.note(summary(writers))
      expect(Math.max(...writers.overdueMs)).toBeGreaterThan(1000)
    })
  })
})
