import { hash } from 'node:crypto'
import { backoffMs, type Clock, type Deadline, type Random, sleep } from '../../kernel/index.ts'
import {
  ConnectionError,
  NotAReplicaError,
  OperationTimeoutError,
  StoreClosedError,
} from '../../model/index.ts'
import type { PoolLaneName, PoolStatistics } from '../../ports/index.ts'
import type {
  Driver,
  DriverClient,
  DriverPool,
  DriverPoolClient,
  DriverQuery,
  DriverResult,
} from './driver.ts'
import { isConnectionLoss, LostConnection, sqlStateOf } from './failures.ts'
import { PoolLane } from './pool-lane.ts'

/** A row of a raw query. */
export type Row = readonly (string | null)[]

/** SQL with a name, so that a direct connection parses it once. */
export interface Statement {
  readonly text: string
  readonly name: string
}

/** The name follows from the text: a pool may be shared by stores of several schemas. */
export function statement(text: string): Statement {
  return { text, name: `eventuali_${hash('sha1', text, 'hex').slice(0, 16)}` }
}

const rawTypes: NonNullable<DriverQuery['types']> = { getTypeParser: () => (value) => value }

/** Which backend serves a connection; enough to end it, and only it. */
export interface Backend {
  readonly pid: string
  readonly startedAt: string
}

/** A connection in use by one caller. */
export interface Session {
  readonly client: DriverClient
  readonly backend: Backend | undefined
  /** Gives it back; a broken one is destroyed. */
  release(broken?: boolean): void
}

/** Runs one statement on a client, bounded on this side too: a half-open connection is silent. */
export async function runOn(
  context: { readonly clock: Clock; readonly named: boolean },
  client: DriverClient,
  { text, name }: Statement,
  values: readonly unknown[],
  timeoutMs: number,
): Promise<DriverResult> {
  const query: DriverQuery = {
    text,
    values,
    rowMode: 'array',
    types: rawTypes,
    ...(context.named ? { name } : {}),
  }
  return bounded(context.clock, client.query(query), timeoutMs)
}

/** Rejects with LostConnection when `work` has not ended in time; its own end is then ignored. */
export function bounded<T>(clock: Clock, work: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const stop = clock.timer(Math.max(1, Math.min(timeoutMs, 2 ** 31 - 1)), () =>
      reject(new LostConnection(`no answer within ${Math.round(timeoutMs)} ms`)),
    )
    work.then(
      (value) => {
        stop()
        resolve(value)
      },
      (error) => {
        stop()
        reject(error)
      },
    )
  })
}

/** How many connections each lane has at most, and how long a call waits for one. */
export interface PoolSizes extends Readonly<Record<PoolLaneName, number>> {
  readonly acquireTimeoutMs?: number | undefined
}

export interface ConnectionsOptions {
  readonly driver: Driver | undefined
  readonly url: string | undefined
  readonly pool: DriverPool | undefined
  readonly sizes: PoolSizes
  readonly clock: Clock
  readonly random: Random
  readonly connectTimeoutMs: number
  /** False: a lost connection is said at once, for callers who have somewhere else to read. */
  readonly patient?: boolean | undefined
}

/** What a proof divides by when the server is not what it was. */
const DIVISION_BY_ZERO = '22012'

const identify: Statement = {
  text: `SELECT pg_backend_pid(), coalesce((SELECT extract(epoch FROM backend_start)::text FROM pg_stat_activity WHERE pid = pg_backend_pid()), '')`,
  name: 'eventuali_identify',
}

const reconnect = { retryCountMax: 1000, firstDelayMs: 20, delayMaxMs: 500 }

/** Whether trying to connect again soon may help: refused, reset, starting up, too many clients. */
function mayReconnect(error: unknown): boolean {
  const state = sqlStateOf(error)
  if (state !== undefined)
    return state.startsWith('57P') || state.startsWith('08') || state === '53300'
  return isConnectionLoss(error)
}

/**
 * The store's connections, in lanes: reads, subscriptions and transactions each have their own, so
 * that none of them keeps an append waiting, or another.
 */
export class Connections {
  readonly #options: ConnectionsOptions
  readonly #lanes: Readonly<Record<PoolLaneName, PoolLane>>
  readonly #backends = new WeakMap<object, Backend>()
  readonly #ignore = (): void => {}
  /** From its first moment: the pool's own listener is gone before `connect` resolves. */
  readonly #guard = (client: DriverPoolClient): void => {
    client.on('error', this.#ignore)
  }
  #pooled = false
  #closed = false
  #proof: string | undefined
  #proven = new WeakMap<Statement, Statement>()

