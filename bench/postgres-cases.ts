import { openStore, type Store } from 'eventuali'
import pg from 'pg'
import { type PostgresServer, startPostgres } from '../packages/eventuali/test/servers/postgres.ts'
import { fillBase, withCallers } from './base-log.ts'
import { manyCallersCases, openLoopFacts } from './callers-cases.ts'
import type { BenchCase, Contender, OpenCase, Ratio } from './paired.ts'
import { RawPostgres } from './postgres-raw.ts'
import type { FactBench, Databases as ServerDatabases } from './read-side-cases.ts'
import { costCases } from './store-cases.ts'
import { longStream, longStreamEventCount, Workload } from './workload.ts'

const goal = 0.9
const callersGoal = 6
const insertsGoal = 2
const callers = 32

const whatStore = 'the store'
const whatRaw =
  'its call on one connection, with JSON.stringify; the same id and no checksum in every row'
const whatFull = 'the same rows as the store: a UUIDv7 and a CRC-32 for each event'
const whatRead = 'its statement, raw texts, rows as arrays, JSON.parse of data and metadata'
const whatInsert = 'one plain INSERT for each event, no head row, no check, no ids'

const againstBoth: readonly Ratio[] = [
  { of: 'store', to: 'raw', goal },
  { of: 'store', to: 'raw+ids+crc' },
]

/** Databases that begin with the same log, made once by the store itself. */
class Databases {
  readonly #baseCount: number
  #server: Promise<PostgresServer> | undefined
  #base: Promise<string> | undefined

  constructor(baseCount: number) {
    this.#baseCount = baseCount
  }

  /** Started by the first case that is run, with durable settings. */
  server(): Promise<PostgresServer> {
    this.#server ??= startPostgres({
      settings: {
        fsync: 'on',
        synchronous_commit: 'on',
        shared_buffers: '256MB',
        max_connections: '500',
      },
    })
    return this.#server
  }

  async stop(): Promise<void> {
    await (await this.#server)?.stop()
  }

  async next(): Promise<string> {
    this.#base ??= this.#makeBase()
    const base = new URL(await this.#base).pathname.slice(1)
    const server = await this.server()
    const url = new URL(server.url)
    const name = `bench_${++databaseCount}`
    url.pathname = `/${name}`
    await withClient(server.url, (client) =>
      client.query(`CREATE DATABASE ${name} TEMPLATE ${base}`),
    )
    return url.href
  }

  async #makeBase(): Promise<string> {
    const url = await (await this.server()).database()
    const store = await openStore(url)
    await fillBase(store, this.#baseCount)
    await store.close()
    await withClient(url, (client) => client.query('VACUUM ANALYZE'))
    return url
  }
}

let databaseCount = 0

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

interface Opened {
  readonly store: Store
  readonly raw: RawPostgres
  readonly rawFull: RawPostgres
  close(): Promise<void>
}

async function sides(databases: Databases): Promise<Opened> {
  const store = await openStore(await databases.next())
  const raw = await RawPostgres.open(await databases.next(), false)
  const rawFull = await RawPostgres.open(await databases.next(), true)
  const close = async (): Promise<void> => {
    await Promise.all([store.close(), raw.close(), rawFull.close()])
  }
  return { store, raw, rawFull, close }
}

async function times(calls: number, call: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < calls; i++) await call()
}

function appendCase(databases: Databases, size: number): BenchCase {
  const open = async (): Promise<OpenCase> => {
    const { store, raw, rawFull, close } = await sides(databases)
    const [a, b, c] = [new Workload(2), new Workload(2), new Workload(2)]
    const entry = (work: Workload) => [[work.stream(), work.events(size)]] as const
    const contenders: Contender[] = [
      {
        name: 'store',
        what: whatStore,
        eventsPerCall: size,
        run: (calls) => times(calls, () => store.append(a.stream(), a.events(size))),
      },
      {
        name: 'raw',
        what: whatRaw,
        eventsPerCall: size,
        run: (calls) => times(calls, () => raw.append(entry(b))),
      },
      {
        name: 'raw+ids+crc',
        what: whatFull,
        eventsPerCall: size,
        run: (calls) => times(calls, () => rawFull.append(entry(c))),
      },
    ]
    if (size > 1) return { contenders, ratios: againstBoth, close }
    const plain = await RawPostgres.open(await databases.next(), false)
    const d = new Workload(2)
    contenders.push({
      name: 'plain INSERT',
      what: whatInsert,
      eventsPerCall: 1,
      run: (calls) => times(calls, () => plain.insert(d.stream(), d.event())),
    })
    const ratios = [...againstBoth, { of: 'store', to: 'plain INSERT' }]
    const closeAll = async (): Promise<void> => {
      await plain.close()
      await close()
    }
    return { contenders, ratios, close: closeAll }
  }
  return { name: `postgres append ${size}`, open }
}

/** Plain INSERTs over many connections, as many as they can. */
function insertsOver(sides: readonly RawPostgres[], work: Workload) {
  return async (calls: number): Promise<void> => {
    let left = calls
    // Streams of each connection's own, or two of them would wait for each other.
    const caller = async (side: RawPostgres, i: number): Promise<void> => {
      while (left-- > 0) await side.insert(`order-${i}`, work.event())
    }
    await Promise.all(sides.map(caller))
  }
}

