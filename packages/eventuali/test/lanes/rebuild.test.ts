import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { importEvents, openStore, type Store } from '../../src/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { startChild } from '../harness/child.ts'
import { openHooked } from '../harness/hooked-store.ts'
import { type Place, sharedPlaces, showsPlanted } from '../harness/places.ts'
import { flightsProjection, januaryLines } from './rebuild-flights.ts'
import type { RebuildWriterInput } from './rebuild-writer.ts'

const rebuildCount = 3
/** How long a build waits for its reader before the test says that nothing is appended. */
const overlapTimeoutMs = 30_000

/** What anybody sees who asks the database by the names of the read model. */
interface Sums {
  readonly carriers: number
  readonly airports: number
}

/** A connection of a reader that knows nothing of the library. */
interface Database {
  sums(): Promise<Sums>
  run(sql: string): Promise<void>
  close(): Promise<void>
}

const question = (flights: string, schema: string): string =>
  `SELECT (SELECT coalesce(sum(${flights}), 0) FROM ${schema}carriers),
    (SELECT coalesce(sum(departures), 0) FROM ${schema}airports)`

async function connect({ adapter }: Place, url: string): Promise<Database> {
  const sumsOf = (row: readonly unknown[]) => ({
    carriers: Number(row[0]),
    airports: Number(row[1]),
  })
  if (adapter === 'postgres') {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    const text = question("(doc::json ->> 'flights')::bigint", 'eventuali.')
    return {
      sums: async () => sumsOf((await client.query({ text, rowMode: 'array' })).rows[0] ?? []),
      run: async (sql) => {
        await client.query(`SET search_path TO eventuali; ${sql}`)
      },
      close: () => client.end(),
    }
  }
  const file = new DatabaseSync(url.replace('sqlite:', ''), { timeout: 5000 })
  const text = question("doc ->> '$.flights'", '')
  return {
    sums: async () => sumsOf(Object.values(file.prepare(text).get() ?? {})),
    run: async (sql) => file.exec(sql),
    close: async () => file.close(),
  }
}

/** Looks again and again, and writes down what must not be seen. */
class Watcher {
  readonly wrong: string[] = []
  lookCount = 0
  /** Flights that were seen last; a reader never sees fewer than before. */
  seen = 0
  #isOver = false
  readonly #done: Promise<void>

  constructor(database: Database) {
    this.#done = this.#look(database)
  }

  async #look(database: Database): Promise<void> {
    while (!this.#isOver) {
      const { carriers, airports } = await database.sums()
      this.lookCount++
      if (carriers !== airports) this.wrong.push(`${carriers} by carrier, ${airports} by airport`)
      if (carriers < this.seen) this.wrong.push(`${carriers} flights after ${this.seen}`)
      this.seen = carriers
      await sleep(1)
    }
  }

  stop(): Promise<void> {
    this.#isOver = true
    return this.#done
  }
}

interface Built {
  readonly wrong: readonly string[]
  /** Rebuilds during which the old generation took in something new. */
  readonly liveCount: number
}

/** Each statement of an SQL table's handler is a way to the server and back. */
const importedCounts: Readonly<Record<string, number>> = { sqlite: 25_000, postgres: 5_000 }

/** Ends when the reader has seen something new since the build began. */
type Overlap = () => Promise<void>