  constructor(options: ConnectionsOptions) {
    this.#options = options
    const { pool, sizes, clock } = options
    if (pool !== undefined) {
      pool.on('error', this.#ignore)
      pool.on('connect', this.#guard)
    }
    const lane = (name: string, size: number): PoolLane =>
      new PoolLane(name, pool ?? this.#open(size), size, clock, sizes.acquireTimeoutMs)
    const appends = lane('appends', sizes.appends)
    if (pool === undefined) {
      const reads = lane('reads', sizes.reads)
      const subscriptions = lane('subscriptions', sizes.subscriptions)
      const transactions = lane('transactions', sizes.transactions)
      this.#lanes = { appends, reads, subscriptions, transactions }
    } else {
      // Of a pool that others use too, all but one: that is left for appends.
      const others = lane('shared', Math.max(1, (pool.options?.max ?? 10) - 1))
      this.#lanes = { appends, reads: others, subscriptions: others, transactions: others }
    }
  }

  /** What each lane does, and has done. */
  statistics(): PoolStatistics {
    const { appends, reads, subscriptions, transactions } = this.#lanes
    return {
      appends: appends.statistics,
      reads: reads.statistics,
      subscriptions: subscriptions.statistics,
      transactions: transactions.statistics,
    }
  }

  /** Behind a transaction pooler: no named statements, no LISTEN, no pid to end a backend by. */
  get pooled(): boolean {
    return this.#pooled
  }

  get ownsPool(): boolean {
    return this.#options.pool === undefined
  }

  /** A connection outside the pools, for LISTEN; the caller ends it. */
  async dedicated(url: string | undefined): Promise<DriverClient | undefined> {
    const { driver, connectTimeoutMs } = this.#options
    const connectionString = url ?? this.#options.url
    if (driver === undefined || connectionString === undefined) return undefined
    const client = new driver.Client({
      connectionString,
      keepAlive: true,
      connectionTimeoutMillis: connectTimeoutMs,
      fallback_application_name: 'eventuali',
    })
    client.on('error', this.#ignore)
    await client.connect()
    return client
  }

  /** Waits for a connection until the deadline, over restarts of the server. */
  async acquire(name: PoolLaneName, deadline: Deadline, patient = true): Promise<Session> {
    if (this.#closed) throw new StoreClosedError()
    const lane = this.#lanes[name]
    const leave = lane.tryEnter() ?? (await lane.enter(deadline))
    try {
      const session = await this.#connect(lane, deadline, patient)
      let held = true
      const release = (broken?: boolean): void => {
        if (!held) return
        held = false
        session.release(broken)
        leave()
      }
      return { ...session, release }
    } catch (error) {
      leave()
      throw error
    }
  }

  async #connect(lane: PoolLane, deadline: Deadline, patient: boolean): Promise<Session> {
    const { clock, random } = this.#options
    const startedAt = clock.monotonic()
    for (let attempt = 0; ; attempt++) {
      if (this.#closed) throw new StoreClosedError()
      deadline.signal?.throwIfAborted()
      try {
        return await this.#take(lane.pool, deadline)
      } catch (error) {
        const delayMs = 5 + backoffMs(reconnect, attempt, random)
        if (!patient || !mayReconnect(error) || deadline.leftMs() <= delayMs) {
          // A pool that was handed in may be in use by others.
          if (error instanceof LostConnection && error.message === waitedForPool) {
            const waitedMs = Math.round(clock.monotonic() - startedAt)
            throw new OperationTimeoutError(lane.busyText, waitedMs)
          }
          throw new ConnectionError(error instanceof Error ? describe(error) : String(error), {
            cause: error,
          })
        }
        await sleep(clock, delayMs, deadline.signal)
      }
    }
  }

  /**
   * From now on every `read` proves in its own statement that the condition holds, and throws
   * NotAReplicaError otherwise. A condition that has become false before the statement's snapshot
   * was taken is noticed, so nothing is ever read from a server that is not what it was.
   */
  prove(condition: string): void {
    this.#proof = `(SELECT 1 / (${condition})::int) = 1`
    this.#proven = new WeakMap()
  }

  /** One statement on any connection; tried again after a lost connection, so reads only. */
  async read(
    sql: Statement,
    values: readonly unknown[],
    deadline: Deadline,
    lane: PoolLaneName = 'reads',
  ): Promise<readonly Row[]> {
    const { patient = true } = this.#options
    for (;;) {
      const session = await this.acquire(lane, deadline, patient)
      let broken = false
      try {
        return (await this.run(session, this.#provenOf(sql), values, deadline.leftMs())).rows
      } catch (error) {
        if (this.#proof !== undefined && sqlStateOf(error) === DIVISION_BY_ZERO) {
          throw new NotAReplicaError('the server was promoted or replaced', { cause: error })
        }
        broken = isConnectionLoss(error)
        if (!broken || !patient || deadline.leftMs() <= 0) throw error
      } finally {
        session.release(broken)
      }
    }
  }

  #provenOf(sql: Statement): Statement {
    if (this.#proof === undefined) return sql
    let proven = this.#proven.get(sql)
    if (proven === undefined) {
      // Without a column of the statement in it, the condition is looked at once, not per row.
      proven = statement(`SELECT * FROM (${sql.text}) proven WHERE ${this.#proof}`)
      this.#proven.set(sql, proven)
    }
    return proven
  }

  run(
    session: Session,
    sql: Statement,
    values: readonly unknown[],
    timeoutMs: number,
  ): Promise<DriverResult> {
    const context = { clock: this.#options.clock, named: !this.#pooled }
    return runOn(context, session.client, sql, values, timeoutMs)
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#options.pool !== undefined) {
      this.#options.pool.off('error', this.#ignore)
      this.#options.pool.off('connect', this.#guard)
      return
    }
    await Promise.all(Object.values(this.#lanes).map(({ pool }) => pool.end()))
  }

  #open(max: number): DriverPool {
    const { driver, url, connectTimeoutMs } = this.#options
    if (driver === undefined) throw new TypeError('a driver or a pool is needed')
    const pool = new driver.Pool({
      connectionString: url,
      max,
      keepAlive: true,
      idleTimeoutMillis: 30_000,
      connectionTimeoutMillis: connectTimeoutMs,
      fallback_application_name: 'eventuali',
    })
    // Without a listener an idle connection that breaks would end the process.
    pool.on('error', this.#ignore)
    pool.on('connect', this.#guard)
    return pool
  }

  async #take(pool: DriverPool, deadline: Deadline): Promise<Session> {
    const { clock } = this.#options
    const client = await this.#checkOut(pool, deadline)
    const release = (broken = false): void => {
      // Not `end()`: a half-open connection would wait for a goodbye that never comes.
      if (broken) client.connection?.stream?.destroy()
      client.release(broken)
    }
    try {
      let backend = this.#backends.get(client)
      if (backend === undefined) {
        // A pool that was handed in may have made it before.
        if (this.#options.pool !== undefined) client.on('error', this.#ignore)
        const context = { clock, named: false }
        const { rows } = await runOn(context, client, identify, [], deadline.leftMs())
        const [pid = '', startedAt = ''] = rows[0] as string[]
        // A pooler answers the start of a connection itself, with a pid of its own making.
        if (client.processID !== undefined && String(client.processID) !== pid) this.#pooled = true
        backend = { pid, startedAt }
        this.#backends.set(client, backend)
      }
      return { client, backend: this.#pooled ? undefined : backend, release }
    } catch (error) {
      release(true)
      throw error
    }
  }

  /** The pool cannot be told to stop waiting; a client that comes too late goes straight back. */
  #checkOut(pool: DriverPool, deadline: Deadline): Promise<DriverPoolClient> {
    const waiting = pool.connect()
    return new Promise((resolve, reject) => {
      let settled = false
      const fail = (error: unknown): void => {
        if (settled) return
        settled = true
        stop()
        reject(error)
      }
      const onAbort = (): void => fail(deadline.signal?.reason)
      const leftMs = deadline.leftMs()
      const cancel =
        leftMs === Number.POSITIVE_INFINITY
          ? undefined
          : this.#options.clock.timer(Math.max(1, leftMs), () =>
              fail(new LostConnection(waitedForPool)),
            )
      const stop = (): void => {
        cancel?.()
        deadline.signal?.removeEventListener('abort', onAbort)
      }
      deadline.signal?.addEventListener('abort', onAbort, { once: true })
      waiting.then((client) => {
        if (settled) {
          client.release()
          return
        }
        settled = true
        stop()
        resolve(client)
      }, fail)
    })
  }
}

const waitedForPool = 'all connections of the pool are in use'

function describe(error: Error): string {
  // A host with several addresses fails with an aggregate whose own message is empty.
  const code = (error as { code?: unknown }).code
  return error.message === '' && typeof code === 'string' ? code : error.message
}
