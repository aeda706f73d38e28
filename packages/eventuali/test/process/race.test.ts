import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { type Child, endChildren, startChild } from '../harness/child.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import type { RaceFilter, RaceReaderReport, RaceReadersInput } from './race-readers.ts'
import type { RaceWritersInput, RaceWritersReport } from './race-writers.ts'

interface Committed {
  readonly position: number
  readonly stream: string
  readonly version: number
  readonly type: string
  readonly tags: string | null
}

const tails: readonly RaceFilter[] = [{}, {}]
const filtered: readonly RaceFilter[] = [
  { types: ['Type1', 'Type3'] },
  { categories: ['cat1'] },
  { tags: ['color:2'] },
]

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
}

async function race(
  run: Campaign,
  url: string,
  eventCount: number,
  mutant?: 'reads-newest',
): Promise<RaceResult> {
  await (await openStore(url)).close()
  const outside = new pg.Client({ connectionString: url })
  await outside.connect()
  await outside.query('CREATE TABLE elsewhere (n int)')
  // Left open during all of it, having written and so having an id: nobody may wait for it.
  const idle = new pg.Client({ connectionString: url })
  await idle.connect()
  await idle.query('BEGIN; INSERT INTO elsewhere VALUES (0)')
  const children: Child[] = []
  try {
    const { seed } = run
    const groups = [[...tails, ...filtered], tails]
    const readers = groups.map((filters, n) => {
      const input: RaceReadersInput = { url, seed: seed + n, filters, restarts: true, mutant }
      return startChild(import.meta.url, './race-readers.ts', { input })
    })
    const writers = [0, 1].map((n) => {
      const input: RaceWritersInput = {
        ...{ url, writerCount: 8, eventCount: eventCount / 2 },
        seed: seed + 100 * n,
      }
      return startChild(import.meta.url, './race-writers.ts', { input })
    })
    children.push(...readers, ...writers)
    await Promise.all(children.map((child) => child.message('ready')))
    const startedAt = performance.now()
    for (const child of writers) child.send({})
    const written = await Promise.all(
      writers.map((child) => child.message<RaceWritersReport>('report', 600_000)),
    )
    const seconds = (performance.now() - startedAt) / 1000
    await sleep(1500)
    for (const child of readers) child.send({})
    const seen = await Promise.all(
      readers.map((child) => child.message<RaceReaderReport[]>('report')),
    )
    const { rows } = await outside.query<Committed>(
      `SELECT e.position::float8 AS position, s.name AS stream, e.version::float8 AS version,
         t.name AS type, e.tags
       FROM eventuali.events e JOIN eventuali.streams s ON s.id = e.stream
       JOIN eventuali.types t ON t.id = e.type ORDER BY e.position`,
    )
    const wrong = groups.flatMap((filters, g) =>
      filters.flatMap((filter, n) => wrongIn(filter, seen[g]?.[n] as RaceReaderReport, rows)),
    )
    if (rows.length !== eventCount) wrong.push(`${rows.length} events, not ${eventCount}`)
    return { wrong, seconds, writers: written, readers: seen.flat() }
  } finally {
    await endChildren(children)
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
      const { wrong, seconds, writers, readers } = await race(
        run,
        await database(),
        2 * run.scaled(25_000),
      )
      const sum = (of: (report: RaceWritersReport) => number): number =>
        writers.reduce((total, report) => total + of(report), 0)
      const endedAtMs = Math.max(...writers.map((report) => report.endedAtMs))
      const behindMs = readers.map((reader) => reader.lastAtMs - endedAtMs)
      const restarts = readers.reduce((total, reader) => total + reader.restarts, 0)
      run.note(
        `${sum((w) => w.committed)} events in ${seconds.toFixed(1)} s, ${sum((w) => w.rolledBack)} rolled back, ${sum((w) => w.slow)} slow transactions, ${restarts} restarts, caught up after ${Math.max(...behindMs).toFixed()} ms`,
      )
      expect(wrong).toEqual([])
      expect(seconds).toBeLessThan(90 * run.scale)
      expect(Math.max(...behindMs)).toBeLessThan(1000)
    })
  }, 1_800_000)

  test('the harness finds readers that take the newest for the safe position', async () => {
    await campaign('R8b planted: reads up to the newest', async (run) => {
      const { wrong } = await race(run, await database(), 3000, 'reads-newest')
      run.note(`${wrong.length} found: ${wrong[0]}`)
      expect(wrong.join()).toContain('skipped')
    })
  })

  test('an append that was rolled back stalls nobody', async () => {
    await campaign('rollbacks stall nobody', async (run) => {
      const url = await database()
      await using store = await openStore(url)
      await using reader = await openStore(url)
      const waiting = new Map<number, () => void>()
      await using subscription = reader.subscribe({}, (event) => waiting.get(event.position)?.())
      const delaysMs: number[] = []
      for (let n = 0; n < run.scaled(100); n++) {
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
      run.note(`longest wait ${Math.max(...delaysMs).toFixed(1)} ms`)
      expect(Math.max(...delaysMs)).toBeLessThan(250)
    })
  })
})
