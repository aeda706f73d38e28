import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { openStore, type Store } from 'eventuali'
import { fillBase, withCallers } from './base-log.ts'
import { type Sides as CallersSides, manyCallersCases, openLoopFacts } from './callers-cases.ts'
import type { BenchCase, Contender, OpenCase, Ratio } from './paired.ts'
import type { FactBench } from './read-side-cases.ts'
import { RawSqlite } from './sqlite-raw.ts'
import { longStream, longStreamEventCount, Workload } from './workload.ts'

/** What the cases of a run share. */
export interface SqliteBench {
  readonly folder: string
  /** Events in the log before a case begins. */
  readonly baseCount: number
  readonly quick: boolean
}

/** The cases, and the figures that are no ratios. */
export interface SqliteCases {
  readonly cases: readonly BenchCase[]
  readonly facts: readonly FactBench[]
}

type DriverName = 'node:sqlite' | 'better-sqlite3'

const goal = 0.9
const callersGoal = 6
const callers = 32

const whatStore = 'the store'
const whatRaw =
  'its statements in a plain loop, with JSON.stringify; the same id and no checksum in every row'
const whatFull = 'the same rows as the store: a UUIDv7 and a CRC-32 for each event'
const whatRead = 'its statement, rows as arrays, JSON.parse of data and metadata'

const plain = { headRows: true, idsAndChecksums: false }
const full = { headRows: true, idsAndChecksums: true }
const bare = { headRows: false, idsAndChecksums: false }

let fileCount = 0

/** Files that begin with the same log, made once by the store itself. */
class Files {
  readonly #bench: SqliteBench
  #base: Promise<string> | undefined

  constructor(bench: SqliteBench) {
    this.#bench = bench
  }

