import pg from 'pg'
import { afterAll, beforeAll, describe, it } from 'vitest'
import {
  type PostgresServer,
  postgresSkipReason,
  startPostgres,
} from '../../../test/servers/postgres.ts'
import { systemClock, systemRandom, uuidV7Source } from '../../kernel/index.ts'
import {
  bindVitest,
  checkpointContract,
  type EventStoreSubject,
  eventStoreContract,
  leaseContract,
  scheduleContract,
} from '../../testing/index.ts'
import { manifest, openPostgresStore, type PostgresStoreOptions } from './index.ts'

const ids = uuidV7Source(systemClock, systemRandom)
const injected = { clock: systemClock, random: systemRandom, ids }

let server: PostgresServer
let url: string

async function begin() {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query('BEGIN')
  const end = (sql: string) => async (): Promise<void> => {
    await client.query(sql)
    await client.end()
  }
  return { client, commit: end('COMMIT'), rollback: end('ROLLBACK') }
}

let forks = 0
const forkPlace = () => {
  const into = `fork${++forks}`
  return { into, open: () => openPostgresStore({ url, schema: into, ...injected }) }
}

const opened =
  (options: () => Partial<PostgresStoreOptions>) => async (): Promise<EventStoreSubject> => {
    const open = () => openPostgresStore({ url, ...injected, ...options() })
    return { store: await open(), openAgain: open, begin, forkPlace, dispose: async () => {} }
  }

const coded = async (): Promise<EventStoreSubject> => {
  const codec = { encoding: 'msgpack', compress: { with: 'zstd', above: 20 } } as const
  const open = (own: Partial<PostgresStoreOptions>) =>
    openPostgresStore({ url, schema: 'coded', ...injected, ...own })
  return {
    store: await open({ codec }),
    openAgain: () => open({}),
    begin,
    forkPlace,
    dispose: async () => {},
  }
}

const handedIn = async (): Promise<EventStoreSubject> => {
  const pool = new pg.Pool({ connectionString: url, max: 8 })
  const open = () => openPostgresStore({ pool, schema: 'handed_in', ...injected })
  return { store: await open(), openAgain: open, begin, forkPlace, dispose: () => pool.end() }
}

describe.skipIf(postgresSkipReason() !== undefined)('PostgreSQL', () => {
  beforeAll(async () => {
    server = await startPostgres()
    url = await server.database()
  }, 60_000)
  afterAll(() => server?.stop())

  const runner = { describe, it, manifest }
  bindVitest(eventStoreContract, { ...runner, label: 'url', make: opened(() => ({})) })
  // What stands above the port is shown on one of the ways to open the store.
  for (const contract of [checkpointContract(), leaseContract(), scheduleContract()]) {
    bindVitest(contract, { ...runner, label: 'url', make: opened(() => ({})) })
  }
  bindVitest(eventStoreContract, { ...runner, label: 'pool', make: handedIn })
  // The second handle writes JSON, as the first half of a log that is older than its codec.
  bindVitest(eventStoreContract, { ...runner, label: 'msgpack and zstd, beside JSON', make: coded })
})
