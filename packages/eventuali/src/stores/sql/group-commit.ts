import type { Clock, Deadline } from '../../kernel/index.ts'
import { OperationTimeoutError, QueueFullError, StoreClosedError } from '../../model/index.ts'

/** How large a request is. */
export interface Sized {
  readonly eventCount: number
  readonly bytes: number
}

/** The outcome of one request that failed while the rest of its group was committed. */
export class GroupFailure {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

/**
 * Puts the request back to the head of the queue, for the next group. Never for the first request
 * of a group, or it would wait for itself.
 */
export const deferred: unique symbol = Symbol('deferred')

/**
 * What became of one request. A promise takes the request out of the group: the caller gets what
 * it settles to, and the lane goes on (whoever made the promise bounds it and waits for it on
 * close).
 */
export type GroupOutcome<O> = O | Promise<O> | GroupFailure | typeof deferred

/** Named bounds of the queue and of its groups. */
export interface GroupLimits {
  /** Requests that may wait. */
  readonly queueCountMax: number
  /** Bytes that may wait; one request alone may be larger. */
  readonly queueBytesMax: number
  /** Events in one group; one request alone may have more. */
  readonly groupEventCountMax: number
  /** Bytes in one group; one request alone may have more. */
  readonly groupBytesMax: number
  /**
   * Milliseconds that a group should take: where the groups before were slower, the next ones get
   * fewer events, so that nobody waits long for others. One request alone may take longer.
   */
  readonly groupMsGoal: number
}

/** A group of fewer events is never made smaller for its time: it is mostly the flush. */
const ADAPTED_COUNT_MIN = 64
/** How much a new measurement counts. */
const ADAPTING = 0.25
/** So many turns of the event loop with one request each, and the caller counts as a lone one. */
const LONE_TURNS_MIN = 8
/** What a lone caller may commit in one turn: so many groups, none after so many milliseconds. */
const TURN_GROUPS_MAX = 16
const TURN_MS_MAX = 1

const groupLimitsDefault: GroupLimits = {
  queueCountMax: 20_000,
  queueBytesMax: 256 * 1024 * 1024,
  groupEventCountMax: 1000,
  groupBytesMax: 8 * 1024 * 1024,
  groupMsGoal: 100,
}

export interface GroupCommitOptions<Q extends Sized, O> {
  /**
   * Commits one group and returns one outcome for each request, in order. What it throws says
   * that nothing of the group was stored.
   */
  readonly commit: (
    group: readonly Q[],
  ) => readonly GroupOutcome<O>[] | Promise<readonly GroupOutcome<O>[]>
  /**
   * Whether an error may be the fault of one request alone, so that the group is tried again in
   * halves down to it. Errors that would meet every request (no space, no connection) are not.
   */
  readonly splits: (error: unknown) => boolean
  readonly clock: Clock
  readonly limits?: Partial<GroupLimits> | undefined
  /** Groups under way at once; 1 when there is one writer. */
  readonly concurrency?: number | undefined
  /** What callers wait for, for messages: 'an append'. */
  readonly what?: string | undefined
}

interface Waiter<Q, O> {
  /** Undefined for one that wants to be alone. */
  readonly request: Q | undefined
  readonly deadline: Deadline
  readonly budgetMs: number
  readonly resolve: (value: O | Promise<O>) => void
  readonly reject: (error: unknown) => void
  onAbort: (() => void) | undefined
}

const unbounded: Deadline = { leftMs: () => Number.POSITIVE_INFINITY, signal: undefined }

/**
 * Shares commits between concurrent callers: what was submitted in one turn of the event loop is
 * handed over together, first come first served. Whatever goes wrong with one request touches
 * its caller only. A lone caller waits for no timer, and seldom for a turn.
 */
export class GroupCommit<Q extends Sized, O> {
  readonly #options: GroupCommitOptions<Q, O>
  readonly #limits: GroupLimits
  readonly #lanesMax: number
  readonly #what: string
  #queue: Waiter<Q, O>[] = []
  #queueBytes = 0
  #lanesBusy = 0
  /** Somebody is alone now. */
  #held = false
  #scheduled = false
  #closed = false
  /** Turns in a row with one request, committed synchronously. */
  #loneTurns = 0
  #turnGroups = 0
  #turnStartedMs = 0
  #drained: (() => void)[] = []
  /** Milliseconds of an event in the groups so far, about; 0 until there was a large one. */
  #msOfEvent = 0
  #stopExpiry: (() => void) | undefined
  #expiryAtMs = Number.POSITIVE_INFINITY