/** Rebuilds while another process appends and a reader looks; `openBuilder` opens who rebuilds. */
async function rebuildBesideAppends(
  run: Campaign,
  place: Place,
  openBuilder: (url: string, overlap: Overlap) => Promise<Store>,
): Promise<Built> {
  const live = new Set<number>()
  let build = 0
  let before = 0
  const url = await place.url()
  const importedCount = importedCounts[place.adapter] ?? 0
  const store = await openStore(url, { projections: [flightsProjection(place.adapter)] })
  const builder = await openBuilder(url, async () => {
    const deadline = Date.now() + overlapTimeoutMs
    while (watcher.seen <= before) {
      if (Date.now() > deadline) throw new Error('The reader saw nothing new during the build.')
      await sleep(5)
    }
    live.add(build)
  })
  const { events } = await importEvents(store, januaryLines(0, importedCount), {
    sourceName: 'january',
  })
  expect(events).toBe(importedCount)
  await store.projections.start()
  await store.projected('flights', (await store.positions()).safe, { timeoutMs: 60_000 })
  const database = await connect(place, url)
  const watcher = new Watcher(database)
  const input: RebuildWriterInput = { url, from: importedCount }
  const writer = startChild(import.meta.url, './rebuild-writer.ts', { input })
  const began = watcher.seen
  while (watcher.seen <= began) await sleep(5)
  for (; build < run.scaled(rebuildCount); build++) {
    before = watcher.seen
    const report = await builder.projections.rebuild('flights')
    if (report.comparison?.equal === false) watcher.wrong.push('the generations differ')
    // What the reader sees after the switch is looked at, too.
    const looked = watcher.lookCount
    while (watcher.lookCount < looked + 3) await sleep(5)
  }
  writer.send('enough')
  const last = await writer.message<number>('over')
  await store.projected('flights', last, { timeoutMs: 60_000 })
  await watcher.stop()
  let flights = 0
  for await (const _ of store.readAll({ types: ['FlightScheduled'] })) flights++
  const { carriers, airports } = await database.sums()
  if (carriers !== flights || airports !== flights) {
    watcher.wrong.push(`${carriers} and ${airports} in the end, ${flights} in the log`)
  }
  run.note(`${live.size} live rebuilds, ${watcher.lookCount} looks, ${flights} flights`)
  await database.close()
  await builder.close()
  await store.close()
  return { wrong: watcher.wrong, liveCount: live.size }
}

describe.each(sharedPlaces())('a rebuild on $adapter during appends', (place) => {
  const projections = [flightsProjection(place.adapter)]
  beforeAll(() => place.start())
  afterAll(() => place.stop())

  test.skipIf(place.skip)(
    'shows readers a whole model that is current, all the while',
    async () => {
      await campaign(`rebuilds of the flights, ${place.adapter}`, async (run) => {
        const { wrong, liveCount } = await rebuildBesideAppends(run, place, (url, overlap) =>
          openHooked(
            url,
            {
              // A short build could end between two looks: each waits once for its reader.
              readLog: async function* (next, query, options) {
                for await (const page of next.readLog(query, options)) {
                  yield page
                  await overlap()
                }
              },
            },
            { projections },
          ),
        )
        expect(wrong.slice(0, 5)).toEqual([])
        expect(liveCount).toBe(run.scaled(rebuildCount))
      })
    },
  )

  test.skipIf(place.skip)('reports rows that somebody has changed by hand', async () => {
    const url = await place.url()
    const store = await openStore(url, { projections })
    await importEvents(store, januaryLines(0, 5000), { sourceName: 'january' })
    await store.projections.start()
    await store.projected('flights', (await store.positions()).safe)
    const [status] = await store.projections.status()
    const tables = status?.generations.at(-1)?.tables
    const database = await connect(place, url)
    await database.run(
      `UPDATE ${tables?.carriers} SET doc = '{"flights":1}' WHERE key = 'UA';
      UPDATE ${tables?.airports} SET departures = 1 WHERE code = 'JFK'`,
    )
    await database.close()
    const { comparison } = await store.projections.rebuild('flights')
    expect(comparison).toMatchObject({ equal: false, different: 2, onlyOld: 0, onlyNew: 0 })
    expect(comparison?.rows.map(({ target, key }) => [target, key])).toEqual([
      ['carriers', 'UA'],
      ['airports', '["JFK"]'],
    ])
    await store.close()
  })

  if (!showsPlanted(place)) return
  test.skipIf(place.skip)('is seen when it switches before it has caught up', async () => {
    await campaign(`rebuilds planted: switches early, ${place.adapter}`, async (run) => {
      const { wrong } = await rebuildBesideAppends(run, place, (url) =>
        openHooked(
          url,
          {
            // The build takes the first page for the whole log.
            readLog: async function* (next, query, options) {
              for await (const page of next.readLog(query, options)) {
                yield page
                return
              }
            },
          },
          { projections },
        ),
      )
      expect(wrong.join()).toMatch(/flights after|in the end/)
    })
  })
})
