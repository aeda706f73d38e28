import { join } from 'node:path'
import { openStore, type Store } from 'eventuali'
import { fillBase } from './base-log.ts'
import { Consumers } from './consumers.ts'
import type { BenchCase, Contender, OpenCase } from './paired.ts'
import { RawPostgres } from './postgres-raw.ts'
import type { Fact } from './report.ts'
import { RawSqlite } from './sqlite-raw.ts'
import { Workload } from './workload.ts'

/** The log of a case: a store on it, and a raw reader beside it. */
export interface ReadSide {
  readonly store: Store
  /** Reads and parses the whole log; gives the number of its events. */
  scan(): Promise<number> | number
  close(): Promise<void>
}

/** Figures that are no ratios. */
export interface FactBench {
  readonly name: string
  run(): Promise<readonly Fact[]>
}

const goal = 0.8
const maxBatch = 1000
const latencyCount = 500
const quietMs = 10

/** Subscribes from the beginning and waits until the handler has seen the event at `upTo`. */
async function catchUp(store: Store, upTo: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const batch = (_events: readonly unknown[], { position }: { readonly position: number }) => {
    if (position >= upTo) resolve()
  }
  const subscription = store.subscribe({}, { batch, maxBatch })
  subscription.done.catch(reject)
  await promise
  await subscription.stop()
}

function catchUpCase(name: string, open: () => Promise<ReadSide>): BenchCase {
  const openCase = async (): Promise<OpenCase> => {
    const { store, scan, close } = await open()
    const eventsPerCall = await scan()
    const { newest } = await store.positions()
    const consumers = await Consumers.of(store)
    const durable = (as: string, what: string, partitions: number): Contender => ({
      ...{ name: as, what, eventsPerCall },
      run: async (calls) => {
        for (let i = 0; i < calls; i++) await consumers.pass(partitions)
      },
    })
    const contenders: Contender[] = [
      {
        name: 'subscribe',
        what: `the store, a subscription from the beginning with a handler of batches of ${maxBatch} that does nothing`,
        eventsPerCall,
        run: async (calls) => {
          for (let i = 0; i < calls; i++) await catchUp(store, newest)
        },
      },
      {
        name: 'raw',
        what: 'its statement in pages, rows as arrays, JSON.parse of data and metadata',
        eventsPerCall,
        run: async (calls) => {
          for (let i = 0; i < calls; i++) await scan()
        },
      },
      durable('durable', 'the same under a name, which saves where it is', 1),
      durable('group', 'the same as the only member of a group of 64 partitions', 64),
    ]
    const ratios = ['subscribe', 'durable', 'group'].map((of) => ({
      ...{ of, to: 'raw' },
      ...(of === 'group' ? {} : { goal }),
    }))
    const closeAll = async (): Promise<void> => {
      await consumers.stop()
      await close()
    }
    return { contenders, ratios, close: closeAll }
  }
  return { name: `${name} catch-up`, open: openCase }
}

/** The value below which the share `part` of the sorted values lies. */
function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Milliseconds from the call of `append` to that of the handler, one event after another. */
async function latencies(store: Store, pauseMs: number, count: number): Promise<number[]> {
  const work = new Workload(7)
  let arrived = Promise.withResolvers<number>()
  const subscription = store.subscribe({}, () => arrived.resolve(performance.now()))
  const { newest } = await store.positions()
  while (subscription.position < newest) await pause(1)
  const found: number[] = []
  for (let i = -50; i < count; i++) {
    arrived = Promise.withResolvers<number>()
    const started = performance.now()
    const appended = store.append(work.stream(), work.event())
    const ms = (await arrived.promise) - started
    await appended
    // The first ones warm up.
    if (i >= 0) found.push(ms)
    if (pauseMs > 0) await pause(pauseMs)
  }
  await subscription.stop()
  return found.sort((a, b) => a - b)
}

function latencyBench(name: string, open: () => Promise<Store>, quick: boolean): FactBench {
  const run = async (): Promise<readonly Fact[]> => {
    const store = await open()
    const count = quick ? 20 : latencyCount
    const facts: Fact[] = []
    for (const [how, pauseMs] of [
      [`an event each ${quietMs} ms`, quietMs],
      ['one event after another', 0],
    ] as const) {
      const sorted = await latencies(store, pauseMs, count)
      for (const [label, part] of [
        ['p50', 0.5],
        ['p99', 0.99],
      ] as const) {
        const what = `${name} append to live handler, ${how}, ${label}`
        facts.push({ name: what, value: quantile(sorted, part), unit: 'ms' })
      }
    }
    await store.close()
    return facts
  }
  return { name: `${name} latency`, run }
}

/** What the read side is measured on. */
export interface ReadSideBench {
  readonly cases: readonly BenchCase[]
  readonly facts: readonly FactBench[]
}

/** Catch-up and latency on SQLite. */
export function sqliteReadSide(folder: string, baseCount: number, quick: boolean): ReadSideBench {
  const file = join(folder, 'read-side.db')
  const open = async (): Promise<ReadSide> => {
    const store = await openStore(`sqlite:${file}`)
    if ((await store.positions()).newest === 0) await fillBase(store, baseCount)
    const parts = { headRows: true, idsAndChecksums: false }
    const raw = await RawSqlite.open(file, 'node:sqlite', parts)
    const close = async (): Promise<void> => {
      raw.close()
      await store.close()
    }
    return { store, scan: () => raw.scan(), close }
  }
  const empty = () => openStore(`sqlite:${join(folder, 'latency.db')}`)
  return {
    cases: [catchUpCase('node:sqlite', open)],
    facts: [latencyBench('node:sqlite', empty, quick)],
  }
}

/** Databases of a PostgreSQL server. */
export interface Databases {
  /** Url of a new one with the base log. */
  next(): Promise<string>
  /** Url of a new one without tables. */
  empty(): Promise<string>
}

/** Catch-up and latency on PostgreSQL. */
export function postgresReadSide(databases: Databases, quick: boolean): ReadSideBench {
  const open = async (): Promise<ReadSide> => {
    const url = await databases.next()
    const store = await openStore(url)
    const raw = await RawPostgres.open(url, false)
    const close = async (): Promise<void> => {
      await Promise.all([store.close(), raw.close()])
    }
    return { store, scan: () => raw.scan(), close }
  }
  const empty = async () => openStore(await databases.empty())
  return {
    cases: [catchUpCase('postgres', open)],
    facts: [latencyBench('postgres', empty, quick)],
  }
}
