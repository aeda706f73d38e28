import type { Deadline, IdSource } from '../../kernel/index.ts'
import {
  type BodyEncoder,
  CapabilityError,
  ReadOnlyStoreError,
  type RecordedEvent,
  StoreClosedError,
  type StreamInfo,
} from '../../model/index.ts'
import type {
  AppendOutcome,
  AppendRequest,
  CallOptions,
  EventStore,
  ForkOutcome,
  ForkRequest,
  InlineProjection,
  LogPositions,
  LogQuery,
  ModelReads,
  RecordReads,
  StorageFault,
  StorageState,
  StoreCapabilities,
  StoreTransaction,
  StoreView,
  StreamQuery,
  StreamsQuery,
  TuneRequest,
  TuningAdvice,
} from '../../ports/index.ts'
import { applyAdvice } from '../sql/index.ts'
import { prepareRequest } from './append.ts'
import { type Patience, whenFree } from './busy.ts'
import {
  configureReader,
  type Database,
  diskIsFull,
  type Profile,
  readSettings,
} from './database.ts'
import { findFaults } from './faults.ts'
import { forkFile } from './fork.ts'
import { inlineOf } from './inline.ts'
import { forkReason, manifest, withinReason } from './manifest.ts'
import { SqliteModelReads } from './models.ts'
import type { Names } from './names.ts'
import type { ReadAccess } from './reads.ts'
import { eventByIdOf, logPages, streamOf, streamPages, streamsPages } from './reads.ts'
import { SqliteRecordReads } from './records.ts'
import { Session } from './session.ts'
import { failureKind, storageError } from './sqlite-errors.ts'
import { storageOf } from './storage.ts'
import { runBounded, SqliteTransaction } from './transaction.ts'
import { adviceFor } from './tuning.ts'
import { viewOf } from './view.ts'
import { walBytes } from './wal-bound.ts'
import { Watcher } from './watch.ts'
import { copyWhole } from './whole-copy.ts'
import type { WriterParts } from './writer.ts'
import { deadlineOf, timeoutMsDefault, Writer } from './writer.ts'

export interface StoreParts extends Patience {
  readonly database: Database
  readonly profile: Profile
  readonly incarnation: string
  readonly names: Names
  /** The same session as the writer's when there is only one connection. */
  readonly reader: Session
  /** Undefined when the store is read-only. */
  readonly writer: Omit<WriterParts, 'onStored'> | undefined
  readonly timeoutMs: number | undefined
  readonly ids: IdSource
  /** Undefined for plain JSON text. */
  readonly encoder: BodyEncoder | undefined
}

/** The event log in SQLite. Reads and commits are synchronous inside, waits are not. */
export class SqliteStore implements EventStore, ReadAccess {
  readonly adapter = 'sqlite'
  readonly capabilities: StoreCapabilities
  readonly incarnation: string
  readonly records: RecordReads = new SqliteRecordReads(this)
  readonly models: ModelReads = new SqliteModelReads(this)
  readonly #parts: StoreParts
  readonly #reader: Session
  readonly #writer: Writer | undefined
  readonly #watcher: Watcher
  readonly #single: boolean
  /** Forks and views, which notice between two parts that they are to stop. */
  readonly #copies = new Set<Promise<unknown>>()
  #seen = { version: -1, position: 0 }
  #closing: Promise<void> | undefined

  constructor(parts: StoreParts) {
    const { file, handedIn } = parts.database
    const inFile = file !== undefined
    const within = handedIn !== undefined
    const ofFiles = { durable: inFile, shared: inFile, fork: inFile }
    this.capabilities = { ...manifest.capabilities, ...ofFiles, within }
    this.incarnation = parts.incarnation
    this.#parts = parts
    this.#reader = parts.reader
    this.#single = parts.reader === parts.writer?.session
    const onStored = () => this.#watcher.notify()
    this.#writer = parts.writer && new Writer({ ...parts.writer, onStored })
    this.#watcher = new Watcher(parts.clock, () => this.#changeCount(), file)
  }

