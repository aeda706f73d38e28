import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  collection,
  defineEvents,
  defineProjection,
  openStore,
  type RecordedEvent,
  type Store,
  type as typed,
} from '../../src/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { FaultyProxy } from '../servers/faulty-proxy.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'

const skip = postgresSkipReason()
const awayMs = 10_000
const streamCount = 20
/** To be current again after the connection is back, with nobody's help. */
const catchUpMs = 20_000

const events = defineEvents({ Noted: typed<{ n: number }>() })

const seenByStream = defineProjection({
  name: 'seen-by-stream',
  version: 1,
  events: [events],
  collections: { seen: collection<{ stream: string; versions: number[] }>() },
  handlers: {
    Noted: async ({ stream, version }, ctx) => {
      await ctx.collection('seen').patch(stream, (was) => ({
        stream,
        versions: [...(was?.versions ?? []), version],
      }))
    },
  },
})

/** What one reader was given, by stream. */
class Seen {
  readonly versions = new Map<string, number[]>()

  take({ stream, version }: Pick<RecordedEvent, 'stream' | 'version'>): void {
    const of = this.versions.get(stream) ?? []
    of.push(version)
    this.versions.set(stream, of)
  }
}

/** Appends, one after another, in transactions of which a third is rolled back. */
function startWriter(store: Store, run: Campaign): { stop(): Promise<number> } {
  let stopped = false
  let count = 0
  const write = async (): Promise<void> => {
    for (let n = 0; !stopped; n++) {
      const stream = `note-${run.between(1, streamCount)}`
      const rollsBack = n % 3 === 2
      const work = store.transaction(async (tx) => {
        await tx.append(stream, { type: 'Noted', data: { n } })
        if (rollsBack) throw new Error('rolled back')
      })
      await work.catch((error: unknown) => {
        if (!rollsBack) throw error
      })
      if (!rollsBack) count++
      await sleep(5)
    }
  }
  const running = write()
  running.catch(() => {})
  return {
    stop: async () => {
      stopped = true
      await running
      return count
    },
  }
}

/** Connections that have nothing to do with the store and stay in a transaction. */
async function openStrangers(url: string): Promise<{ end(): Promise<void> }> {
  const client = async (...statements: readonly string[]): Promise<pg.Client> => {
    const one = new pg.Client({ connectionString: url })
    one.on('error', () => {})
    await one.connect()
    for (const statement of statements) await one.query(statement)
    return one
  }
  const strangers = [
    // Idle, having written: it holds a transaction number, older than all that comes.
    await client(
      'CREATE TABLE IF NOT EXISTS stranger (n int)',
      'BEGIN',
      'INSERT INTO stranger VALUES (1)',
    ),
    // Idle, with a view of the database as it was.
    await client('BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT count(*) FROM stranger'),
    await client(),
  ]
  const long = strangers[2]?.query('SELECT pg_sleep(60)').catch(() => {})
  return {
    end: async () => {
      const killer = await client()
      await killer.query(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'",
      )
      await long
      for (const one of [...strangers, killer]) await one.end()
    },
  }
}

/**
 * What is left when repetitions are: a handler beside the checkpoint is called at least once for
 * each event, and again for those whose checkpoint the lost connection took along.
 */
function firstTimes(versions: readonly number[]): readonly number[] {
  return [...new Set(versions)]
}

/** What differs from the log: each stream's versions from 1 on, in order. */
function differences(
  { name, exactly }: Pick<Reader, 'name' | 'exactly'>,
  seen: Seen,
  log: readonly RecordedEvent[],
): string[] {
  const wanted = new Seen()
  for (const event of log) wanted.take(event)
  const wrong: string[] = []
  for (const [stream, versions] of wanted.versions) {
    const all = seen.versions.get(stream) ?? []
    const got = exactly ? all : firstTimes(all)
    if (got.join() === versions.join()) continue
    wrong.push(`${name}: ${stream} has ${versions.length} events, given were ${got.length}`)
  }
  return wrong
}

interface Reader {
  readonly name: string
  /** Whether each event has to come once. */
  readonly exactly: boolean
  seen(): Promise<Seen>
  stop(): Promise<void>
}

function subscriber(store: Store, name: string, seen: Seen, partitions?: number): Reader {
  const group = partitions === undefined ? undefined : { partitions }
  const subscription = store.subscribe(
    { name, group },
    {
      batch: (given) => {
        for (const event of given) seen.take(event)
      },
    },
  )
  return { name, exactly: false, seen: async () => seen, stop: () => subscription.stop() }
}

/** The planted bug: one that reads on and on, and ends with its connection. */
function naive(store: Store, seen: Seen): Reader {
  let stopped = false
  const read = async (): Promise<void> => {
    for (let after = 0; !stopped; await sleep(20)) {
      for await (const event of store.readAll({ after, timeoutMs: 2000 })) {
        seen.take(event)
        after = event.position
      }
    }
  }
  const running = read().catch(() => {})
  return {
    name: 'naive',
    exactly: false,
    seen: async () => seen,
    stop: async () => {
      stopped = true
      await running
    },
  }
}

async function documentsOf(store: Store): Promise<Seen> {
  const seen = new Seen()
  for (const { stream, versions } of await store.collection(seenByStream, 'seen').find()) {
    seen.versions.set(stream, versions)
  }
  return seen
}

describe.skipIf(skip !== undefined)('a connection that is lost for ten seconds', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server?.stop())

  test('every subscriber catches up by itself, beside strangers and rollbacks', async () => {
    await campaign('lost connection', async (run) => {
      const url = await server.database()
      const proxy = await FaultyProxy.open(server.port)
      const direct = await openStore(url)
      const options = { projections: [seenByStream] }
      const first = await openStore(proxy.through(url), options)
      const second = await openStore(proxy.through(url), options)
      const strangers = await openStrangers(url)
      const shared = new Seen()
      await first.projections.start()
      const readers: readonly Reader[] = [
        subscriber(first, 'single', new Seen()),
        subscriber(first, 'group', shared, 8),
        subscriber(second, 'group', shared, 8),
        { name: 'projection', exactly: true, seen: () => documentsOf(first), stop: async () => {} },
      ]
      const planted = naive(first, new Seen())
      const writer = startWriter(direct, run)

      const compare = async (reader: Reader): Promise<string[]> => {
        const log = await direct.readAll({ upTo: 'newest' }).toArray()
        return differences(reader, await reader.seen(), log)
      }
      const settled = async (): Promise<string[]> => {
        const endAt = performance.now() + catchUpMs
        for (;;) {
          const wrong = (await Promise.all(readers.map(compare))).flat()
          if (wrong.length === 0 || performance.now() > endAt) return wrong
          await sleep(50)
        }
      }

      // Live for a while beside the strangers, then away, then back.
      await sleep(2000)
      proxy.refuse(true)
      await sleep(awayMs)
      proxy.refuse(false)
      const backAt = performance.now()
      const count = await writer.stop()
      const wrong = await settled()
      const tookMs = performance.now() - backAt
      const missed = await compare(planted)

      for (const reader of [...readers, planted]) await reader.stop()
      await strangers.end()
      for (const store of [first, second, direct]) await store.close()
      await proxy.close()
      run.note(`${count} events, current ${tookMs.toFixed()} ms after; planted: ${missed[0]}`)
      expect(wrong).toEqual([])
      expect(count).toBeGreaterThan(100)
      expect(missed.length).toBeGreaterThan(0)
    })
  })
})
