import pg from 'pg'
import { afterAll, beforeAll, describe } from 'vitest'
import {
  type PostgresServer,
  postgresSkipReason,
  startPostgres,
} from '../../../test/servers/postgres.ts'
import { systemClock, systemRandom, uuidV7Source } from '../../kernel/index.ts'
import type { EventStoreSubject } from '../../testing/index.ts'
import { openPostgresStore, type PostgresStoreOptions } from './index.ts'

const ids = uuidV7Source(systemClock, systemRandom)

/** Where one way to open the store is put through the contract: the ways run side by side. */
export class ContractServer {
  url = ''
  #forks = 0

  /** Opens with these options beside the injected sources of time, chance and ids. */
  open(options: Partial<PostgresStoreOptions> = {}): ReturnType<typeof openPostgresStore> {
    const place = options.pool === undefined ? { url: this.url } : {}
    return openPostgresStore({
      ...place,
      clock: systemClock,
      random: systemRandom,
      ids,
      ...options,
    })
  }

  /** What every subject has, whichever way it is opened. */
  get parts(): Pick<EventStoreSubject, 'begin' | 'forkPlace'> {
    return {
      begin: async () => {
        const client = new pg.Client({ connectionString: this.url })
        await client.connect()
        await client.query('BEGIN')
        const end = (sql: string) => async (): Promise<void> => {
          await client.query(sql)
          await client.end()
        }
        return { client, commit: end('COMMIT'), rollback: end('ROLLBACK') }
      },
      forkPlace: () => {
        const into = `fork${++this.#forks}`
        return { into, open: () => this.open({ schema: into }) }
      },
    }
  }
}

/** Describes a contract on a real server. */
export function describePostgres(define: (server: ContractServer) => void): void {
  describe.skipIf(postgresSkipReason() !== undefined)('PostgreSQL', () => {
    const place = new ContractServer()
    let server: PostgresServer
    beforeAll(async () => {
      server = await startPostgres()
      place.url = await server.database()
    }, 60_000)
    afterAll(() => server?.stop())
    define(place)
  })
}