  append(request: AppendRequest, options: CallOptions = {}): Promise<AppendOutcome> {
    try {
      const writer = this.#writable()
      const deadline = deadlineOf(this.#parts, this.#bounds(options))
      const prepared = prepareRequest(request, deadline, this.#parts.encoder)
      return writer.group.submit(prepared, deadline)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async transaction<T>(
    work: (tx: StoreTransaction) => Promise<T>,
    options: CallOptions = {},
  ): Promise<T> {
    const writer = this.#writable()
    const { clock, names } = this.#parts
    const timeoutMs = this.#bounds(options).timeoutMs ?? timeoutMsDefault
    const { signal } = options
    const deadline = deadlineOf(this.#parts, { timeoutMs, signal })
    const release = await writer.group.hold(deadline)
    try {
      await writer.beginWhenFree(deadline)
      const session = writer.session()
      const { full } = writer
      const tx = new SqliteTransaction({ ...this.#parts, session, names, full, locked: true })
      let result: T
      try {
        const left = Math.max(1, Math.ceil(deadline.leftMs()))
        result = await runBounded(() => work(tx), { clock, timeoutMs: left, signal })
        tx.assertWhole()
      } catch (error) {
        writer.rollback(error)
        throw error
      } finally {
        tx.end()
      }
      writer.commit()
      if (tx.stored) this.#watcher.notify()
      return result
    } finally {
      release()
    }
  }

  join(client: unknown): StoreTransaction {
    const writer = this.#writable()
    const session = writer.session()
    const { connection } = session
    if (client !== connection.raw || !connection.inTransaction) {
      throw new CapabilityError('sqlite', 'such transaction', withinReason)
    }
    const { names } = this.#parts
    const { full } = writer
    return new SqliteTransaction({ ...this.#parts, session, names, full, locked: false })
  }

  readStream(
    query: StreamQuery,
    options: CallOptions = {},
  ): AsyncGenerator<readonly RecordedEvent[]> {
    return streamPages(this, query, options)
  }

  readLog(query: LogQuery, options: CallOptions = {}): AsyncGenerator<readonly RecordedEvent[]> {
    return logPages(this, query, options)
  }

  eventById(
    stream: string,
    id: string,
    options: CallOptions = {},
  ): Promise<RecordedEvent | undefined> {
    return this.run((session, names) => eventByIdOf(session, names, stream, id), options)
  }

  stream(name: string, options: CallOptions = {}): Promise<StreamInfo | undefined> {
    return this.run((session) => streamOf(session, name), options)
  }

  inlineProjections(options: CallOptions = {}): Promise<readonly InlineProjection[]> {
    return this.run(inlineOf, options)
  }

  async positions(options: CallOptions = {}): Promise<LogPositions> {
    // One writer: positions are drawn and committed in the same order.
    const newest = await this.run((session) => Number(session.sql.lastPosition.get()?.[0]), options)
    return { safe: newest, newest }
  }

  streams(query: StreamsQuery, options: CallOptions = {}): AsyncGenerator<readonly StreamInfo[]> {
    return streamsPages(this, query, options)
  }

  watch(listener: () => void): () => void {
    this.#assertOpen()
    return this.#watcher.watch(listener)
  }

  async settings(): Promise<Readonly<Record<string, string>>> {
    const { database, profile } = this.#parts
    this.#assertOpen()
    const { connection } = this.#writer?.session() ?? this.#reader
    return {
      driver: database.driver.name,
      sqlite_version: database.sqliteVersion,
      profile,
      ...readSettings(connection),
      wal_autocheckpoint: String(connection.prepare('PRAGMA wal_autocheckpoint').get()?.[0]),
      mmap_size: String(this.#reader.connection.prepare('PRAGMA mmap_size').get()?.[0] ?? 0),
      wal_bytes: String(database.file === undefined ? 0 : walBytes(database.file)),
    }
  }

  storage(options: CallOptions = {}): Promise<StorageState> {
    const { file } = this.#parts.database
    return this.run(({ connection }) => storageOf(connection, file), options)
  }

  faults(options: CallOptions = {}): AsyncGenerator<StorageFault> {
    return findFaults(this, options)
  }

  async tune(request: TuneRequest, options: CallOptions = {}): Promise<readonly TuningAdvice[]> {
    const writer = this.#writable()
    const { file } = this.#parts.database
    const { timeoutMs = timeoutMsDefault, signal } = this.#bounds(options)
    const deadline = deadlineOf(this.#parts, { timeoutMs, signal })
    const release = await writer.group.hold(deadline)
    try {
      const { connection } = writer.session()
      const advice = adviceFor(connection, file === undefined ? 0 : walBytes(file))
      // Readers between two pages hold nothing; whoever else does is waited for.
      const run = (sql: string) => whenFree(this.#parts, deadline, () => connection.exec(sql))
      return await applyAdvice(advice, request, run)
    } catch (error) {
      if (error === signal?.reason) throw error
      throw storageError('tune', error, () => diskIsFull(file))
    } finally {
      release()
    }
  }

  async fork(request: ForkRequest, options: CallOptions = {}): Promise<ForkOutcome> {
    const { database, clock, ids } = this.#parts
    const { driver, file, unsafe } = database
    this.#assertOpen()
    if (file === undefined) throw new CapabilityError('sqlite', 'fork', forkReason)
    if (unsafe !== undefined) throw unsafe
    const { timeoutMs = timeoutMsDefault, signal } = this.#bounds(options)
    const deadline = deadlineOf(this.#parts, { timeoutMs, signal })
    const parts = { source: file, incarnation: ids.next(), clock, deadline, timeoutMs }
    const fork = (request.whole === true ? copyWhole : forkFile)(
      {
        ...parts,
        open: (path) => driver.open(path, false),
        openSource: () => driver.open(file, true),
        copy: driver.copy,
        free: (work) => whenFree(this.#parts, deadline, work),
        assertOpen: () => this.#assertOpen(),
      },
      request,
    )
    this.#copies.add(fork)
    try {
      return await fork
    } catch (error) {
      if (error === signal?.reason) throw error
      throw storageError('fork', error, () => diskIsFull(request.into))
    } finally {
      this.#copies.delete(fork)
    }
  }

  async view<T>(work: (view: StoreView) => Promise<T>, options: CallOptions = {}): Promise<T> {
    this.#assertOpen()
    const { clock } = this.#parts
    const { timeoutMs = timeoutMsDefault, signal } = this.#bounds(options)
    const deadline = deadlineOf(this.#parts, { timeoutMs, signal })
    const read = this.#readForView
    const parts = { clock, deadline, timeoutMs, read, assertOpen: () => this.#assertOpen() }
    const bounds = { clock, timeoutMs, signal }
    const view = this.#shown(deadline, (session) =>
      runBounded(() => work(viewOf(session, parts)), bounds),
    )
    this.#copies.add(view)
    try {
      return await view
    } finally {
      this.#copies.delete(view)
    }
  }

  readonly #readForView = <R>(work: () => R): R => {
    try {
      return work()
    } catch (error) {
      throw storageError('view', error, () => diskIsFull(this.#parts.database.file))
    }
  }

  /** A connection on which the store stands still: of its own, or the only one while all wait. */
  async #shown<T>(deadline: Deadline, show: (session: Session) => Promise<T>): Promise<T> {
    const { file, driver } = this.#parts.database
    if (file === undefined) {
      const release = await this.#writable().group.hold(deadline)
      try {
        return await show(this.#reader)
      } finally {
        release()
      }
    }
    const connection = this.#readForView(() => driver.open(file, true))
    try {
      const session = await whenFree(this.#parts, deadline, () => {
        configureReader(connection)
        return new Session(connection)
      })
      connection.exec('BEGIN')
      // The first read is where the view stands still: what others commit later is not seen.
      await whenFree(this.#parts, deadline, () => session.sql.lastPosition.get())
      return await show(session)
    } finally {
      connection.close()
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Runs a read as soon as no transaction is open on its connection and no lock is in the way. */
  async run<T>(read: (session: Session, names: Names) => T, options: CallOptions): Promise<T> {
    const { names, database } = this.#parts
    const attempt = (): T => {
      this.#assertOpen()
      if (this.#single && this.#reader.connection.inTransaction) throw transactionOpen
      return read(this.#reader, names)
    }
    options.signal?.throwIfAborted()
    try {
      return attempt()
    } catch (error) {
      const full = () => diskIsFull(database.file)
      if (failureKind(error) !== 'busy') throw storageError('read', error, full)
      const deadline = deadlineOf(this.#parts, this.#bounds(options))
      return whenFree(this.#parts, deadline, attempt).catch((failed: unknown) => {
        throw storageError('read', failed, full)
      })
    }
  }

  #bounds(options: CallOptions): CallOptions {
    return { timeoutMs: options.timeoutMs ?? this.#parts.timeoutMs, signal: options.signal }
  }

  #writable(): Writer {
    this.#assertOpen()
    if (this.#writer !== undefined) return this.#writer
    throw this.#parts.database.unsafe ?? new ReadOnlyStoreError('it was opened so')
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new StoreClosedError()
  }

  #changeCount(): number | undefined {
    const { connection, sql } = this.#reader
    try {
      if (this.#single && connection.inTransaction) return undefined
      // Most commits that add no event are beats and checkpoints: no news for those who watch.
      const version = Number(this.#reader.prepare('PRAGMA data_version').get()?.[0])
      if (this.#single || version !== this.#seen.version) {
        this.#seen = { version, position: Number(sql.lastPosition.get()?.[0]) }
      }
      return this.#seen.position
    } catch {
      return undefined
    }
  }

  async #close(): Promise<void> {
    await this.#writer?.group.close()
    this.#watcher.close()
    await Promise.allSettled(this.#copies)
    const { handedIn } = this.#parts.database
    const { connection } = this.#reader
    // One that was handed in stays the caller's.
    if (!this.#single && connection !== handedIn) connection.close()
    this.#writer?.close()
  }
}

/** Thrown and caught inside: counts as a lock that goes away. */
const transactionOpen: Error & { readonly errcode: number } = Object.assign(
  new Error('a transaction is open on the only connection'),
  { errcode: 5 },
)
