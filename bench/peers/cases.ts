import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import { type BenchCase, type Contender, errorLine, type OpenCase, type Ratio } from '../paired.ts'
import { RawPostgres } from '../postgres-raw.ts'
import type { Databases, FactBench } from '../read-side-cases.ts'
import type { Fact } from '../report.ts'
import { RawSqlite } from '../sqlite-raw.ts'
import { type BenchEvent, Workload } from '../workload.ts'
import type { InstalledPeers } from './install.ts'
import { eventsIn, type PeerOrder, peerStreamCount } from './orders.ts'
import { OwnSide } from './own.ts'
import { type Medium, type Peer, peers } from './peers.ts'
import { PeerProcess } from './process.ts'
import { log as sizeLog, type Work, works } from './works.ts'

/** What the cases need. */
export interface PeerBench {
  readonly folder: string
  readonly databases: Databases
  /** Installs when the first case is opened; throws without `--peers`. */
  installed(): InstalledPeers
  /** Longest time for one answer of a peer. */
  readonly timeoutMs: number
}

let logCount = 0

/** A log of its own: a file, a database, or nothing. */
async function placeOn(medium: Medium, { folder, databases }: PeerBench): Promise<string> {
  if (medium === 'postgres') return databases.empty()
  return medium === 'sqlite' ? join(folder, `peers-${++logCount}.db`) : ''
}

function urlOf(medium: Medium, place: string): string {
  if (medium === 'memory') return 'memory:'
  return medium === 'sqlite' ? `sqlite:${place}` : place
}

/** A thread with no connection waits for one: a server has not one for each of 256. */
const connectionsMax = 32

/** Its first event, before many callers are at it: to begin a stream is another race. */
const hotStream: PeerOrder = { do: 'append', calls: 1, size: 1, callers: 1, hot: true }

/** What each event of a peer is: the same as those of the store. */
function eventsOf(): BenchEvent[] {
  const work = new Workload(21)
  return Array.from({ length: 1024 }, () => work.event())
}

/** Durability as the peers told it, by name and medium. */
const told = new Map<string, string>()

export function peerSettings(): readonly string[] {
  return [...told].map(([who, what]) => `${who}: ${what}, read back`)
}

async function openPeer(peer: Peer, work: Work, bench: PeerBench): Promise<PeerProcess> {
  const process = new PeerProcess(peer.command(bench.installed()), bench.timeoutMs)
  try {
    const url = await placeOn(peer.medium, bench)
    await process.ask({
      do: 'open',
      url,
      events: eventsOf(),
      connections: Math.max(5, Math.min(connectionsMax, work.callers)),
    })
    await process.ask({ do: 'fill', ...work.fill })
    if (work.hot === true) await process.ask(hotStream)
    told.set(`${peer.name} on ${peer.medium}`, String(await process.ask({ do: 'settings' })))
    return process
  } catch (error) {
    await process.close()
    throw error
  }
}

/** Peers that failed before their first turn fail in it, as a row of the result. */
async function peerContenders(
  peer: Peer,
  work: Work,
  bench: PeerBench,
): Promise<{ readonly contenders: Contender[]; close(): Promise<void> }> {
  const opened = await openPeer(peer, work, bench).catch((error: unknown) => error as Error)
  const consumes = work.power === 'pass' || work.power === 'project'
  const ways = consumes ? peer.ways : peer.ways.slice(0, 1)
  const contenders = ways.map(
    (way): Contender => ({
      name: `${peer.name}${way.suffix}`,
      what: consumes ? `${peer.what}; ${way.what}` : peer.what,
      eventsPerCall: work.eventsPerCall,
      callsMin: callsMinOf(work),
      mayFail: true,
      run: async (calls) => {
        if (opened instanceof Error) throw opened
        await opened.ask(work.order(calls, way))
      },
    }),
  )
  const close = async (): Promise<void> => {
    if (!(opened instanceof Error)) await opened.close()
  }
  return { contenders, close }
}

function callsMinOf({ callers }: Work): number {
  if (callers === 1) return 1
  return callers > 100 ? 2 * callers : 4 * callers
}

function ownContender(name: string, what: string, work: Work, side: OwnSide): Contender {
  return {
    ...{ name, what, eventsPerCall: work.eventsPerCall },
    callsMin: callsMinOf(work),
    run: (calls) => work.own(side, calls),
  }
}

/** The raw driver on a log that the store has filled. */
async function rawContender(
  medium: Medium,
  work: Work,
  bench: PeerBench,
): Promise<{ readonly contender: Contender; close(): Promise<void> }> {
  const place = await placeOn(medium, bench)
  await (await OwnSide.open(urlOf(medium, place), work.fill)).close()
  const parts = { headRows: true, idsAndChecksums: false }
  const raw =
    medium === 'sqlite'
      ? await RawSqlite.open(place, 'node:sqlite', parts)
      : await RawPostgres.open(place, false)
  const events = new Workload(21)
  let next = 0
  const runs = {
    append: () =>
      raw.append([[`order-${next++ % peerStreamCount}`, events.events(work.size ?? 1)]]),
    load: () => raw.load('load-1000'),
    scan: () => raw.scan(),
  }
  const run = runs[work.raw ?? 'append']
  const contender: Contender = {
    ...{ name: 'raw', what: "the store's statements in a plain loop" },
    eventsPerCall: work.eventsPerCall,
    run: async (calls) => {
      for (let i = 0; i < calls; i++) await run()
    },
  }
  return { contender, close: async () => raw.close() }
}

