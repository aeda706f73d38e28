import { closeSync, fsyncSync, openSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { shownText } from '../../kernel/index.ts'
import { InvalidArgumentError, SqliteUnsafeError, StorageError } from '../../model/index.ts'
import { fromBetterConnection, loadBetterDriver } from './better-driver.ts'
import type { DriverName, HandedIn, SqlConnection, SqlDriver } from './driver.ts'
import { fromNodeConnection, loadNodeDriver } from './node-driver.ts'
import { isSafeSqlite } from './versions.ts'

/** How much a commit survives: the power, or only the process. */
export type Profile = 'durable' | 'relaxed'

/** SQLite waits inside the call for so long; longer waits are asynchronous. */
const BUSY_TIMEOUT_MS = 4
/**
 * 16 MiB of log before a commit copies it back. Measured in one interleaved run against SQLite's
 * own 1,000 pages: 1.1 times the commits, the longest one 26 to 37 ms. With 10,000 pages up to 1.7
 * times, but 45 to 63 ms, for which the event loop would stand still.
 */
const CHECKPOINT_PAGES = 4000
const WAL_KEPT_BYTES: number = 32 * 1024 * 1024
const CACHE_KIB = 16_384
const FREE_BYTES_MIN: number = 128 * 1024

/** Where the log lives and what it is opened with. */
export interface Database {
  readonly driver: SqlDriver
  /** Undefined for memory. */
  readonly file: string | undefined
  readonly handedIn: SqlConnection | undefined
  readonly sqliteVersion: string
  /** Set when this SQLite must not write to a shared file. */
  readonly unsafe: SqliteUnsafeError | undefined
}

async function driverNamed(name: DriverName): Promise<SqlDriver> {
  if (name === 'better-sqlite3') return loadBetterDriver()
  if (name !== 'node:sqlite') {
    throw new InvalidArgumentError(
      'driver',
      `is ${shownText(name)}, not one of node:sqlite, better-sqlite3`,
    )
  }
  const driver = loadNodeDriver()
  if (driver === undefined) throw new SqliteUnsafeError(undefined)
  return driver
}

function recognise(connection: unknown): HandedIn {
  const found =
    typeof connection === 'object' && connection !== null
      ? (fromNodeConnection(connection) ?? fromBetterConnection(connection))
      : undefined
  if (found === undefined) {
    throw new InvalidArgumentError(
      'connection',
      'is no open DatabaseSync of node:sqlite and no Database of better-sqlite3',
    )
  }
  if (found.connection.inTransaction) {
    throw new InvalidArgumentError(
      'connection',
      'has a transaction open; end it before the store is opened',
    )
  }
  return found
}

const pragma = (connection: SqlConnection, name: string): string =>
  String(connection.prepare(`PRAGMA ${name}`).get()?.[0])

/** Finds the driver, loads it, and asks its SQLite for its version. */
export async function locate(options: {
  readonly file?: string | undefined
  readonly driver?: DriverName | undefined
  readonly connection?: unknown
}): Promise<Database> {
  const handedIn = options.connection === undefined ? undefined : recognise(options.connection)
  const driver = handedIn?.driver ?? (await driverNamed(options.driver ?? 'node:sqlite'))
  const named = options.file === ':memory:' ? undefined : options.file
  const file = handedIn === undefined ? named : handedIn.file
  // Asked in memory: an unsafe SQLite must not even look at the file with the right to write.
  const probe = handedIn?.connection ?? driver.open(':memory:', false)
  const sqliteVersion = String(probe.prepare('SELECT sqlite_version()').get()?.[0])
  if (handedIn === undefined) probe.close()
  const safe = file === undefined || isSafeSqlite(sqliteVersion)
  const unsafe = safe ? undefined : new SqliteUnsafeError(sqliteVersion)
  return { driver, file, handedIn: handedIn?.connection, sqliteVersion, unsafe }
}

/** Sets what a connection that writes must have, whatever its driver's defaults are. */
export function configureWriter(connection: SqlConnection, profile: Profile): void {
  connection.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
  connection.prepare('PRAGMA journal_mode = WAL').get()
  connection.exec(`PRAGMA synchronous = ${profile === 'durable' ? 'FULL' : 'NORMAL'}`)
  connection.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
  connection.exec(`PRAGMA journal_size_limit = ${WAL_KEPT_BYTES}`)
  connection.exec(`PRAGMA cache_size = -${CACHE_KIB}`)
}

/** Sets what a connection that reads wants. */
export function configureReader(connection: SqlConnection): void {
  connection.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
  connection.exec(`PRAGMA cache_size = -${CACHE_KIB}`)
}

/**
 * Lets a connection read pages of the file by mapping them. Measured on a file of 159 MB that the
 * system had in memory: loads of 15 events 1.5 times as fast, a scan 1.1 times. Not by default: a
 * disk that fails ends the process then, by a signal, where it would be an error.
 */
export function mapForReading(connection: SqlConnection, bytes: number): void {
  connection.exec(`PRAGMA mmap_size = ${bytes}`)
}

/** The settings as the connection has them now. */
export function readSettings(connection: SqlConnection): {
  readonly journal_mode: string
  readonly synchronous: string
} {
  const levels = ['OFF', 'NORMAL', 'FULL', 'EXTRA']
  const level = Number(pragma(connection, 'synchronous'))
  return {
    journal_mode: pragma(connection, 'journal_mode'),
    synchronous: levels[level] ?? String(level),
  }
}

/** Throws StorageError unless commits of this connection are as durable as the profile says. */
export function assertDurability(
  connection: SqlConnection,
  profile: Profile,
  file: string | undefined,
): void {
  const found = readSettings(connection)
  const journal = file === undefined ? 'memory' : 'wal'
  const synchronous = profile === 'durable' ? 'FULL' : 'NORMAL'
  if (found.journal_mode === journal && found.synchronous === synchronous) return
  const cause = new Error(
    `journal_mode is ${found.journal_mode} and synchronous ${found.synchronous}, not ${journal} and ${synchronous}; is the file on a network share?`,
  )
  throw new StorageError('setting up durability', { cause })
}

const lossOfData: ReadonlySet<unknown> = new Set(['EIO', 'ENOSPC', 'EDQUOT'])

/**
 * Makes the names of a new file and of its log last. SQLite does so too, but takes no notice when
 * it fails. Throws what the system says; nothing where folders cannot be synced.
 */
export function syncFolder(file: string): void {
  let folder: number | undefined
  try {
    folder = openSync(dirname(file), 'r')
    fsyncSync(folder)
  } catch (error) {
    if (lossOfData.has((error as { code?: unknown }).code)) throw error
  } finally {
    if (folder !== undefined) closeSync(folder)
  }
}

/** Whether the file's disk has no space left. */
export function diskIsFull(file: string | undefined): boolean {
  if (file === undefined) return false
  return (freeBytes(file) ?? FREE_BYTES_MIN) < FREE_BYTES_MIN
}

/** Bytes that the disk of a file has left; undefined where that cannot be asked. */
export function freeBytes(file: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(dirname(file))
    return bavail * bsize
  } catch {
    return undefined
  }
}
