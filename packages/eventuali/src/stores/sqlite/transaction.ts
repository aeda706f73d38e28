import type { Clock } from '../../kernel/index.ts'
import {
  type BodyEncoder,
  InvalidArgumentError,
  type RecordedEvent,
  StorageError,
  type StreamInfo,
  TransactionTimeoutError,
} from '../../model/index.ts'
import type {
  AppendOutcome,
  AppendRequest,
  CallOptions,
  InlineAccess,
  LogQuery,
  ModelAccess,
  RecodeRequest,
  RecodeStep,
  RecordAccess,
  RestoreRequest,
  StoreTransaction,
  StreamQuery,
} from '../../ports/index.ts'
import type { WriteAccess } from './access.ts'
import { AppendUnit, prepareRequest } from './append.ts'
import { type Patience, whenFree } from './busy.ts'
import {
  admitInline,
  dismissInline,
  inlineRefusal,
  isInlineRefusal,
  SqliteInline,
} from './inline.ts'
import { SqliteModels } from './models.ts'
import { Names } from './names.ts'
import { eventByIdOf, logPages, streamOf, streamPages } from './reads.ts'
import { recodePart } from './recode.ts'
import { SqliteRecords } from './records.ts'
import { restorePart } from './restore.ts'
import type { Session } from './session.ts'
import { storageError } from './sqlite-errors.ts'
import { deadlineOf } from './writer.ts'

const takeLock = 'UPDATE eventuali_head SET last_position = last_position WHERE only_row = 1'

export interface TransactionParts extends Patience {
  readonly session: Session
  /** Ids that are committed; a transaction only reads them. */
  readonly names: Names
  readonly full: () => boolean
  readonly timeoutMs: number | undefined
  readonly encoder: BodyEncoder | undefined
  /** Whether the transaction was begun with the write lock; a caller's own may not be. */
  readonly locked: boolean
}

/**
 * Works on a connection whose transaction is open, the store's or the caller's own. Each append is
 * a savepoint: one that fails leaves nothing behind.
 */
export class SqliteTransaction implements StoreTransaction, WriteAccess {
  readonly records: RecordAccess = new SqliteRecords(this)
  readonly models: ModelAccess = new SqliteModels(this)
  readonly inline: InlineAccess = new SqliteInline(this)
  readonly #parts: TransactionParts
  #ended = false
  #stored = false
  #failure: unknown

  constructor(parts: TransactionParts) {
    this.#parts = parts
  }

  get sql(): unknown {
    return this.#parts.session.connection.raw
  }

  /** Whether anything was appended. */
  get stored(): boolean {
    return this.#stored
  }

  /** Calls that come later fail instead of writing outside of the transaction. */
  end(): void {
    this.#ended = true
  }

  /** Throws when the transaction is not what the callback believes it to be. */
  assertWhole(): void {
    if (this.#failure !== undefined) {
      throw storageError('a statement of the transaction', this.#failure, this.#parts.full)
    }
    if (this.#parts.session.connection.inTransaction) return
    const cause = new Error('a statement of its own, or a failed one, ended it')
    throw new StorageError('the transaction', { cause })
  }

  async append(request: AppendRequest, options: CallOptions = {}): Promise<AppendOutcome> {
    const { names, clock, encoder } = this.#parts
    const prepared = prepareRequest(request, deadlineOf(this.#parts, options), encoder)
    const work = (session: Session): AppendOutcome => {
      session.prepare('SAVEPOINT eventuali_append').run()
      try {
        admitInline(session, request.inline)
        const unit = new AppendUnit(session, names, clock.now())
        const outcome = unit.append(prepared)
        unit.flush()
        dismissInline(session, request.inline)
        session.prepare('RELEASE eventuali_append').run()
        if (unit.stored) this.#stored = true
        return outcome
      } catch (error) {
        this.#undo(session, 'eventuali_append')
        if (isInlineRefusal(error)) return inlineRefusal(session, request)
        throw error
      }
    }
    return this.write('append', work, options)
  }

  recode(request: RecodeRequest, options: CallOptions = {}): Promise<RecodeStep> {
    return this.write('recode', (session) => recodePart(session, new Names(), request), options)
  }

  async restore(request: RestoreRequest, options: CallOptions = {}): Promise<void> {
    await this.write('restore', (session) => restorePart(session, request), options)
    this.#stored = true
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

  /** Names of its own for each read: what it sees may be rolled back, its ids used again. */
  async run<T>(read: (session: Session, names: Names) => T, options: CallOptions): Promise<T> {
    const session = this.#open(options)
    try {
      return read(session, new Names())
    } catch (error) {
      throw storageError('read', error, this.#parts.full)
    }
  }

  async write<T>(what: string, work: (session: Session) => T, options: CallOptions): Promise<T> {
    const parts = this.#parts
    const deadline = deadlineOf(parts, { timeoutMs: parts.timeoutMs, ...options })
    try {
      return await whenFree(parts, deadline, () => {
        const session = this.#open(options)
        // A caller's own transaction may not have the lock yet; reads before it would be stale.
        if (!parts.locked) session.prepare(takeLock).run()
        return work(session)
      })
    } catch (error) {
      throw storageError(what, error, parts.full)
    }
  }

  newestPosition(options: CallOptions = {}): Promise<number> {
    return this.run((session) => Number(session.sql.lastPosition.get()?.[0]), options)
  }

  barrier(options: CallOptions = {}): Promise<void> {
    // Who has the write lock is alone.
    return this.write('barrier', () => {}, options)
  }

  async savepoint<T>(work: () => Promise<T>): Promise<T> {
    const exec = (sql: string) => this.write('savepoint', (s) => s.connection.exec(sql), {})
    await exec('SAVEPOINT eventuali_part')
    let result: T
    try {
      result = await work()
    } catch (error) {
      // After the end the connection is somebody else's.
      if (!this.#ended) this.#undo(this.#parts.session, 'eventuali_part')
      throw error
    }
    await exec('RELEASE eventuali_part')
    return result
  }

  #undo(session: Session, savepoint: string): void {
    try {
      session.connection.exec(`ROLLBACK TO ${savepoint}; RELEASE ${savepoint}`)
    } catch (error) {
      this.#failure = error
    }
  }

  #open(options: CallOptions): Session {
    if (this.#ended) throw new InvalidArgumentError('tx', 'was used after its transaction ended')
    this.assertWhole()
    options.signal?.throwIfAborted()
    return this.#parts.session
  }
}

/** Ends when `work` does, or earlier by the time or the signal, whichever comes first. */
export function runBounded<T>(
  work: () => Promise<T>,
  bounds: {
    readonly clock: Clock
    readonly timeoutMs: number
    readonly signal: AbortSignal | undefined
  },
): Promise<T> {
  const { clock, timeoutMs, signal } = bounds
  return new Promise<T>((resolve, reject) => {
    const settle = (how: () => void) => {
      stop()
      signal?.removeEventListener('abort', onAbort)
      how()
    }
    const onAbort = () => settle(() => reject(signal?.reason))
    const stop = clock.timer(timeoutMs, () => {
      settle(() => reject(new TransactionTimeoutError(timeoutMs)))
    })
    signal?.addEventListener('abort', onAbort, { once: true })
    // Through an async function, so that a synchronous throw of `work` is a rejection as well.
    const run = async () => work()
    run().then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    )
  })
}
