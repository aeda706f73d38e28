import { type Clock, type Deadline, deadlineIn } from '../../kernel/index.ts'
import {
  InvalidArgumentError,
  OutcomeUnknownError,
  StorageError,
  TransactionTimeoutError,
} from '../../model/index.ts'
import type {
  AppendOutcome,
  AppendRequest,
  CallOptions,
  InlineAccess,
  ModelAccess,
  RecodeRequest,
  RecodeStep,
  RecordAccess,
  RestoreRequest,
  StoreTransaction,
} from '../../ports/index.ts'
import { Access } from './access.ts'
import type { Appender } from './append.ts'
import { type Connections, runOn, type Session, statement } from './connections.ts'
import type { DriverClient } from './driver.ts'
import { isConnectionLoss, LostConnection, storageFailure } from './failures.ts'
import { PostgresInline } from './inline.ts'
import { PostgresModels } from './models.ts'
import { Reads } from './reads.ts'
import { recodePart } from './recode.ts'
import { PostgresRecords } from './records.ts'
import { restorePart } from './restore.ts'
import type { Run, Settling } from './settle.ts'
import type { TypeNames } from './type-names.ts'

const BEGIN = statement('BEGIN')
const COMMIT = statement('COMMIT')
const ROLLBACK = statement('ROLLBACK')
// Without names: a pooler's other backends do not know them, and they are nothing to plan.
const SAVEPOINT = { text: 'SAVEPOINT eventuali', name: '' }
const RELEASE = { text: 'RELEASE SAVEPOINT eventuali', name: '' }
const UNDO = { text: 'ROLLBACK TO SAVEPOINT eventuali; RELEASE SAVEPOINT eventuali', name: '' }
/** How long the end of a transaction may take past its own bound. */
const END_MS = 5000

/** What transactions need of the store. */
export interface TransactionContext {
  readonly connections: Connections
  readonly appender: Appender
  readonly settling: Settling
  readonly types: TypeNames
  readonly clock: Clock
  readonly schema: string
  readonly timeoutMs: number
  /** A transaction that appended was committed. */
  readonly onStored: () => void
  /** One that put a log back, up to this position. */
  readonly onRestored: (position: number) => void
}

/** A transaction on a client: the store's own, or one that a caller owns. */
class ClientTransaction implements StoreTransaction {
  readonly sql: unknown
  readonly reads: Reads
  readonly records: RecordAccess
  readonly models: ModelAccess
  readonly inline: InlineAccess
  readonly #access: Access
  readonly #context: TransactionContext
  readonly #run: Run
  readonly #deadline: Deadline
  #ended = false
  /** Undefined as long as nothing was stored. */
  lastAppend: AppendRequest | undefined
  /** Up to where a log was put back; 0 when none was. */
  restoredUpTo = 0

  constructor(context: TransactionContext, client: DriverClient, deadline: Deadline) {
    this.sql = client
    this.#context = context
    this.#deadline = deadline
    const { clock, connections, schema, types, timeoutMs } = context
    const runIn = async (sql: Parameters<Run>[0], values: readonly unknown[], within: Deadline) => {
      const left = { clock, named: !connections.pooled }
      if (this.#ended) {
        throw new InvalidArgumentError('tx', 'was used after its transaction ended')
      }
      const bound = Math.min(within.leftMs(), deadline.leftMs())
      try {
        return (await runOn(left, client, sql, values, bound)).rows
      } catch (error) {
        throw storageFailure('a statement of the transaction', bound, error)
      }
    }
    this.#run = (sql, values) => runIn(sql, values, deadline)
    this.reads = new Reads({ run: runIn, types, clock, schema, timeoutMs })
    const access = new Access({ run: runIn, clock, schema, timeoutMs, leftMs: deadline.leftMs })
    this.#access = access
    this.records = new PostgresRecords(access)
    this.models = new PostgresModels(access)
    this.inline = new PostgresInline(access)
  }

  /** From here on the client is somebody else's. */
  end(): void {
    this.#ended = true
  }

