import {
  type Clock,
  deadlineIn,
  type IdSource,
  type Random,
  systemClock,
  systemRandom,
  uuidV7Source,
} from '../../kernel/index.ts'
import {
  bodyEncoder,
  type CodecOptions,
  InvalidArgumentError,
  ReadOnlyStoreError,
  RestoreUnfinishedError,
} from '../../model/index.ts'
import type { EventStore } from '../../ports/index.ts'
import type { GroupLimits } from '../sql/index.ts'
import { whenFree } from './busy.ts'
import {
  assertDurability,
  configureReader,
  configureWriter,
  type Database,
  diskIsFull,
  locate,
  mapForReading,
  type Profile,
} from './database.ts'
import type { DriverName, SqlConnection } from './driver.ts'
import {
  incarnationOf,
  isRestoring,
  migrateOneStep,
  schemaVersion,
  schemaVersionOf,
} from './migrations.ts'
import { Names } from './names.ts'
import { Session } from './session.ts'
import { storageError } from './sqlite-errors.ts'
import { SqliteStore } from './store.ts'
import { timeoutMsDefault } from './writer.ts'

/** How a SQLite store is opened. */
export interface SqliteStoreOptions {
  /** Path of the database file, or `:memory:`. */
  readonly file?: string | undefined
  /** `node:sqlite` unless named otherwise. One file is never opened through two of them. */
  readonly driver?: DriverName | undefined
  /** An open connection to write with, in the place of `file` and `driver`; it stays open. */
  readonly connection?: unknown
  /** `durable` (default): a commit survives the power. `relaxed`: the process. */
  readonly profile?: Profile | undefined
  /** Opens an existing log for reading. */
  readonly readOnly?: boolean | undefined
  /** Opens a log whose restore is not finished, to go on with it. */
  readonly restoring?: boolean | undefined
  /** Milliseconds for a call that names no bound of its own; 30,000. */
  readonly timeoutMs?: number | undefined
  /** Bounds of the queue of appends and of its groups. */
  readonly limits?: Partial<GroupLimits> | undefined
  /** How the data of events is stored; JSON text when left out. */
  readonly codec?: CodecOptions | undefined
  /** Bytes of the file that reads may map into memory; none when left out. */
  readonly mmapBytes?: number | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
  readonly ids?: IdSource | undefined
}

interface Opened {
  readonly reader: SqlConnection
  readonly writer: SqlConnection | undefined
}

/**
 * Opens the event log in a SQLite file, and makes it when it is not there. Throws
 * SqliteUnsafeError, SchemaTooNewError, RestoreUnfinishedError, DriverMissingError, StorageError
 * and StorageBusyError.
 *
 * @example
 * ```ts
 * import { openStore } from 'eventuali'
 *
 * await using store = await openStore('sqlite::memory:')
 * await store.append('cart-1', [{ type: 'ItemAdded', data: { sku: 'tea' } }])
 * ```
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<EventStore> {
  const clock = options.clock ?? systemClock
  const random = options.random ?? systemRandom
  const ids = options.ids ?? uuidV7Source(clock, random)
  const { profile = 'durable', timeoutMs, connection, file } = options
  if (connection === undefined && (typeof file !== 'string' || file === '')) {
    throw new InvalidArgumentError('file', 'is not the path of a database')
  }
  if (profile !== 'durable' && profile !== 'relaxed') {
    throw new InvalidArgumentError('profile', 'is not one of durable, relaxed')
  }
  const { mmapBytes = 0 } = options
  if (!Number.isSafeInteger(mmapBytes) || mmapBytes < 0) {
    throw new InvalidArgumentError('mmapBytes', 'must be a number of bytes, 0 or more')
  }
  const encoder = bodyEncoder(options.codec)
  const database = await locate(options)
  const readOnly = options.readOnly === true || database.unsafe !== undefined
  const full = () => diskIsFull(database.file)
  const deadline = deadlineIn(clock, timeoutMs ?? timeoutMsDefault)
  const patience = { clock, random }
  const opened: SqlConnection[] = []
  const open = (forReading: boolean): SqlConnection => {
    const made = database.driver.open(database.file ?? ':memory:', forReading)
    opened.push(made)
    return made
  }
  try {
    const { reader, writer } = readOnly
      ? await whenFree(patience, deadline, () => openReadOnly(database, open))
      : await openForWriting(database, profile, ids, open, (work) =>
          whenFree(patience, deadline, work),
        )
    if (options.restoring !== true && isRestoring(reader)) throw new RestoreUnfinishedError()
    if (reader !== database.handedIn && mmapBytes > 0) mapForReading(reader, mmapBytes)
    const readerSession = new Session(reader)
    const names = new Names()
    const writing = writer && {
      session: writer === reader ? readerSession : new Session(writer),
      reopen: reopener(database, profile),
    }
    return new SqliteStore({
      ...patience,
      database,
      profile,
      incarnation: incarnationOf(reader),
      names,
      reader: readerSession,
      writer: writing && {
        ...patience,
        ...writing,
        ...database,
        names,
        profile,
        limits: options.limits,
      },
      timeoutMs,
      ids,
      encoder,
    })
  } catch (error) {
    for (const made of opened) close(made)
    throw storageError(`open of ${database.file ?? 'a database in memory'}`, error, full)
  }
}

function close(connection: SqlConnection): void {
  try {
    connection.close()
  } catch {
    // The error that led here is the one to tell.
  }
}

function reopener(database: Database, profile: Profile): (() => SqlConnection) | undefined {
  const { driver, file, handedIn } = database
  // A database in memory would come back empty.
  if (file === undefined || handedIn !== undefined) return undefined
  return () => {
    const connection = driver.open(file, false)
    try {
      configureWriter(connection, profile)
    } catch (error) {
      close(connection)
      throw error
    }
    return connection
  }
}

function openReadOnly(database: Database, open: (forReading: boolean) => SqlConnection): Opened {
  const { handedIn, unsafe, file } = database
  const reader = handedIn ?? open(file !== undefined)
  if (handedIn === undefined) configureReader(reader)
  const found = schemaVersionOf(reader)
  if (found < schemaVersion) {
    throw (
      unsafe ??
      new ReadOnlyStoreError(
        found === 0
          ? 'the file holds no event log; open it for writing once'
          : 'its schema is older; open it for writing once',
      )
    )
  }
  return { reader, writer: undefined }
}

async function openForWriting(
  database: Database,
  profile: Profile,
  ids: IdSource,
  open: (forReading: boolean) => SqlConnection,
  free: <T>(work: () => T) => Promise<T>,
): Promise<Opened> {
  const { file, handedIn } = database
  const writer = handedIn ?? open(false)
  await free(() => configureWriter(writer, profile))
  const incarnation = ids.next()
  while (await free(() => migrateOneStep(writer, incarnation))) {
    // One step at a time, each under the lock.
  }
  assertDurability(writer, profile, file)
  if (file === undefined) return { reader: writer, writer }
  const reader = await free(() => open(true))
  await free(() => configureReader(reader))
  return { reader, writer }
}
