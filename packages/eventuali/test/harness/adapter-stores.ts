import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import { systemClock, systemRandom, uuidV7Source } from '../../src/kernel/index.ts'
import type { EventStore } from '../../src/ports/index.ts'
import { openMemoryStore } from '../../src/stores/memory/index.ts'
import { openPostgresStore } from '../../src/stores/postgres/index.ts'
import { openSqliteStore } from '../../src/stores/sqlite/index.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'

const ids = uuidV7Source(systemClock, systemRandom)

/** What a test of one adapter gets: a fresh, empty store for each call. */
export interface StoreUnderTest {
  readonly adapter: string
  readonly open: () => Promise<EventStore>
  /** A name for a fork of such a store, and how to open what is there. */
  readonly forkPlace: () => ForkPlace
}

/** Where a fork may go. */
export interface ForkPlace {
  readonly into: string
  readonly open: () => Promise<EventStore>
}

/** Describes the same for every adapter. */
export function describeStores(title: string, define: (store: StoreUnderTest) => void): void {
  describe(`${title}: memory`, () => {
    const open = () => openMemoryStore()
    define({ adapter: 'memory', open, forkPlace: () => ({ into: 'nowhere', open }) })
  })

  describe(`${title}: SQLite`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'eventuali-adapter-'))
    const opened: EventStore[] = []
    let count = 0
    afterEach(() => Promise.all(opened.splice(0).map((store) => store.close())))
    afterAll(() => rmSync(folder, { recursive: true, force: true }))
    const openFile = async (file: string) => {
      const store = await openSqliteStore({ file, profile: 'relaxed' })
      opened.push(store)
      return store
    }
    const next = () => join(folder, `${++count}.db`)
    const forkPlace = () => {
      const into = next()
      return { into, open: () => openFile(into) }
    }
    define({ adapter: 'sqlite', open: () => openFile(next()), forkPlace })
  })

  describe.skipIf(postgresSkipReason() !== undefined)(`${title}: PostgreSQL`, () => {
    let server: PostgresServer
    let url: string
    const opened: EventStore[] = []
    let count = 0
    beforeAll(async () => {
      server = await startPostgres()
      url = await server.database()
    }, 60_000)
    afterEach(() => Promise.all(opened.splice(0).map((store) => store.close())))
    afterAll(() => server?.stop())
    const openSchema = async (schema: string) => {
      const injected = { clock: systemClock, random: systemRandom, ids }
      const store = await openPostgresStore({ url, schema, ...injected })
      opened.push(store)
      return store
    }
    const next = () => `s${++count}`
    const forkPlace = () => {
      const into = next()
      return { into, open: () => openSchema(into) }
    }
    define({ adapter: 'postgres', open: () => openSchema(next()), forkPlace })
  })
}
