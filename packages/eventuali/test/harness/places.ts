import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'

/** Where stores of one adapter are made. */
export interface Place {
  readonly adapter: string
  /** Why it cannot be had here. */
  readonly skip: string | undefined
  start(): Promise<void>
  /** The url of a store that does not exist yet. */
  url(): Promise<string>
  stop(): Promise<void>
}

function sqlitePlace(): Place {
  const folders: string[] = []
  return {
    adapter: 'sqlite',
    skip: undefined,
    start: async () => {},
    url: async () => {
      const folder = mkdtempSync(join(tmpdir(), 'eventuali-test-'))
      folders.push(folder)
      return `sqlite:${join(folder, 'log.db')}`
    },
    stop: async () => {
      for (const folder of folders) rmSync(folder, { recursive: true, force: true })
    },
  }
}

function postgresPlace(): Place {
  let server: PostgresServer | undefined
  return {
    adapter: 'postgres',
    skip: postgresSkipReason(),
    start: async () => {
      server = await startPostgres()
    },
    url: async () => {
      if (server === undefined) throw new Error('the server was not started')
      return server.database()
    },
    stop: async () => server?.stop(),
  }
}

/** The stores that many processes share. */
export function sharedPlaces(): Place[] {
  return [sqlitePlace(), postgresPlace()]
}

const scale = Number(process.env.EVENTUALI_SCALE ?? 1)

/**
 * Whether a harness shows here that it finds its planted bugs, which are in its own programs: on
 * one store in a pull request, on all of them in a soak.
 */
export function showsPlanted({ adapter }: Place): boolean {
  return adapter === 'sqlite' || scale > 1
}
