import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { campaign, percentile } from '../harness/campaign.ts'
import { endChildren, startChild } from '../harness/child.ts'
import { type PgbouncerServer, pgbouncerSkipReason, startPgbouncer } from '../servers/pgbouncer.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import type { SteadyRound, SteadyWritersInput } from './steady-writers.ts'

const skip = postgresSkipReason() ?? pgbouncerSkipReason()
const roundMs = 700
const roundCount = 12
/** Asked is a tenth; the rest is for what two cores and a median of 12 rounds cannot tell. */
const ratioMin = 0.9
const noise = 0.1

const kinds = ['nobody', 'listeners', 'subscriber'] as const
type Kind = (typeof kinds)[number]

describe.skipIf(skip !== undefined)('four writer processes behind PgBouncer', () => {
  let server: PostgresServer
  let pooler: PgbouncerServer
  let direct = ''
  beforeAll(async () => {
    server = await startPostgres()
    direct = await server.database()
    pooler = await startPgbouncer(direct)
  })
  afterAll(async () => {
    await pooler?.stop()
    await server?.stop()
  })

  const listener = async (onHeard: () => void): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: direct })
    client.on('notification', onHeard)
    await client.connect()
    await client.query('LISTEN eventuali_events')
    return client
  }

  test('write as much beside listeners as without', async () => {
    await campaign('throughput with and without listeners', async (run) => {
      await (await openStore(pooler.url)).close()
      const writers = [0, 1, 2, 3].map((n) => {
        const input: SteadyWritersInput = { url: pooler.url, callers: 8, name: `w${n}` }
        return startChild(import.meta.url, './steady-writers.ts', { input })
      })
      const follower = await openStore(pooler.url, { listenUrl: direct })
      const oneRound = async (): Promise<number> => {
        const round: SteadyRound = { durationMs: roundMs }
        const counts = writers.map((child) => child.message<number>('count'))
        for (const child of writers) child.send(round)
        return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
      }
      try {
        await Promise.all(writers.map((child) => child.message('ready')))
        await oneRound()
        const counts: Record<Kind, number[]> = { nobody: [], listeners: [], subscriber: [] }
        let heard = 0
        const rounds: Record<Kind, () => Promise<number>> = {
          nobody: oneRound,
          listeners: async () => {
            const clients = await Promise.all([0, 1, 2, 3].map(() => listener(() => heard++)))
            try {
              return await oneRound()
            } finally {
              await Promise.all(clients.map((client) => client.end()))
            }
          },
          subscriber: async () => {
            const { newest } = await follower.positions()
            await using _subscription = follower.subscribe({ after: newest }, { batch: () => {} })
            return await oneRound()
          },
        }
        for (let n = 0; n < run.scaled(roundCount); n++) {
          // The order changes, so that none always follows the same other.
          const order = kinds.map((_, i) => kinds[(i + n) % kinds.length] as Kind)
          for (const kind of order) counts[kind].push(await rounds[kind]())
        }
        const median = (kind: Kind): number => percentile(counts[kind], 0.5)
        const ratio = median('listeners') / median('nobody')
        // Not asserted: a subscriber that reads everything takes its share of the cores.
        const reading = median('subscriber') / median('nobody')
        run.note(
          `${ratio.toFixed(3)} of ${((median('nobody') * 1000) / roundMs).toFixed()} appends/s, ${reading.toFixed(3)} beside one that reads all, ${heard} notifications heard`,
        )
        expect(heard).toBeGreaterThan(0)
        expect(ratio).toBeGreaterThan(ratioMin - noise)
      } finally {
        await endChildren(writers)
        await follower.close()
      }
    })
  })
})
