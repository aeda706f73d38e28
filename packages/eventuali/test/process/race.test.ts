import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import type { StoreHooks } from '../../src/testing/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { type Child, endChildren, startChild } from '../harness/child.ts'
import { openHooked } from '../harness/hooked-store.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import { handledBy, laterDigests, orderDigest, wrongInHandled } from './race-order.ts'
import type { RaceFilter, RaceReaderReport, RaceReadersInput } from './race-readers.ts'
import type {
  RaceSubscriber,
  RaceSubscriberReport,
  RaceSubscribersInput,
} from './race-subscribers.ts'
import type { RaceWritersInput, RaceWritersReport } from './race-writers.ts'

interface Committed {
  readonly position: number
  readonly stream: string
  readonly version: number
  readonly id: string
  readonly type: string
  readonly tags: string | null
}

const tails: readonly RaceFilter[] = [{}, {}]
const filtered: readonly RaceFilter[] = [
  { types: ['Type1', 'Type3'] },
  { categories: ['cat1'] },
  { tags: ['color:2'] },
]
const singles = ['alone-1', 'alone-2', 'alone-3', 'alone-4']
const shared: RaceSubscriber = { name: 'shared', partitions: 16 }
/** By process: one that is alone with its name, and one of four that share one. */
const subscribers: readonly (readonly RaceSubscriber[])[] = singles.map((name) => [
  { name },
  shared,
])
const readerGroups: readonly (readonly RaceFilter[])[] = [[...tails, ...filtered], tails]

function wanted(filter: RaceFilter, { stream, type, tags }: Committed): boolean {
  if (filter.types?.includes(type) === false) return false
  if (filter.categories?.includes(stream.split('-')[0] ?? '') === false) return false
  const has = JSON.parse(tags ?? '[]') as string[]
  return filter.tags?.every((tag) => has.includes(tag)) ?? true
}

/** What a reader missed, doubled or saw in the wrong order. */
function wrongIn(
  filter: RaceFilter,
  { positions, versions }: RaceReaderReport,
  log: readonly Committed[],
): string[] {
  const expected = log.filter((event) => wanted(filter, event))
  const wrong: string[] = []
  const seen = new Set(positions)
  if (seen.size < positions.length) wrong.push(`${positions.length - seen.size} delivered again`)
  const skipped = expected.filter(({ position }) => !seen.has(position))
  if (skipped.length > 0) wrong.push(`${skipped.length} skipped, first ${skipped[0]?.position}`)
  const same = expected.length === positions.length
  if (same && expected.some(({ position }, n) => position !== positions[n])) {
    wrong.push('another order than the log')
  }
  const last = new Map<string, number>()
  for (const entry of versions) {
    const [stream = '', version] = entry.split(' ')
    if (Number(version) <= (last.get(stream) ?? 0)) wrong.push(`${stream} went back to ${version}`)
    last.set(stream, Number(version))
  }
  return wrong
}

interface RaceResult {
  readonly wrong: readonly string[]
  readonly seconds: number
  readonly writers: readonly RaceWritersReport[]
  readonly readers: readonly RaceReaderReport[]
  readonly subscribers: readonly RaceSubscriberReport[]
  /** What each subscriber that is alone saw, as one value. */
  readonly digests: ReadonlyMap<string, string>
}

type Mutant = 'reads-newest' | 'waits-a-while'

/** Asks until every name has got so many events, or a while has passed without a new one. */
async function untilAllGot(
  children: readonly Child[],
  eventCount: number,
  patienceMs: number,
): Promise<void> {
  let least = -1
  for (let changedAt = performance.now(); ; ) {
    const totals = new Map<string, number>()
    for (const child of children) {
      const counts = await child.message<Record<string, number>>('counts')
      for (const [name, count] of Object.entries(counts)) {
        totals.set(name, (totals.get(name) ?? 0) + count)
      }
    }
    const got = Math.min(...totals.values())
    if (got > least) changedAt = performance.now()
    if (got >= eventCount || performance.now() - changedAt > patienceMs) return
    least = got
    await sleep(20)
    for (const child of children) child.send({ over: false })
  }
}

function wrongInSubscribers(
  reports: readonly RaceSubscriberReport[],
  log: readonly Committed[],
): { wrong: string[]; digests: Map<string, string> } {
  const digests = new Map<string, string>()
  const wrong: string[] = []
  for (const name of [...singles, shared.name]) {
    const handled = handledBy(name, reports)
    wrong.push(...wrongInHandled(name, handled, log))
    if (name !== shared.name) digests.set(name, orderDigest(handled))
  }
  const expected = orderDigest(log)
  for (const [name, digest] of digests) {
    if (digest !== expected) wrong.push(`${name} saw another order than the log`)
  }
  return { wrong, digests }
}