  async next(): Promise<string> {
    this.#base ??= this.#makeBase()
    const file = join(this.#bench.folder, `bench-${++fileCount}.db`)
    copyFileSync(await this.#base, file)
    return file
  }

  async #makeBase(): Promise<string> {
    const file = join(this.#bench.folder, 'base.db')
    const store = await openStore(`sqlite:${file}`)
    await fillBase(store, this.#bench.baseCount)
    await store.close()
    return file
  }
}

interface Sides {
  readonly store: Store
  readonly raw: RawSqlite
  readonly rawFull: RawSqlite
}

async function sides(files: Files, driver: DriverName): Promise<Sides> {
  return {
    store: await openStore(`sqlite:${await files.next()}`, { driver }),
    raw: await RawSqlite.open(await files.next(), driver, plain),
    rawFull: await RawSqlite.open(await files.next(), driver, full),
  }
}

function opened(
  { store, raw, rawFull }: Sides,
  contenders: readonly Contender[],
  ratios: readonly Ratio[],
): OpenCase {
  const close = async (): Promise<void> => {
    raw.close()
    rawFull.close()
    await store.close()
  }
  return { contenders, ratios, close }
}

const againstBoth: readonly Ratio[] = [
  { of: 'store', to: 'raw', goal },
  { of: 'store', to: 'raw+ids+crc' },
]

/** `size` events an append, one caller. */
function appendCase(files: Files, driver: DriverName, size: number): BenchCase {
  const open = async (): Promise<OpenCase> => {
    const all = await sides(files, driver)
    const [a, b, c] = [new Workload(2), new Workload(2), new Workload(2)]
    const rawRun = (raw: RawSqlite, work: Workload) => (calls: number) => {
      for (let i = 0; i < calls; i++) raw.append([[work.stream(), work.events(size)]])
    }
    const contenders: Contender[] = [
      {
        name: 'store',
        what: whatStore,
        eventsPerCall: size,
        run: async (calls) => {
          for (let i = 0; i < calls; i++) await all.store.append(a.stream(), a.events(size))
        },
      },
      { name: 'raw', what: whatRaw, eventsPerCall: size, run: rawRun(all.raw, b) },
      { name: 'raw+ids+crc', what: whatFull, eventsPerCall: size, run: rawRun(all.rawFull, c) },
    ]
    return opened(all, contenders, againstBoth)
  }
  return { name: `${driver} append ${size}`, open }
}

/** Callers that each await their one-event append, beside one such caller and a raw loop. */
function callersCase(files: Files, driver: DriverName): BenchCase {
  const open = async (): Promise<OpenCase> => {
    const all = await sides(files, driver)
    const one = await openStore(`sqlite:${await files.next()}`, { driver })
    const [a, b, c, d] = [new Workload(3), new Workload(3), new Workload(3), new Workload(3)]
    const rawRun = (raw: RawSqlite, work: Workload) => (calls: number) => {
      for (let done = 0; done < calls; done += callers) {
        const count = Math.min(callers, calls - done)
        raw.append(Array.from({ length: count }, () => [work.stream(), [work.event()]]))
      }
    }
    const contenders: Contender[] = [
      {
        name: 'store',
        what: whatStore,
        eventsPerCall: 1,
        callsMin: 4 * callers,
        run: (calls) => withCallers(callers, calls, () => all.store.append(a.stream(), a.event())),
      },
      {
        name: 'raw',
        what: `${whatRaw}, ${callers} streams in a transaction`,
        eventsPerCall: 1,
        callsMin: 4 * callers,
        run: rawRun(all.raw, b),
      },
      {
        name: 'raw+ids+crc',
        what: whatFull,
        eventsPerCall: 1,
        callsMin: 4 * callers,
        run: rawRun(all.rawFull, c),
      },
      {
        name: 'one caller',
        what: whatStore,
        eventsPerCall: 1,
        run: (calls) => withCallers(1, calls, () => one.append(d.stream(), d.event())),
      },
    ]
    const ratios = [...againstBoth, { of: 'store', to: 'one caller', goal: callersGoal }]
    const { close, ...rest } = opened(all, contenders, ratios)
    return {
      ...rest,
      close: async () => {
        await one.close()
        await close()
      },
    }
  }
  return { name: `${driver} ${callers} callers`, open }
}

function loadCase(files: Files, driver: DriverName): BenchCase {
  const open = async (): Promise<OpenCase> => {
    const all = await sides(files, driver)
    const contenders: Contender[] = [
      {
        name: 'store',
        what: whatStore,
        eventsPerCall: longStreamEventCount,
        run: async (calls) => {
          for (let i = 0; i < calls; i++) await all.store.readStream(longStream).toArray()
        },
      },
      {
        name: 'raw',
        what: whatRead,
        eventsPerCall: longStreamEventCount,
        run: (calls) => {
          for (let i = 0; i < calls; i++) all.raw.load(longStream)
        },
      },
    ]
    return opened(all, contenders, [{ of: 'store', to: 'raw', goal }])
  }
  return { name: `${driver} load 1,000`, open }
}

function scanCase(files: Files, driver: DriverName): BenchCase {
  const open = async (): Promise<OpenCase> => {
    const all = await sides(files, driver)
    const eventsPerCall = all.raw.scan()
    const contenders: Contender[] = [
      {
        name: 'pages',
        what: 'the store, readAll().pages()',
        eventsPerCall,
        run: async (calls) => {
          for (let i = 0; i < calls; i++) {
            for await (const _page of all.store.readAll().pages());
          }
        },
      },
      {
        name: 'raw',
        what: whatRead,
        eventsPerCall,
        run: (calls) => {
          for (let i = 0; i < calls; i++) all.raw.scan()
        },
      },
      {
        name: 'for await',
        what: 'the store, event by event',
        eventsPerCall,
        run: async (calls) => {
          for (let i = 0; i < calls; i++) {
            for await (const _event of all.store.readAll());
          }
        },
      },
    ]
    const ratios = [
      { of: 'pages', to: 'raw', goal },
      { of: 'for await', to: 'raw', goal },
    ]
    return opened(all, contenders, ratios)
  }
  return { name: `${driver} full scan`, open }
}

/** What the row of each stream's head and that of the last position cost. */
function headRowCase(files: Files, size: number): BenchCase {
  const open = async (): Promise<OpenCase> => {
    const withRows = await RawSqlite.open(await files.next(), 'node:sqlite', plain)
    const without = await RawSqlite.open(await files.next(), 'node:sqlite', bare)
    const run = (raw: RawSqlite, work: Workload) => (calls: number) => {
      for (let i = 0; i < calls; i++) raw.append([[work.stream(), work.events(size)]])
    }
    const contenders: Contender[] = [
      {
        name: 'with head rows',
        what: whatRaw,
        eventsPerCall: size,
        run: run(withRows, new Workload(4)),
      },
      {
        name: 'without',
        what: 'the inserts only, versions and positions counted in the loop',
        eventsPerCall: size,
        run: run(without, new Workload(4)),
      },
    ]
    const close = (): void => {
      withRows.close()
      without.close()
    }
    return { contenders, ratios: [{ of: 'with head rows', to: 'without' }], close }
  }
  return { name: `node:sqlite head rows, append ${size}`, open }
}

function sidesOf(files: Files, driver: DriverName): CallersSides {
  return {
    store: async () => openStore(`sqlite:${await files.next()}`, { driver }),
    raw: async () => RawSqlite.open(await files.next(), driver, plain),
  }
}

/** All cases on SQLite. */
export function sqliteCases(bench: SqliteBench): SqliteCases {
  const files = new Files(bench)
  const both: readonly DriverName[] = ['node:sqlite', 'better-sqlite3']
  const cases = [
    ...both.flatMap((driver) => [
      appendCase(files, driver, 1),
      appendCase(files, driver, 100),
      callersCase(files, driver),
      loadCase(files, driver),
      scanCase(files, driver),
      ...manyCallersCases(driver, sidesOf(files, driver)),
    ]),
    headRowCase(files, 1),
    headRowCase(files, 100),
  ]
  const sides = sidesOf(files, 'node:sqlite')
  return { cases, facts: [openLoopFacts('node:sqlite', sides, bench.quick)] }
}

/** The versions of both builds of SQLite, as they tell themselves. */
export async function sqliteVersions(): Promise<{
  readonly sqlite: string
  readonly betterSqlite: string
}> {
  const of = async (driver: DriverName): Promise<string> => {
    const store = await openStore('sqlite::memory:', { driver })
    const { sqlite_version: version = '?' } = await store.port.settings()
    await store.close()
    return version
  }
  return { sqlite: await of('node:sqlite'), betterSqlite: await of('better-sqlite3') }
}

/** What a store of the cases says of its durability. */
export async function sqliteDurability(folder: string): Promise<string> {
  const store = await openStore(`sqlite:${join(folder, 'settings.db')}`)
  await store.append('order-1', new Workload(1).event())
  const { journal_mode: journal, synchronous } = await store.port.settings()
  await store.close()
  return `SQLite: journal_mode ${journal?.toUpperCase()}, synchronous ${synchronous}, read back from the store`
}
