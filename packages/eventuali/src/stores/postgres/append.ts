import {
  backoffMs,
  type Clock,
  type Deadline,
  deadlineIn,
  type Random,
  SharedTimer,
  sleep,
} from '../../kernel/index.ts'
import {
  type BodyEncoder,
  OperationTimeoutError,
  OutcomeUnknownError,
  ReadOnlyStoreError,
  StoreClosedError,
} from '../../model/index.ts'
import type { AppendOutcome, AppendRequest, CallOptions } from '../../ports/index.ts'
import {
  deferred,
  GroupCommit,
  GroupFailure,
  type GroupLimits,
  type GroupOutcome,
  tagHash,
} from '../sql/index.ts'
import { appendOneText, oneValues, oneVerdict, ShortWay } from './append-one.ts'
import { appendStatementText, appendValues, dependsOnEarlier } from './append-plan.ts'
import { type Connections, type Session, type Statement, statement } from './connections.ts'
import {
  isConnectionLoss,
  isInterference,
  isLockTimeout,
  isRequestFault,
  missingInline,
  sqlStateOf,
  storageFailure,
} from './failures.ts'
import { appendWithinText, inlineValue, missingOf, projectionMissing } from './inline.ts'
import { Lanes } from './lanes.ts'
import type { LockKeys } from './lock-keys.ts'
import { decideKnown, type KnownRows, readVerdicts, repeatedId, type Verdict } from './outcomes.ts'
import type { Reads } from './reads.ts'
import { hasBodies, type PreparedAppend, prepare } from './requests.ts'
import type { Run, Settling } from './settle.ts'
import type { TypeNames } from './type-names.ts'

/** How long a call may take past its deadline to find out what became of it. */
const GRACE_MS = 500
/** A blocked append lets those that wait for its lane go first after this long. */
const LANE_SLICE_MS = 500
/** Locks that one group takes at most; the server's lock table is shared by all. */
const GROUP_LOCK_COUNT_MAX = 512
const again = { retryCountMax: 1000, firstDelayMs: 5, delayMaxMs: 200 }

export interface AppenderOptions {
  readonly connections: Connections
  readonly settling: Settling
  readonly types: TypeNames
  readonly keys: LockKeys
  readonly schema: string
  readonly clock: Clock
  readonly random: Random
  /** A value for synchronous_commit in every append, when the server has another one. */
  readonly sync: string | null
  readonly timeoutMs: number
  readonly statementTimeoutMs: number
  readonly laneCountMax: number
  readonly groupCountMax: number
  readonly limits: Partial<GroupLimits> | undefined
  readonly readOnly: string | undefined
  /** Undefined for plain JSON text. */
  readonly encoder: BodyEncoder | undefined
  /** For the events that failed a condition. */
  readonly reads: Reads
  /** Something was committed. */
  readonly onStored: () => void
}

/** Appends: grouped when nothing is in their way, in lanes of their own otherwise. */
export class Appender {
  readonly #options: AppenderOptions
  readonly #append: Statement
  readonly #appendOne: Statement
  readonly #shortWay = new ShortWay()
  readonly #appendBodies: Statement
  readonly #appendWithin: Statement
  readonly #appendBodiesWithin: Statement
  readonly #tagsOf: Statement
  readonly #group: GroupCommit<PreparedAppend, AppendOutcome>
  readonly #lanes: Lanes
  readonly #alone = new Set<Promise<unknown>>()
  readonly #overdue: SharedTimer
  #closed = false