class Programs {
  readonly all: Child[] = []
  readonly readers: readonly Child[]
  readonly subscribers: readonly Child[]
  readonly writers: readonly Child[]

  constructor(url: string, seed: number, eventCount: number, mutant?: Mutant) {
    const start = (program: string, input: unknown): Child => {
      const child = startChild(import.meta.url, program, { input })
      this.all.push(child)
      return child
    }
    this.readers = readerGroups.map((filters, n) => {
      const reading = mutant === 'reads-newest' ? mutant : undefined
      const input: RaceReadersInput = {
        ...{ url, seed: seed + n, filters, restarts: true, mutant: reading },
      }
      return start('./race-readers.ts', input)
    })
    this.subscribers = subscribers.map((group, n) => {
      const input: RaceSubscribersInput = { url, seed: seed + 50 * n, subscribers: group, mutant }
      return start('./race-subscribers.ts', input)
    })
    this.writers = [0, 1].map((n) => {
      const input: RaceWritersInput = {
        ...{ url, writerCount: 8, eventCount: eventCount / 2 },
        seed: seed + 100 * n,
      }
      return start('./race-writers.ts', input)
    })
  }
}

async function race(
  run: Campaign,
  url: string,
  eventCount: number,
  mutant?: Mutant,
): Promise<RaceResult> {
  await (await openStore(url)).close()
  const outside = new pg.Client({ connectionString: url })
  await outside.connect()
  await outside.query('CREATE TABLE elsewhere (n int)')
  // Left open during all of it, having written and so having an id: nobody may wait for it.
  const idle = new pg.Client({ connectionString: url })
  await idle.connect()
  await idle.query('BEGIN; INSERT INTO elsewhere VALUES (0)')
  const programs = new Programs(url, run.seed, eventCount, mutant)
  try {
    await Promise.all(programs.all.map((child) => child.message('ready')))
    const startedAt = performance.now()
    for (const child of programs.writers) child.send({})
    const written = await Promise.all(
      programs.writers.map((child) => child.message<RaceWritersReport>('report', 600_000)),
    )
    const seconds = (performance.now() - startedAt) / 1000
    for (const child of programs.subscribers) child.send({})
    await sleep(1500)
    await untilAllGot(programs.subscribers, eventCount, mutant === undefined ? 10_000 : 500)
    for (const child of programs.readers) child.send({})
    for (const child of programs.subscribers) child.send({ over: true })
    const reports = <R>(of: readonly Child[]): Promise<R[][]> =>
      Promise.all(of.map((child) => child.message<R[]>('report')))
    const seen = await reports<RaceReaderReport>(programs.readers)
    const handled = (await reports<RaceSubscriberReport>(programs.subscribers)).flat()
    const { rows } = await outside.query<Committed>(
      `SELECT e.position::float8 AS position, s.name AS stream, e.version::float8 AS version,
         e.id, t.name AS type, e.tags
       FROM eventuali.events e JOIN eventuali.streams s ON s.id = e.stream
       JOIN eventuali.types t ON t.id = e.type ORDER BY e.position`,
    )
    const inReaders = readerGroups.flatMap((filters, g) =>
      filters.flatMap((filter, n) => wrongIn(filter, seen[g]?.[n] as RaceReaderReport, rows)),
    )
    const { wrong: inSubscribers, digests } = wrongInSubscribers(handled, rows)
    const wrong = [...inReaders, ...inSubscribers]
    if (rows.length !== eventCount) wrong.push(`${rows.length} events, not ${eventCount}`)
    const result = { readers: seen.flat(), subscribers: handled, digests }
    return { wrong, seconds, writers: written, ...result }
  } finally {
    await endChildren(programs.all)
    await idle.end()
    await outside.end()
  }
}

const skip = postgresSkipReason()

