import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'vitest'
import {
  bindVitest,
  checkpointContract,
  type EventStoreSubject,
  eventStoreContract,
  leaseContract,
  scheduleContract,
} from '../../testing/index.ts'
import { manifest, openSqliteStore, type SqliteStoreOptions } from './index.ts'

const BetterDatabase = createRequire(import.meta.url)('better-sqlite3') as new (
  file: string,
) => { exec(sql: string): unknown; close(): unknown }

/** The manifest of a store that opened its connection itself. */
const unjoined = {
  ...manifest,
  capabilities: { ...manifest.capabilities, within: false },
  denied: { within: 'The connection was not handed in.' },
}
const inMemory = {
  ...unjoined,
  capabilities: { ...unjoined.capabilities, durable: false, shared: false, fork: false },
  denied: {
    ...unjoined.denied,
    durable: 'It is in memory.',
    shared: 'It is in memory.',
    fork: 'It is in memory.',
  },
}

type ForkPlace = NonNullable<EventStoreSubject['forkPlace']>

function temporaryFile(): { file: string; forkPlace: ForkPlace; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-sqlite-'))
  const into = join(folder, 'fork.db')
  return {
    file: join(folder, 'log.db'),
    forkPlace: () => ({ into, open: () => openSqliteStore({ file: into }) }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

const inFile = (options: Partial<SqliteStoreOptions>) => async (): Promise<EventStoreSubject> => {
  const { file, forkPlace, remove } = temporaryFile()
  const open = () => openSqliteStore({ file, ...options })
  return { store: await open(), openAgain: open, forkPlace, dispose: async () => remove() }
}

const handedIn =
  (connect: (file: string) => { exec(sql: string): unknown; close(): unknown }) =>
  async (): Promise<EventStoreSubject> => {
    const { file, forkPlace, remove } = temporaryFile()
    const connection = connect(file)
    const end = (sql: string) => async () => void connection.exec(sql)
    return {
      store: await openSqliteStore({ connection }),
      forkPlace,
      openAgain: () =>
        openSqliteStore({
          file,
          driver: connection instanceof DatabaseSync ? 'node:sqlite' : 'better-sqlite3',
        }),
      begin: async () => {
        connection.exec('BEGIN')
        return { client: connection, commit: end('COMMIT'), rollback: end('ROLLBACK') }
      },
      dispose: async () => {
        connection.close()
        remove()
      },
    }
  }

const runner = { describe, it }
bindVitest(eventStoreContract, {
  ...runner,
  manifest: unjoined,
  label: 'node:sqlite',
  make: inFile({}),
})
// What stands above the port is shown on one of the ways to open the store.
for (const contract of [checkpointContract(), leaseContract(), scheduleContract()]) {
  bindVitest(contract, {
    ...runner,
    manifest: unjoined,
    label: 'node:sqlite',
    make: inFile({}),
  })
}
bindVitest(eventStoreContract, {
  ...runner,
  manifest: unjoined,
  label: 'better-sqlite3',
  make: inFile({ driver: 'better-sqlite3' }),
})
// The second handle writes JSON, as the first half of a log that is older than its codec.
bindVitest(eventStoreContract, {
  ...runner,
  manifest: unjoined,
  label: 'msgpack and zstd, beside JSON',
  make: async () => {
    const { file, forkPlace, remove } = temporaryFile()
    const codec = { encoding: 'msgpack', compress: { with: 'zstd', above: 20 } } as const
    const openAgain = () => openSqliteStore({ file })
    const store = await openSqliteStore({ file, codec })
    return { store, openAgain, forkPlace, dispose: async () => remove() }
  },
})
bindVitest(eventStoreContract, {
  ...runner,
  manifest: inMemory,
  label: 'in memory, JSON compressed',
  make: inFile({ file: ':memory:', codec: { compress: { with: 'brotli', above: 0 } } }),
})
bindVitest(eventStoreContract, {
  ...runner,
  manifest: inMemory,
  label: 'in memory',
  make: inFile({ file: ':memory:' }),
})
bindVitest(eventStoreContract, {
  ...runner,
  manifest,
  label: 'node:sqlite handed in',
  make: handedIn((file) => new DatabaseSync(file)),
})
bindVitest(eventStoreContract, {
  ...runner,
  manifest,
  label: 'better-sqlite3 handed in',
  make: handedIn((file) => new BetterDatabase(file)),
})