  constructor(options: AppenderOptions) {
    this.#options = options
    const { schema, clock, limits, groupCountMax } = options
    this.#append = statement(appendStatementText(schema, 1))
    this.#appendOne = statement(appendOneText(schema))
    this.#appendBodies = statement(appendStatementText(schema, 2))
    this.#appendWithin = statement(appendWithinText(schema, 1))
    this.#appendBodiesWithin = statement(appendWithinText(schema, 2))
    this.#tagsOf = statement(
      `SELECT DISTINCT e.tags FROM ${schema}.streams s JOIN ${schema}.events e ON e.stream = s.id
       WHERE s.name = $1 AND e.version < $2::bigint AND e.tags IS NOT NULL`,
    )
    this.#lanes = new Lanes(clock, options.laneCountMax)
    this.#overdue = new SharedTimer(clock)
    this.#group = new GroupCommit<PreparedAppend, AppendOutcome>({
      commit: (group) => this.#commit(group),
      splits: isRequestFault,
      clock,
      limits,
      concurrency: groupCountMax,
    })
  }

  /** An append of its own, committed when it resolves. */
  async append(request: AppendRequest, options: CallOptions = {}): Promise<AppendOutcome> {
    const { clock } = this.#options
    const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs
    const deadline = deadlineIn(clock, timeoutMs, options.signal)
    deadline.signal?.throwIfAborted()
    this.#assertWritable()
    const prepared = this.encode(request, deadline)
    if (!this.#knowsTypes(prepared)) await this.#options.types.ensure(prepared.types, deadline)
    const twice = repeatedId(prepared)
    if (twice !== undefined) return twice
    const changes = request.entries.some((entry) => entry.change !== undefined)
    const work = changes
      ? this.#track(this.#runAlone(prepared))
      : this.#group.submit(prepared, deadline)
    try {
      return await this.#withinDeadline(work, deadline, timeoutMs)
    } catch (error) {
      if (error === options.signal?.reason) throw error
      throw storageFailure('an append', timeoutMs - deadline.leftMs(), error)
    }
  }

  /** An append inside a transaction that somebody else commits. */
  async appendIn(
    request: AppendRequest,
    run: Run,
    reads: Reads,
    deadline: Deadline,
  ): Promise<AppendOutcome> {
    this.#assertWritable()
    const prepared = this.encode(request, deadline)
    if (!this.#knowsTypes(prepared)) await this.#options.types.ensure(prepared.types, deadline)
    const twice = repeatedId(prepared)
    if (twice !== undefined) return twice
    const now = this.#options.clock.now()
    const dropHashes = await this.#dropHashes(request, run)
    const leftMs = Math.min(deadline.leftMs(), this.#options.timeoutMs)
    const values = this.#values([prepared], Math.max(1, Math.floor(leftMs)), now, dropHashes)
    const sql = hasBodies([prepared]) ? this.#appendBodiesWithin : this.#appendWithin
    const [row] = await run(sql, [...values, inlineValue(request)])
    const missing = missingOf(row)
    if (missing !== undefined) return missing
    const [verdict] = readVerdicts(row ?? [], [prepared], now)
    if (verdict?.kind === 'known') {
      const rows = await this.#options.settling.knownRows([prepared], 'index', run, deadline)
      const outcome = decideKnown(prepared, rows)
      if (outcome !== undefined) return outcome
    }
    if (verdict?.kind === 'condition') return reads.conditionEvents(request, left(deadline))
    if (verdict?.kind === 'done') return verdict.outcome
    throw new OperationTimeoutError('an append', Math.round(leftMs))
  }

  /** A request as rows would hold it. */
  encode(request: AppendRequest, deadline: Deadline): PreparedAppend {
    return prepare(request, deadline, this.#options.keys, this.#options.encoder)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#group.close()
    await Promise.allSettled([...this.#alone])
  }

  #assertWritable(): void {
    const { readOnly } = this.#options
    if (this.#closed) throw new StoreClosedError()
    if (readOnly !== undefined) throw new ReadOnlyStoreError(readOnly)
  }

  #knowsTypes(prepared: PreparedAppend): boolean {
    for (const type of prepared.types) {
      if (this.#options.types.idOf(type) === undefined) return false
    }
    return true
  }

  #values(
    requests: readonly PreparedAppend[],
    waitMs: number | null,
    now: number,
    dropHashes: readonly number[],
  ): readonly unknown[] {
    const { types, keys, sync, connections } = this.#options
    const call = { waitMs, sync, now, guarded: connections.pooled, dropHashes }
    return appendValues(requests, types, keys, call, hasBodies(requests))
  }

  /** One group; callers that something is in the way of leave it for themselves. */
  async #commit(group: readonly PreparedAppend[]): Promise<readonly GroupOutcome<AppendOutcome>[]> {
    const chosen: PreparedAppend[] = []
    let lockCount = 0
    for (const prepared of group) {
      const tooManyLocks = lockCount + prepared.locks.size > GROUP_LOCK_COUNT_MAX
      if (chosen.length > 0 && (tooManyLocks || dependsOnEarlier(prepared, chosen))) continue
      lockCount += prepared.locks.size
      chosen.push(prepared)
    }
    const included = new Set(chosen)
    let verdicts: readonly (Verdict | GroupFailure)[]
    try {
      verdicts = await this.#attempt(chosen, null, longest(chosen))
    } catch (error) {
      const [only] = chosen
      const waits = isLockTimeout(error) || isInterference(error)
      if (only === undefined || chosen.length > 1 || !waits) throw error
      verdicts = [{ kind: 'busy' }]
    }
    let at = 0
    return group.map((prepared) => {
      if (!included.has(prepared)) return deferred
      const verdict = verdicts[at++] as Verdict | GroupFailure
      if (verdict instanceof GroupFailure) return verdict
      if (verdict.kind === 'done') return verdict.outcome
      return this.#track(this.#finish(prepared, verdict))
    })
  }

  #finish(prepared: PreparedAppend, verdict: Verdict): Promise<AppendOutcome> {
    if (verdict.kind === 'done') return Promise.resolve(verdict.outcome)
    if (verdict.kind === 'busy') return this.#runAlone(prepared)
    if (verdict.kind === 'condition') {
      return this.#options.reads.conditionEvents(prepared.request, left(prepared.deadline))
    }
    return this.#finishKnown(prepared)
  }

  async #finishKnown(prepared: PreparedAppend): Promise<AppendOutcome> {
    const rows = await this.#options.settling.lookUp([prepared], 'index', prepared.deadline)
    return decideKnown(prepared, rows) ?? this.#runAlone(prepared)
  }

  /** Blocking, on a connection of its own, until the deadline. */
  async #runAlone(prepared: PreparedAppend): Promise<AppendOutcome> {
    const { clock, random } = this.#options
    const { deadline, request } = prepared
    const budgetMs = Math.round(deadline.leftMs())
    for (let attempt = 0; ; attempt++) {
      const leave = await this.#lanes.enter(deadline, 'an append')
      try {
        deadline.signal?.throwIfAborted()
        const leftMs = deadline.leftMs()
        if (leftMs <= 0) throw new OperationTimeoutError('an append', budgetMs)
        const sliceMs = this.#lanes.waitingCount > 0 ? LANE_SLICE_MS : 5 * LANE_SLICE_MS
        const waitMs = Math.max(1, Math.floor(Math.min(leftMs - 25, sliceMs)))
        const [verdict] = await this.#attempt([prepared], waitMs, deadline, request)
        if (verdict instanceof GroupFailure) throw verdict.error
        if (verdict !== undefined && verdict.kind !== 'busy') {
          return await this.#finish(prepared, verdict)
        }
      } catch (error) {
        const waits = isLockTimeout(error) || isInterference(error)
        if (!waits || attempt >= retriesOf(error)) throw error
      } finally {
        leave()
      }
      if (deadline.leftMs() <= 0) throw new OperationTimeoutError('an append', budgetMs)
      await sleep(clock, backoffMs(again, Math.min(attempt, 3), random), deadline.signal)
    }
  }

  /**
   * Runs the append function, over lost connections: what was lost is looked up, what is found
   * is a success, what is not is tried again.
   */
  async #attempt(
    requests: readonly PreparedAppend[],
    waitMs: number | null,
    deadline: Deadline,
    change?: AppendRequest,
  ): Promise<readonly (Verdict | GroupFailure)[]> {
    const { connections, clock, statementTimeoutMs } = this.#options
    const session = await connections.acquire('appends', deadline)
    const now = clock.now()
    let broken = false
    let lost: unknown
    try {
      const dropHashes =
        change === undefined ? [] : await this.#dropHashesOn(session, change, deadline)
      const one = waitMs === null ? await this.#attemptOne(session, requests, now, deadline) : []
      if (one.length > 0) return one
      const values = this.#values(requests, waitMs, now, dropHashes)
      const append = hasBodies(requests) ? this.#appendBodies : this.#append
      const eventCount = requests.reduce((sum, prepared) => sum + prepared.eventCount, 0)
      const boundMs = statementTimeoutMs + (waitMs ?? 0) + eventCount
      const timeoutMs = Math.min(deadline.leftMs(), boundMs)
      const { rows } = await connections.run(session, append, values, timeoutMs)
      const verdicts = readVerdicts(rows[0] ?? [], requests, now)
      this.#note(verdicts)
      return verdicts
    } catch (error) {
      const missing = requests.length === 1 ? missingInline(error) : undefined
      if (missing !== undefined) return [{ kind: 'done', outcome: projectionMissing(missing) }]
      if (!isConnectionLoss(error)) throw error
      broken = true
      lost = error
    } finally {
      session.release(broken)
    }
    for (const prepared of requests) prepared.attempts.push(now)
    return this.#afterLoss(requests, waitMs, session, deadline, lost, change)
  }

  /** The short way for a lone event; nothing when it is not open to it. */
  async #attemptOne(
    session: Session,
    requests: readonly PreparedAppend[],
    now: number,
    deadline: Deadline,
  ): Promise<readonly Verdict[]> {
    const { connections, types, sync, statementTimeoutMs } = this.#options
    const [prepared] = requests
    if (prepared === undefined || requests.length > 1 || connections.pooled) return []
    const stream = this.#shortWay.streamOf(prepared)
    if (stream === undefined) return []
    const timeoutMs = Math.min(deadline.leftMs(), statementTimeoutMs + 1)
    const values = oneValues(prepared, types, sync, now)
    const { rows } = await connections.run(session, this.#appendOne, values, timeoutMs)
    const verdict = oneVerdict(rows[0], stream, now)
    if (verdict === undefined) {
      this.#shortWay.miss(stream)
      return []
    }
    this.#shortWay.hit(stream)
    this.#options.onStored()
    return [verdict]
  }

  #note(verdicts: readonly Verdict[]): void {
    let isStored = false
    for (const verdict of verdicts) {
      if (verdict.kind !== 'done' || !verdict.outcome.ok) continue
      isStored = true
      for (const { stream } of verdict.outcome.entries) this.#shortWay.note(stream)
    }
    if (isStored) this.#options.onStored()
  }

  async #afterLoss(
    requests: readonly PreparedAppend[],
    waitMs: number | null,
    session: Session,
    deadline: Deadline,
    lost: unknown,
    change: AppendRequest | undefined,
  ): Promise<readonly (Verdict | GroupFailure)[]> {
    const { settling } = this.#options
    const grace: Deadline = { leftMs: () => deadline.leftMs() + GRACE_MS, signal: undefined }
    let rows: KnownRows = new Map()
    // Behind a pooler there is no backend to end; the ids are guarded there, so that the append
    // is tried again as it is and finds its own rows.
    if (session.backend !== undefined) {
      rows = await settling.afterLoss(requests, session.backend, grace, lost)
    } else if (deadline.leftMs() <= 0) {
      throw new OutcomeUnknownError('the append', { cause: lost })
    }
    const decided = requests.map((prepared) => decideKnown(prepared, rows))
    if (decided.some((outcome) => outcome?.ok === true)) this.#options.onStored()
    const open = requests.filter((_, i) => decided[i] === undefined)
    const alive = open.filter((prepared) => prepared.deadline.leftMs() > 0)
    const verdicts = alive.length === 0 ? [] : await this.#attempt(alive, waitMs, deadline, change)
    const byRequest = new Map(alive.map((prepared, i) => [prepared, verdicts[i]]))
    return requests.map((prepared, i): Verdict | GroupFailure => {
      const outcome = decided[i]
      if (outcome !== undefined) return { kind: 'done', outcome }
      const timeout = new OperationTimeoutError('an append', this.#options.timeoutMs)
      return byRequest.get(prepared) ?? new GroupFailure(timeout)
    })
  }

  #dropHashesOn(
    session: Session,
    request: AppendRequest,
    deadline: Deadline,
  ): Promise<readonly number[]> {
    const { connections } = this.#options
    return this.#dropHashes(request, async (sql, values) => {
      return (await connections.run(session, sql, values, deadline.leftMs())).rows
    })
  }

  /** Hashes of the tags whose index rows go with a truncate or delete. */
  async #dropHashes({ entries }: AppendRequest, run: Run): Promise<readonly number[]> {
    const hashes = new Set<number>()
    for (const { stream, change } of entries) {
      if (change?.kind !== 'delete' && change?.kind !== 'truncate') continue
      const before = change.kind === 'truncate' ? change.before : Number.MAX_SAFE_INTEGER
      for (const [text] of await run(this.#tagsOf, [stream, before])) {
        for (const tag of JSON.parse(text as string) as string[]) hashes.add(tagHash(tag))
      }
    }
    return [...hashes]
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const done: Promise<unknown> = work.then(
      () => this.#alone.delete(done),
      () => this.#alone.delete(done),
    )
    this.#alone.add(done)
    return work
  }

  /** A caller is not kept past its deadline by a group or a server that does not answer. */
  #withinDeadline<T>(work: Promise<T>, deadline: Deadline, timeoutMs: number): Promise<T> {
    const leftMs = Math.max(1, deadline.leftMs()) + 1.5 * GRACE_MS
    const unknown = () => new OutcomeUnknownError(`the append (no answer within ${timeoutMs} ms)`)
    return this.#overdue.bound(work, leftMs, unknown)
  }
}

/** A unique key that stays in the way is no race any more. */
function retriesOf(error: unknown): number {
  return sqlStateOf(error) === '23505' ? 5 : again.retryCountMax
}

function left(deadline: Deadline): CallOptions {
  return { timeoutMs: Math.max(1, deadline.leftMs()) }
}

/** The bound of a group is that of its most patient caller; nobody's signal ends it for all. */
function longest(requests: readonly PreparedAppend[]): Deadline {
  let patient = (requests[0] as PreparedAppend).deadline
  let most = patient.leftMs()
  for (const { deadline } of requests.slice(1)) {
    const leftMs = deadline.leftMs()
    if (leftMs <= most) continue
    most = leftMs
    patient = deadline
  }
  return { leftMs: () => patient.leftMs(), signal: undefined }
}