async function openCase(medium: Medium, work: Work, bench: PeerBench): Promise<OpenCase> {
  const closing: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (const end of closing) await end()
  }
  const contenders: Contender[] = []
  const ratios: Ratio[] = []
  const own = async (name: string, driver?: 'better-sqlite3'): Promise<void> => {
    const url = urlOf(medium, await placeOn(medium, bench))
    const side = await OwnSide.open(url, work.fill, driver)
    if (work.hot === true) await side.append(1, 1, 1, true)
    closing.push(() => side.close())
    contenders.push(ownContender(name, `the store; ${work.what}`, work, side))
  }
  try {
    await own('store')
    if (medium === 'sqlite') await own('store, better-sqlite3', 'better-sqlite3')
    if (work.raw !== undefined && medium !== 'memory') {
      const raw = await rawContender(medium, work, bench)
      closing.push(raw.close)
      contenders.push(raw.contender)
      ratios.push({ of: 'store', to: 'raw' })
    }
    for (const peer of peers) {
      if (peer.medium !== medium || !peer.powers.includes(work.power)) continue
      const opened = await peerContenders(peer, work, bench)
      closing.push(opened.close)
      contenders.push(...opened.contenders)
      for (const { name } of opened.contenders) {
        const goal = work.goal?.(name, medium)
        ratios.push({ of: 'store', to: name, ...(goal === undefined ? {} : { goal }) })
      }
    }
    if (medium === 'sqlite') ratios.push({ of: 'store, better-sqlite3', to: 'store' })
  } catch (error) {
    await close()
    throw error
  }
  return { contenders, ratios, close }
}

/** Bytes of a log at rest, its journal included in it. */
async function bytesOf(medium: Medium, place: string): Promise<number> {
  if (medium === 'sqlite') {
    const file = new DatabaseSync(place)
    file.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    const [pages, size] = ['page_count', 'page_size'].map((name) =>
      Number(Object.values(file.prepare(`PRAGMA ${name}`).get() ?? {})[0]),
    )
    file.close()
    return (pages ?? 0) * (size ?? 0)
  }
  const client = new pg.Client({ connectionString: place })
  await client.connect()
  const { rows } = await client.query<{ readonly bytes: string }>(
    `SELECT sum(pg_total_relation_size(oid)) AS bytes FROM pg_class
     WHERE relkind IN ('r', 'm') AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'`,
  )
  await client.end()
  return Number(rows[0]?.bytes)
}

async function bytesFor(peer: Peer, bench: PeerBench): Promise<number> {
  const place = await placeOn(peer.medium, bench)
  const process = new PeerProcess(peer.command(bench.installed()), bench.timeoutMs)
  try {
    await process.ask({ do: 'open', url: place, events: eventsOf(), connections: 5 })
    await process.ask({ do: 'fill', ...sizeLog })
  } finally {
    await process.close()
  }
  return bytesOf(peer.medium, place)
}

/** What an event takes on disk, its indexes and all tables around it included. */
export function sizeBench(
  medium: Medium,
  bench: PeerBench & { readonly withPeers: boolean },
): FactBench {
  const title = `${medium} size on disk per event`
  const fact = (name: string, bytes: number): Fact => ({
    ...{ name: `${title}, ${name}`, value: bytes / eventsIn(sizeLog), unit: 'bytes' },
  })
  const run = async (): Promise<readonly Fact[]> => {
    const facts: Fact[] = []
    const place = await placeOn(medium, bench)
    await (await OwnSide.open(urlOf(medium, place), sizeLog)).close()
    facts.push(fact('store', await bytesOf(medium, place)))
    for (const peer of bench.withPeers ? peers.filter((each) => each.medium === medium) : []) {
      try {
        facts.push(fact(peer.name, await bytesFor(peer, bench)))
      } catch (error) {
        facts.push({ ...fact(peer.name, 0), failed: errorLine(error) })
      }
    }
    return facts
  }
  return { name: title, run }
}

/** The same works for the store and its peers: on one medium or on all. */
export function peerCases(medium: Medium, bench: PeerBench): readonly BenchCase[] {
  return works
    .filter(
      ({ media, power }) =>
        media.includes(medium) &&
        peers.some((peer) => peer.medium === medium && peer.powers.includes(power)),
    )
    .map((work) => ({
      name: `${medium} beside peers: ${work.name}`,
      ...(work.turns === undefined ? {} : { turns: work.turns }),
      open: () => openCase(medium, work, bench),
    }))
}
