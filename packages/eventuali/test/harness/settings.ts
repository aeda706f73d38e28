import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CodecOptions, openStore, type Store } from '../../src/index.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'

/** One way to keep events: an adapter, a driver, a codec. */
export interface Setting {
  readonly name: string
  /** The same on every open; undefined for memory. */
  readonly place: 'memory' | 'sqlite' | 'postgres'
  readonly options: {
    readonly driver?: 'node:sqlite' | 'better-sqlite3'
    readonly codec?: CodecOptions
  }
}

const packed: CodecOptions = { encoding: 'msgpack', compress: { with: 'zstd', above: 64 } }

/** All of them. */
export const settings: readonly Setting[] = [
  { name: 'memory', place: 'memory', options: {} },
  { name: 'memory, MessagePack and zstd', place: 'memory', options: { codec: packed } },
  { name: 'node:sqlite', place: 'sqlite', options: { driver: 'node:sqlite' } },
  { name: 'better-sqlite3', place: 'sqlite', options: { driver: 'better-sqlite3' } },
  { name: 'SQLite, MessagePack and zstd', place: 'sqlite', options: { codec: packed } },
  { name: 'Postgres', place: 'postgres', options: {} },
  { name: 'Postgres, MessagePack and zstd', place: 'postgres', options: { codec: packed } },
]

/**
 * One for each adapter and one with packed bodies: what a lane goes through in a pull request when
 * each of them takes long. A soak takes all.
 */
export const mainSettings: readonly Setting[] =
  Number(process.env.EVENTUALI_SCALE ?? 1) > 1
    ? settings
    : settings.filter(({ name }) =>
        ['memory', 'node:sqlite', 'SQLite, MessagePack and zstd', 'Postgres'].includes(name),
      )

/** Makes fresh stores of any setting, and removes them. */
export class SettingStores {
  readonly #folder = mkdtempSync(join(tmpdir(), 'eventuali-settings-'))
  #server: PostgresServer | undefined
  #count = 0

  /** Why a setting cannot be had here. */
  skip(setting: Setting): string | undefined {
    return setting.place === 'postgres' ? postgresSkipReason() : undefined
  }

  async start(): Promise<void> {
    if (postgresSkipReason() === undefined) this.#server = await startPostgres()
  }

  async stop(): Promise<void> {
    await this.#server?.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** The url of a store that is not there yet. */
  async url({ place }: Setting): Promise<string> {
    if (place === 'memory') return 'memory:'
    if (place === 'sqlite') return `sqlite:${join(this.#folder, `${++this.#count}.db`)}`
    if (this.#server === undefined) throw new Error('the server was not started')
    return this.#server.database()
  }

  /** A fresh store; what a lane measures is not the disk. */
  async open(setting: Setting): Promise<Store> {
    return openStore(await this.url(setting), {
      profile: 'relaxed',
      timeoutMs: 120_000,
      ...setting.options,
    })
  }
}
