import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import pg from 'pg'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import type { Bed, Row } from './planter.ts'

/** A copy of the store that was made, with faults. */
export interface DamagedStore {
  readonly url: string
  drop(): Promise<void>
}

/** A store that is copied for each round. */
export interface MadeStore {
  damaged(damage: (bed: Bed) => Promise<void>): Promise<DamagedStore>
}

/** Where stores with faults are made. */
export interface BedPlace {
  readonly adapter: Bed['adapter']
  readonly skip: string | undefined
  start(): Promise<void>
  make(fill: (url: string) => Promise<void>): Promise<MadeStore>
  stop(): Promise<void>
}

const sqliteNames: Bed['names'] = {
  events: 'eventuali_events',
  streams: 'eventuali_streams',
  types: 'eventuali_types',
  tags: 'eventuali_event_tags',
  records: 'eventuali_records',
  stream: 'stream_id',
  type: 'type_id',
  tagType: 'type_id',
  models: '',
}

function sqliteBed(database: DatabaseSync): Bed {
  return {
    adapter: 'sqlite',
    names: sqliteNames,
    sql: async (text, ...values) =>
      database
        .prepare(text.replaceAll(/\$(\d+)/g, '?$1'))
        .all(...(values as SQLInputValue[])) as unknown as readonly Row[],
    setCounter: async (position) => {
      database.prepare('UPDATE eventuali_head SET last_position = ?').run(position)
    },
  }
}

function sqliteBeds(): BedPlace {
  // In memory where the machine has it: what a crash would do is not the question here.
  const folder = mkdtempSync(
    join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'eventuali-verify-'),
  )
  let count = 0
  return {
    adapter: 'sqlite',
    skip: undefined,
    start: async () => {},
    make: async (fill) => {
      const whole = join(folder, 'whole.db')
      await fill(`sqlite:${whole}`)
      return {
        damaged: async (damage) => {
          const file = join(folder, `damaged-${++count}.db`)
          copyFileSync(whole, file)
          const database = new DatabaseSync(file)
          database.exec('DROP TRIGGER IF EXISTS eventuali_inline_guard')
          await damage(sqliteBed(database))
          database.close()
          const drop = async () => {
            for (const end of ['', '-wal', '-shm']) rmSync(`${file}${end}`, { force: true })
          }
          return { url: `sqlite:${file}`, drop }
        },
      }
    },
    stop: async () => rmSync(folder, { recursive: true, force: true }),
  }
}

const postgresNames: Bed['names'] = {
  events: 'eventuali.events',
  streams: 'eventuali.streams',
  types: 'eventuali.types',
  tags: 'eventuali.event_tags',
  records: 'eventuali.records',
  stream: 'stream',
  type: 'type',
  tagType: 'type',
  models: 'eventuali.',
}

function postgresBed(client: pg.Client): Bed {
  return {
    adapter: 'postgres',
    names: postgresNames,
    sql: async (text, ...values) => (await client.query(text, [...values])).rows as Row[],
    setCounter: async (position) => {
      await client.query("SELECT setval('eventuali.events_position', $1)", [position])
    },
  }
}

async function connected<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

function postgresBeds(): BedPlace {
  let server: PostgresServer | undefined
  let count = 0
  return {
    adapter: 'postgres',
    skip: postgresSkipReason(),
    start: async () => {
      server = await startPostgres()
    },
    make: async (fill) => {
      const url = (await server?.database()) ?? ''
      await fill(url)
      const name = new URL(url).pathname.slice(1)
      // Statements about databases go through another one: a template must have no guests.
      const admin = Object.assign(new URL(url), { pathname: '/postgres' }).href
      return {
        damaged: async (damage) => {
          const copy = `${name}_${++count}`
          await connected(admin, (client) =>
            client.query(`CREATE DATABASE ${copy} TEMPLATE ${name}`),
          )
          const target = Object.assign(new URL(url), { pathname: `/${copy}` }).href
          await connected(target, async (client) => {
            await client.query('SET session_replication_role = replica')
            await damage(postgresBed(client))
          })
          const drop = async () => {
            await connected(admin, (client) => client.query(`DROP DATABASE ${copy} WITH (FORCE)`))
          }
          return { url: target, drop }
        },
      }
    },
    stop: async () => server?.stop(),
  }
}

/** Both kinds of stores. */
export function beds(): BedPlace[] {
  return [sqliteBeds(), postgresBeds()]
}