describe.skipIf(skip !== undefined)('readers that race with 16 writers', () => {
  let server: PostgresServer | undefined
  const database = async (): Promise<string> => (await server?.database()) ?? ''
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server?.stop())

  test('all see the same order and skip nothing', async () => {
    await campaign('R8b race', async (run) => {
      const url = await database()
      const result = await race(run, url, 2 * run.scaled(25_000))
      const { wrong, seconds, writers, readers } = result
      const sum = (of: (report: RaceWritersReport) => number): number =>
        writers.reduce((total, report) => total + of(report), 0)
      const endedAtMs = Math.max(...writers.map((report) => report.endedAtMs))
      const behindMs = readers.map((reader) => reader.lastAtMs - endedAtMs)
      const durableBehindMs = result.subscribers.map(
        ({ deliveries }) => (deliveries.at(-1)?.[0] ?? 0) - endedAtMs,
      )
      const followers = [...readers, ...result.subscribers]
      const restarts = followers.reduce((total, follower) => total + follower.restarts, 0)
      run.note(
        `${sum((w) => w.committed)} events in ${seconds.toFixed(1)} s, ${sum((w) => w.rolledBack)} rolled back, ${sum((w) => w.slow)} slow transactions, ${sum((w) => w.idFirst)} with an id before they appended, ${restarts} restarts, caught up after ${Math.max(...behindMs).toFixed()} ms, durable ones after ${Math.max(...durableBehindMs).toFixed()} ms`,
      )
      expect(wrong).toEqual([])
      expect(seconds).toBeLessThan(90 * run.scale)
      expect(Math.max(...behindMs)).toBeLessThan(1000)
      // More than for plain readers: one may just have been restarting, and connects anew.
      expect(Math.max(...durableBehindMs)).toBeLessThan(2000)
      const later = await laterDigests(url)
      const digests = new Set([...result.digests.values(), ...later.values()])
      run.note(`${result.digests.size + later.size} readings of one order`)
      expect(digests.size).toBe(1)
    })
  })

  test('the harness finds readers that take the newest for the safe position', async () => {
    await campaign('R8b planted: reads up to the newest', async (run) => {
      const { wrong } = await race(run, await database(), 3000, 'reads-newest')
      run.note(`${wrong.length} found: ${wrong[0]}`)
      for (const name of [...singles, shared.name]) {
        expect(wrong.join()).toMatch(new RegExp(`${name}: \\d+ skipped`))
      }
      expect(wrong[0]).toMatch(/^\d+ skipped/)
    })
  })

  test('the harness finds subscribers that wait a while in the place of a proof', async () => {
    await campaign('R8b planted: takes an old gap for a closed one', async (run) => {
      const { wrong } = await race(run, await database(), 6000, 'waits-a-while')
      run.note(`${wrong.length} found: ${wrong[0]}`)
      expect(wrong.join()).toMatch(/\d+ skipped/)
    })
  })

  /** How long an event behind a rollback was waited for, in each round. */
  const waits = async (count: number, hooks: StoreHooks = {}): Promise<number[]> => {
    const url = await database()
    await using store = await openStore(url)
    await using reader = await openHooked(url, hooks)
    const waiting = new Map<number, () => void>()
    await using subscription = reader.subscribe({}, (event) => waiting.get(event.position)?.())
    const delaysMs: number[] = []
    for (let n = 0; n < count; n++) {
      const lost = store.transaction(async (tx) => {
        await tx.append(`lost-${n}`, { type: 'Lost', data: n })
        throw new Error('on purpose')
      })
      await lost.catch(() => {})
      const { promise, resolve } = Promise.withResolvers<void>()
      const { position } = await store.append(`kept-${n % 9}`, { type: 'Kept', data: n })
      const startedAt = performance.now()
      waiting.set(position, resolve)
      if (subscription.position < position) await promise
      delaysMs.push(performance.now() - startedAt)
    }
    return delaysMs
  }

  test('an append that was rolled back stalls nobody', async () => {
    await campaign('R8b rollbacks stall nobody', async (run) => {
      const delaysMs = await waits(run.scaled(100))
      run.note(`longest wait ${Math.max(...delaysMs).toFixed(1)} ms`)
      expect(Math.max(...delaysMs)).toBeLessThan(250)
    })
  })

  test('the harness finds a reader that holds a gap open for a while', async () => {
    await campaign('R8b planted: waits for rollbacks', async (run) => {
      const seen: { readonly atMs: number; readonly safe: number }[] = []
      const delaysMs = await waits(5, {
        positions: async (next, options) => {
          const now = await next.positions(options)
          const atMs = performance.now()
          seen.push({ atMs, safe: now.safe })
          const old = seen.findLast((one) => atMs - one.atMs >= 400)
          return { ...now, safe: old?.safe ?? 0 }
        },
      })
      run.note(`longest wait ${Math.max(...delaysMs).toFixed(1)} ms`)
      expect(Math.max(...delaysMs)).toBeGreaterThan(250)
    })
  })
})
