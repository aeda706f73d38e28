import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import {
  type PostgresServer,
  postgresSkipReason,
  startPostgres,
} from '../../test/servers/postgres.ts'
import { systemClock, systemRandom, uuidV7Source } from '../kernel/index.ts'
import type { EventStore } from '../ports/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { openPostgresStore } from '../stores/postgres/index.ts'
import { openSqliteStore } from '../stores/sqlite/index.ts'

const ids = uuidV7Source(systemClock, systemRandom)

/** What a test of one adapter gets. */
export interface StoreUnderTest {
  readonly adapter: string
  /** A fresh, empty store. */
  readonly open: () => Promise<EventStore>
  /** The last one once more, as another process has it. */
  readonly openAgain: () => Promise<EventStore>
}

/** Describes the same for every adapter. */
export function describeStores(title: string, define: (store: StoreUnderTest) => void): void {
  describe(`${title}: memory`, () => {
    let last: EventStore
    const open = async () => {
      last = await openMemoryStore()
      return last
    }
    define({ adapter: 'memory', open, openAgain: async () => last })
  })

  describe(`${title}: SQLite`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'eventuali-projections-'))
    const opened: EventStore[] = []
    let count = 0
    afterEach(() => Promise.all(opened.splice(0).map((store) => store.close())))
    afterAll(() => rmSync(folder, { recursive: true, force: true }))
    const openAgain = async () => {
      const store = await openSqliteStore({
        file: join(folder, `${count}.db`),
        profile: 'relaxed',
      })
      opened.push(store)
      return store
    }
    const open = () => {
      count += 1
      return openAgain()
    }
    define({ adapter: 'sqlite', open, openAgain })
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
    const openAgain = async () => {
      const injected = { clock: systemClock, random: systemRandom, ids }
      const store = await openPostgresStore({ url, schema: `s${count}`, ...injected })
      opened.push(store)
      return store
    }
    const open = () => {
      count += 1
      return openAgain()
    }
    define({ adapter: 'postgres', open, openAgain })
  })
}
