import { join } from 'node:path'
import { openStore, type Store } from 'eventuali'
import { fillBase } from './base-log.ts'
import { Consumers, customers } from './consumers.ts'
import type { BenchCase, Contender, OpenCase, Ratio } from './paired.ts'
import { RawProjectionPostgres, RawProjectionSqlite } from './projection-raw.ts'
import type { Databases } from './read-side-cases.ts'

const goal = 0.5

interface Sides {
  readonly store: Store
  raw(): Promise<number> | number
  close(): Promise<void>
}

function projectionCase(name: string, goals: readonly Ratio[], open: () => Promise<Sides>) {
  const openCase = async (): Promise<OpenCase> => {
    const { store, raw, close } = await open()
    const eventsPerCall = await raw()
    const consumers = await Consumers.of(store)
    await store.projections.start()
    const { newest } = await store.positions()
    await store.projected('customers', newest)
    const contenders: Contender[] = [
      {
        name: 'follow',
        what: 'the consumer that keeps an asynchronous projection current, from the beginning of the log into a new collection',
        eventsPerCall,
        run: async (calls) => {
          for (let i = 0; i < calls; i++) await consumers.follow()
        },
      },
      {
        name: 'rebuild',
        what: 'store.projections.rebuild without comparing rows',
        eventsPerCall,
        run: async (calls) => {
          const compare = { compare: false }
          for (let i = 0; i < calls; i++) await store.projections.rebuild('customers', compare)
        },
      },
      {
        name: 'raw',
        what: 'the same batches of 1,000 in a plain loop: read, parse, get the documents, upsert them and the checkpoint, commit',
        eventsPerCall,
        run: async (calls) => {
          for (let i = 0; i < calls; i++) await raw()
        },
      },
    ]
    const closeAll = async (): Promise<void> => {
      await consumers.stop()
      await close()
    }
    return { contenders, ratios: goals, close: closeAll }
  }
  return { name: `${name} projection`, open: openCase }
}

/** An asynchronous projection into a document collection, on SQLite. */
export function sqliteProjection(folder: string, baseCount: number): BenchCase {
  const goals = [
    { of: 'follow', to: 'raw', goal },
    { of: 'rebuild', to: 'raw', goal },
  ]
  return projectionCase('node:sqlite', goals, async () => {
    const files = [join(folder, 'projection.db'), join(folder, 'projection-raw.db')] as const
    for (const file of files) {
      const filling = await openStore(`sqlite:${file}`)
      await fillBase(filling, baseCount)
      await filling.close()
    }
    const store: Store = await openStore(`sqlite:${files[0]}`, { projections: [customers] })
    const raw = new RawProjectionSqlite(files[1])
    const close = async (): Promise<void> => {
      raw.close()
      await store.close()
    }
    return { store, raw: () => raw.run(), close }
  })
}

/** The same on PostgreSQL, without a goal. */
export function postgresProjection(databases: Databases): BenchCase {
  const goals = [
    { of: 'follow', to: 'raw' },
    { of: 'rebuild', to: 'raw' },
  ]
  return projectionCase('postgres', goals, async () => {
    const store: Store = await openStore(await databases.next(), { projections: [customers] })
    const raw = await RawProjectionPostgres.open(await databases.next())
    const close = async (): Promise<void> => {
      await Promise.all([store.close(), raw.close()])
    }
    return { store, raw: () => raw.run(), close }
  })
}