  async append(request: AppendRequest, options: CallOptions = {}): Promise<AppendOutcome> {
    options.signal?.throwIfAborted()
    const own = deadlineIn(this.#context.clock, options.timeoutMs, options.signal)
    const leftMs = (): number => Math.min(own.leftMs(), this.#deadline.leftMs())
    const deadline: Deadline = { leftMs, signal: options.signal }
    const outcome = await this.#context.appender.appendIn(request, this.#run, this.reads, deadline)
    if (outcome.ok) this.lastAppend = request
    return outcome
  }

  readStream(...args: Parameters<Reads['readStream']>): ReturnType<Reads['readStream']> {
    return this.reads.readStream(...args)
  }

  readLog(...args: Parameters<Reads['readLog']>): ReturnType<Reads['readLog']> {
    return this.reads.readLog(...args)
  }

  eventById(...args: Parameters<Reads['eventById']>): ReturnType<Reads['eventById']> {
    return this.reads.eventById(...args)
  }

  stream(...args: Parameters<Reads['stream']>): ReturnType<Reads['stream']> {
    return this.reads.stream(...args)
  }

  async newestPosition(options?: CallOptions): Promise<number> {
    const { schema } = this.#context
    const sql = statement(`SELECT coalesce(max(position), 0) FROM ${schema}.events`)
    const [row] = await this.#access.query(sql, [], options)
    return Number(row?.[0])
  }

  async barrier(options?: CallOptions): Promise<void> {
    const { schema } = this.#context
    const sql = statement(`SELECT ${schema}.barrier_v1($1::integer)::text`)
    await this.#access.waiting(sql, [], options)
  }

  async recode(request: RecodeRequest, options: CallOptions = {}): Promise<RecodeStep> {
    options.signal?.throwIfAborted()
    const { types, schema } = this.#context
    return recodePart(this.#run, types, schema, request, this.#deadline)
  }

  async restore(request: RestoreRequest, options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    const { types, schema } = this.#context
    this.restoredUpTo = await restorePart(this.#run, types, schema, request, this.#deadline)
  }

  async savepoint<T>(work: () => Promise<T>): Promise<T> {
    const { lastAppend } = this
    await this.#run(SAVEPOINT, [])
    try {
      const result = await work()
      await this.#run(RELEASE, [])
      return result
    } catch (error) {
      // What it cannot undo, because the connection is gone, nobody commits either.
      await this.#run(UNDO, []).catch(() => {})
      this.lastAppend = lastAppend
      throw error
    }
  }
}

/** Takes part in a caller's transaction; he commits, so nothing here knows when. */
export function joinTransaction(
  context: TransactionContext,
  client: DriverClient,
  onAppend: () => void,
): StoreTransaction {
  const transaction = new ClientTransaction(context, client, {
    leftMs: () => context.timeoutMs,
    signal: undefined,
  })
  const append = transaction.append.bind(transaction)
  transaction.append = async (request, options) => {
    onAppend()
    return append(request, options)
  }
  return transaction
}

/** Runs `work` in a transaction of its own and commits it, or rolls it back. */
export async function runTransaction<T>(
  context: TransactionContext,
  work: (tx: StoreTransaction) => Promise<T>,
  options: CallOptions,
): Promise<T> {
  const { connections, clock } = context
  const timeoutMs = options.timeoutMs ?? context.timeoutMs
  const deadline = deadlineIn(clock, timeoutMs, options.signal)
  const session = await connections.acquire('transactions', deadline)
  const tx = new ClientTransaction(context, session.client, deadline)
  let broken = true
  try {
    await connections.run(session, BEGIN, [], deadline.leftMs())
    const result = await inTime(context, session, work(tx), deadline, timeoutMs)
    await commit(context, session, tx)
    broken = false
    if (tx.restoredUpTo > 0) context.onRestored(tx.restoredUpTo)
    if (tx.lastAppend !== undefined || tx.restoredUpTo > 0) context.onStored()
    return result
  } catch (error) {
    const cut = error instanceof TransactionTimeoutError || error instanceof LostConnection
    if (!cut) broken = !(await rolledBack(context, session))
    throw isDriverError(error) ? storageFailure('a transaction', timeoutMs, error) : error
  } finally {
    tx.end()
    session.release(broken)
  }
}

function isDriverError(error: unknown): boolean {
  return (
    error instanceof LostConnection || (error as { severity?: unknown })?.severity !== undefined
  )
}

/** The callback's end, or the end of its time; then the connection is cut, whatever it is doing. */
function inTime<T>(
  { clock, settling }: TransactionContext,
  session: Session,
  work: Promise<T>,
  deadline: Deadline,
  timeoutMs: number,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => give(deadline.signal?.reason)
    const stop = clock.timer(Math.max(1, Math.min(deadline.leftMs(), 2 ** 31 - 1)), () => {
      const endMs = clock.monotonic() + END_MS
      const bound = { leftMs: () => endMs - clock.monotonic(), signal: undefined }
      settling.abandon(session.backend, bound)
      give(new TransactionTimeoutError(timeoutMs))
    })
    const give = (error: unknown): void => {
      cleanUp()
      reject(error)
    }
    const cleanUp = (): void => {
      stop()
      deadline.signal?.removeEventListener('abort', onAbort)
    }
    deadline.signal?.addEventListener('abort', onAbort, { once: true })
    work.then((value) => {
      cleanUp()
      resolve(value)
    }, give)
  })
}

async function rolledBack({ connections }: TransactionContext, session: Session): Promise<boolean> {
  try {
    await connections.run(session, ROLLBACK, [], END_MS)
    return true
  } catch {
    return false
  }
}

async function commit(
  context: TransactionContext,
  session: Session,
  tx: ClientTransaction,
): Promise<void> {
  const { client } = session
  if (typeof client._txStatus === 'string' && client._txStatus === 'I') {
    const cause = new Error('the callback ended the transaction itself; leave COMMIT to the store')
    throw new StorageError('the commit', { cause })
  }
  try {
    const { command } = await context.connections.run(
      session,
      COMMIT,
      [],
      END_MS + context.timeoutMs,
    )
    // The server answers a COMMIT of a failed transaction with ROLLBACK, without an error.
    if (command !== 'COMMIT') {
      const cause = new Error('a statement in it failed, so that all of it was rolled back')
      throw new StorageError('the commit', { cause })
    }
  } catch (error) {
    if (!isConnectionLoss(error)) throw error
    await settleCommit(context, session, tx, error)
  }
}

/** The answer to COMMIT was lost: the rows of the last append tell what became of it. */
async function settleCommit(
  { settling, clock, appender, timeoutMs }: TransactionContext,
  { backend }: Session,
  { lastAppend }: ClientTransaction,
  cause: unknown,
): Promise<void> {
  if (backend === undefined || lastAppend === undefined) {
    throw new OutcomeUnknownError('the transaction', { cause })
  }
  const deadline = deadlineIn(clock, Math.min(timeoutMs, 2 * END_MS))
  const prepared = appender.encode(lastAppend, deadline)
  const rows = await settling.afterLoss([prepared], backend, deadline, cause)
  const found = prepared.entries.every(({ entry, events }) =>
    events.every(({ id }) => rows.get(entry.stream)?.has(id) === true),
  )
  if (!found) throw storageFailure('the commit', 0, cause)
}
