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
}

/** Describes the same for every adapter. */
export function describeStores(title: string, define: (store: StoreUnderTest) => void): void {
  describe(`${title}: memory`, () => define({ adapter: 'memory', open: () => openMemoryStore() }))

  describe(`${title}: SQLite`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'eventuali-adapter-'))
    const opened: EventStore[] = []
    let count = 0
    afterEach(() => Promise.all(opened.splice(0).map((store) => store.close())))
    afterAll(() => rmSync(folder, { recursive: true, force: true }))
    const open = async () => {
      const store = await openSqliteStore({
        file: join(folder, `${++count}.db`),
        profile: 'relaxed',
      })
      opened.push(store)
      return store
    }
    define({ adapter: 'sqlite', open })
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
    const open = async () => {
      const injected = { clock: systemClock, random: systemRandom, ids }
      const store = await openPostgresStore({ url, schema: `s${++count}`, ...injected })
      opened.push(store)
      return store
    }
    define({ adapter: 'postgres', open })
  })
}