  constructor(options: GroupCommitOptions<Q, O>) {
    this.#options = options
    this.#limits = { ...groupLimitsDefault, ...options.limits }
    this.#lanesMax = options.concurrency ?? 1
    this.#what = options.what ?? 'an append'
  }

  /**
   * Resolves with the request's outcome after its group was committed. Rejects with the signal's
   * reason or OperationTimeoutError only while it waits, so when nothing was stored; with
   * QueueFullError and StoreClosedError at once.
   */
  submit(request: Q, deadline: Deadline = unbounded): Promise<O> {
    return new Promise<O>((resolve, reject) => this.#enqueue(request, deadline, resolve, reject))
  }

  /**
   * Waits in the same queue for a moment in which no group is under way, and keeps it that way
   * until the returned function is called (once).
   */
  async hold(deadline: Deadline = unbounded): Promise<() => void> {
    await new Promise<O | undefined>((resolve, reject) =>
      this.#enqueue(undefined, deadline, resolve as Waiter<Q, O>['resolve'], reject),
    )
    return () => {
      this.#held = false
      this.#schedule()
    }
  }

  /** Requests that wait. */
  get waitingCount(): number {
    return this.#queue.length
  }

  /** Refuses new requests and resolves when all that were accepted are settled. */
  close(): Promise<void> {
    this.#closed = true
    return new Promise((resolve) => {
      this.#drained.push(resolve)
      this.#schedule()
    })
  }

  #enqueue(
    request: Q | undefined,
    deadline: Deadline,
    resolve: Waiter<Q, O>['resolve'],
    reject: (error: unknown) => void,
  ): void {
    const { signal } = deadline
    const bytes = request?.bytes ?? 0
    if (this.#closed || signal?.aborted || this.#full(bytes)) {
      reject(this.#refusal(signal))
      return
    }
    const budgetMs = deadline.leftMs()
    const waiter: Waiter<Q, O> = {
      request,
      deadline,
      budgetMs,
      resolve,
      reject,
      onAbort: undefined,
    }
    if (signal !== undefined) this.#listen(waiter, signal)
    this.#queue.push(waiter)
    this.#queueBytes += bytes
    // While everything is taken the wait may be long, so that deadlines need a timer.
    if (this.#stuck()) this.#watchExpiry(budgetMs)
    else this.#schedule()
  }

  #full(bytes: number): boolean {
    const { queueCountMax, queueBytesMax } = this.#limits
    const { length } = this.#queue
    return length >= queueCountMax || (length > 0 && this.#queueBytes + bytes > queueBytesMax)
  }

  #refusal(signal: AbortSignal | undefined): unknown {
    if (this.#closed) return new StoreClosedError()
    if (signal?.aborted) return signal.reason
    return new QueueFullError(this.#what, this.#limits.queueCountMax)
  }

  #listen(waiter: Waiter<Q, O>, signal: AbortSignal): void {
    waiter.onAbort = () => {
      this.#queue = this.#queue.filter((other) => other !== waiter)
      this.#queueBytes -= waiter.request?.bytes ?? 0
      waiter.reject(signal.reason)
      this.#schedule()
    }
    signal.addEventListener('abort', waiter.onAbort, { once: true })
  }

  #stuck(): boolean {
    return this.#held || this.#lanesBusy >= this.#lanesMax
  }

  /**
   * A turn of the event loop, not a microtask: callers at different depths of awaiting and other
   * sockets' requests join the same group, and a synchronous commit in a loop does not starve I/O.
   * For a caller who has been alone for a while, a microtask, until a turn is due: it saves a tenth
   * of an append, and whoever comes meanwhile is seen at the next turn.
   */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    if (this.#isAlone()) queueMicrotask(this.#pump)
    else setImmediate(this.#turn)
  }

  #isAlone(): boolean {
    if (this.#loneTurns < LONE_TURNS_MIN || this.#turnGroups >= TURN_GROUPS_MAX) return false
    return this.#options.clock.monotonic() - this.#turnStartedMs < TURN_MS_MAX
  }

  readonly #turn = (): void => {
    this.#turnGroups = 0
    this.#turnStartedMs = this.#options.clock.monotonic()
    this.#pump()
  }

  readonly #pump = (): void => {
    this.#scheduled = false
    while (this.#queue.length > 0 && !this.#stuck()) {
      if ((this.#queue[0] as Waiter<Q, O>).request === undefined) {
        if (this.#lanesBusy > 0) break
        const [first] = this.#take(1)
        // Too late: nobody is there who would give it back.
        if (first === undefined) continue
        this.#held = true
        first.resolve(undefined as O)
        break
      }
      const group = this.#take(this.#groupLength())
      if (group.length === 0) continue
      this.#lanesBusy++
      const running = this.#run(group)
      this.#countTurn(group.length === 1 && running === undefined && this.#queue.length === 0)
      if (running === undefined) {
        this.#lanesBusy--
        // One synchronous group a turn: the callers' continuations and I/O come first.
        break
      }
      void running.then(() => {
        this.#lanesBusy--
        this.#schedule()
      })
    }
    if (this.#queue.length > 0) {
      if (this.#stuck()) this.#watchExpiry(this.#leastLeftMs())
      else this.#schedule()
    } else {
      this.#stopExpiry?.()
      this.#stopExpiry = undefined
      if (this.#closed && this.#lanesBusy === 0 && !this.#held) {
        for (const done of this.#drained.splice(0)) done()
      }
    }
  }

  #countTurn(isLone: boolean): void {
    if (!isLone) this.#loneTurns = 0
    else if (this.#turnGroups === 0) this.#loneTurns += 1
    this.#turnGroups += 1
  }

  #groupLength(): number {
    const { groupBytesMax, groupMsGoal } = this.#limits
    const fitting = this.#msOfEvent === 0 ? Number.POSITIVE_INFINITY : groupMsGoal / this.#msOfEvent
    const adapted = Math.max(ADAPTED_COUNT_MIN, fitting)
    const groupEventCountMax = Math.min(this.#limits.groupEventCountMax, adapted)
    let eventCount = 0
    let bytes = 0
    let length = 0
    for (const { request } of this.#queue) {
      if (request === undefined) break
      eventCount += request.eventCount
      bytes += request.bytes
      if (length > 0 && (eventCount > groupEventCountMax || bytes > groupBytesMax)) break
      length++
    }
    return length
  }

  /** From here on a request can no longer be aborted. */
  #take(length: number): Waiter<Q, O>[] {
    const taken = this.#queue.splice(0, length)
    let expired = 0
    for (const waiter of taken) {
      this.#queueBytes -= waiter.request?.bytes ?? 0
      this.#deafen(waiter)
      if (waiter.budgetMs !== Number.POSITIVE_INFINITY && waiter.deadline.leftMs() <= 0) expired++
    }
    if (expired === 0) return taken
    return taken.filter((waiter) => !this.#expire(waiter))
  }

  #deafen(waiter: Waiter<Q, O>): void {
    if (waiter.onAbort === undefined) return
    waiter.deadline.signal?.removeEventListener('abort', waiter.onAbort)
    waiter.onAbort = undefined
  }

  #expire(waiter: Waiter<Q, O>): boolean {
    if (waiter.deadline.leftMs() > 0) return false
    this.#deafen(waiter)
    waiter.reject(new OperationTimeoutError(this.#what, Math.round(waiter.budgetMs)))
    return true
  }

  #run(group: readonly Waiter<Q, O>[]): Promise<void> | undefined {
    const measured = group.length > 1 ? this.#options.clock.monotonic() : undefined
    let outcomes: ReturnType<GroupCommitOptions<Q, O>['commit']>
    try {
      outcomes = this.#options.commit(group.map((waiter) => waiter.request as Q))
    } catch (error) {
      return this.#failed(group, error)
    }
    if (!(outcomes instanceof Promise)) {
      this.#adapt(group, measured)
      this.#settle(group, outcomes)
      return
    }
    return outcomes.then(
      (settled) => {
        this.#adapt(group, measured)
        this.#settle(group, settled)
      },
      (error) => this.#failed(group, error),
    )
  }

  /** Learns from a group of several requests how long an event takes. */
  #adapt(group: readonly Waiter<Q, O>[], startedMs: number | undefined): void {
    if (startedMs === undefined) return
    let eventCount = 0
    for (const { request } of group) eventCount += request?.eventCount ?? 0
    if (eventCount < ADAPTED_COUNT_MIN) return
    const ms = (this.#options.clock.monotonic() - startedMs) / eventCount
    this.#msOfEvent =
      this.#msOfEvent === 0 ? ms : this.#msOfEvent + ADAPTING * (ms - this.#msOfEvent)
  }

  #failed(group: readonly Waiter<Q, O>[], error: unknown): Promise<void> | undefined {
    if (group.length === 1 || !this.#options.splits(error)) {
      for (const waiter of group) waiter.reject(error)
      return
    }
    const half = group.length >>> 1
    const first = this.#run(group.slice(0, half))
    const rest = group.slice(half)
    return first === undefined ? this.#run(rest) : first.then(() => this.#run(rest))
  }

  #settle(group: readonly Waiter<Q, O>[], outcomes: readonly GroupOutcome<O>[]): void {
    const again: Waiter<Q, O>[] = []
    for (let i = 0; i < group.length; i++) {
      const waiter = group[i] as Waiter<Q, O>
      const outcome = outcomes[i] as GroupOutcome<O>
      if (outcome === deferred) again.push(waiter)
      else if (outcome instanceof GroupFailure) waiter.reject(outcome.error)
      else waiter.resolve(outcome)
    }
    if (again.length > 0) this.#putBack(again)
  }

  #putBack(again: readonly Waiter<Q, O>[]): void {
    const alive = again.filter((waiter) => {
      const { signal } = waiter.deadline
      if (signal === undefined) return true
      if (signal.aborted) waiter.reject(signal.reason)
      else this.#listen(waiter, signal)
      return !signal.aborted
    })
    for (const { request } of alive) this.#queueBytes += request?.bytes ?? 0
    this.#queue.unshift(...alive)
    this.#schedule()
  }

  #leastLeftMs(): number {
    let least = Number.POSITIVE_INFINITY
    for (const { budgetMs, deadline } of this.#queue) {
      if (budgetMs !== Number.POSITIVE_INFINITY) least = Math.min(least, deadline.leftMs())
    }
    return least
  }

  #watchExpiry(leftMs: number): void {
    if (leftMs === Number.POSITIVE_INFINITY) return
    const { clock } = this.#options
    const atMs = clock.monotonic() + leftMs
    if (this.#stopExpiry !== undefined && this.#expiryAtMs <= atMs) return
    this.#stopExpiry?.()
    this.#expiryAtMs = atMs
    this.#stopExpiry = clock.timer(Math.max(1, Math.ceil(leftMs)), () => {
      this.#stopExpiry = undefined
      this.#queue = this.#queue.filter((waiter) => {
        if (waiter.budgetMs === Number.POSITIVE_INFINITY || !this.#expire(waiter)) return true
        this.#queueBytes -= waiter.request?.bytes ?? 0
        return false
      })
      this.#schedule()
    })
  }
}