function callersCase(databases: Databases): BenchCase {
  const open = async (): Promise<OpenCase> => {
    const { store, raw, rawFull, close } = await sides(databases)
    const one = await openStore(await databases.next())
    const plainUrl = await databases.next()
    const inserting = await Promise.all(
      Array.from({ length: callers }, () => RawPostgres.open(plainUrl, false)),
    )
    const works = Array.from({ length: 5 }, () => new Workload(3))
    const [a, b, c, d, e] = works as [Workload, Workload, Workload, Workload, Workload]
    const grouped = (side: RawPostgres, work: Workload) => async (calls: number) => {
      for (let done = 0; done < calls; done += callers) {
        const count = Math.min(callers, calls - done)
        await side.append(Array.from({ length: count }, () => [work.stream(), [work.event()]]))
      }
    }
    const contenders: Contender[] = [
      {
        name: 'store',
        what: whatStore,
        eventsPerCall: 1,
        callsMin: 4 * callers,
        run: (calls) => withCallers(callers, calls, () => store.append(a.stream(), a.event())),
      },
      {
        name: 'raw',
        what: `${whatRaw}, ${callers} requests in a call`,
        eventsPerCall: 1,
        callsMin: 4 * callers,
        run: grouped(raw, b),
      },
      {
        name: 'raw+ids+crc',
        what: whatFull,
        eventsPerCall: 1,
        callsMin: 4 * callers,
        run: grouped(rawFull, c),
      },
      {
        name: 'one caller',
        what: whatStore,
        eventsPerCall: 1,
        run: (calls) => times(calls, () => one.append(d.stream(), d.event())),
      },
      {
        name: 'plain INSERT',
        what: `${whatInsert}, over ${callers} connections`,
        eventsPerCall: 1,
        callsMin: 4 * callers,
        run: insertsOver(inserting, e),
      },
    ]
    const ratios = [
      ...againstBoth,
      { of: 'store', to: 'one caller', goal: callersGoal },
      { of: 'store', to: 'plain INSERT', goal: insertsGoal },
    ]
    const closeAll = async (): Promise<void> => {
      await Promise.all([one.close(), ...inserting.map((side) => side.close()), close()])
    }
    return { contenders, ratios, close: closeAll }
  }
  return { name: `postgres ${callers} callers`, open }
}

function loadCase(databases: Databases): BenchCase {
  const open = async (): Promise<OpenCase> => {
    const { store, raw, close } = await sides(databases)
    const eventsPerCall = longStreamEventCount
    const contenders: Contender[] = [
      {
        name: 'store',
        what: whatStore,
        eventsPerCall,
        run: (calls) => times(calls, () => store.readStream(longStream).toArray()),
      },
      {
        name: 'raw',
        what: whatRead,
        eventsPerCall,
        run: (calls) => times(calls, () => raw.load(longStream)),
      },
    ]
    return { contenders, ratios: [{ of: 'store', to: 'raw', goal }], close }
  }
  return { name: 'postgres load 1,000', open }
}

function scanCase(databases: Databases): BenchCase {
  const open = async (): Promise<OpenCase> => {
    const { store, raw, close } = await sides(databases)
    const eventsPerCall = await raw.scan()
    const pages = async (): Promise<void> => {
      for await (const _page of store.readAll().pages());
    }
    const single = async (): Promise<void> => {
      for await (const _event of store.readAll());
    }
    const contenders: Contender[] = [
      {
        name: 'pages',
        what: 'the store, readAll().pages()',
        eventsPerCall,
        run: (calls) => times(calls, pages),
      },
      {
        name: 'raw',
        what: whatRead,
        eventsPerCall,
        run: (calls) => times(calls, () => raw.scan()),
      },
      {
        name: 'for await',
        what: 'the store, event by event',
        eventsPerCall,
        run: (calls) => times(calls, single),
      },
    ]
    const ratios = [
      { of: 'pages', to: 'raw', goal },
      { of: 'for await', to: 'raw', goal },
    ]
    return { contenders, ratios, close }
  }
  return { name: 'postgres full scan', open }
}

/** The cases on a PostgreSQL that is started for them, when the first of them is. */
export interface PostgresBench {
  readonly cases: readonly BenchCase[]
  readonly facts: readonly FactBench[]
  /** For cases that bring their own. */
  readonly databases: ServerDatabases
  /** Version and durability as the server tells them. */
  settings(): Promise<{ readonly version: string; readonly durability: string }>
  close(): Promise<void>
}

export function postgresBench(baseCount: number, quick: boolean): PostgresBench {
  const databases = new Databases(baseCount)
  const openEmpty = async (): Promise<Store> =>
    openStore(await (await databases.server()).database())
  const callersSides = {
    store: async () => openStore(await databases.next()),
    raw: async () => RawPostgres.open(await databases.next(), false),
  }
  return {
    cases: [
      appendCase(databases, 1),
      appendCase(databases, 100),
      callersCase(databases),
      loadCase(databases),
      scanCase(databases),
      ...costCases('postgres', openEmpty),
      ...manyCallersCases('postgres', callersSides),
    ],
    facts: [openLoopFacts('postgres', callersSides, quick)],
    databases: {
      next: () => databases.next(),
      empty: async () => (await databases.server()).database(),
    },
    settings: async () => {
      const sql = `SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync,
        current_setting('synchronous_commit') AS sync, current_setting('wal_sync_method') AS method`
      const { url } = await databases.server()
      const { rows } = await withClient(url, (client) => client.query<Record<string, string>>(sql))
      const { version = '?', fsync, sync, method } = rows[0] ?? {}
      return {
        version,
        durability: `PostgreSQL: fsync ${fsync}, synchronous_commit ${sync}, ${method}`,
      }
    },
    close: () => databases.stop(),
  }
}
