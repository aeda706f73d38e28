import type { Clock } from '../kernel/index.ts'
import {
  OperationTimeoutError,
  OutcomeUnknownError,
  ProjectionOrderError,
  QueueFullError,
} from '../model/index.ts'
import type { AppendOutcome, AppendRequest, CallOptions } from '../ports/index.ts'

/** Appends in one transaction, at most. */
const GROUP_COUNT_MAX = 64
/** Appends that wait, at most. */
const WAITING_COUNT_MAX = 10_000
/** Tries of an append that came too late for its document. */
const ORDER_TRY_COUNT_MAX = 8

/** One append that failed in the midst of a group, with the reason. */
export class GroupFailure extends Error {
  readonly index: number
  override readonly cause: unknown

  constructor(index: number, cause: unknown) {
    super('one append of the group failed')
    this.index = index
    this.cause = cause
  }
}

interface Waiting {
  readonly request: AppendRequest
  readonly resolve: (outcome: AppendOutcome) => void
  readonly reject: (error: unknown) => void
  /** It is in a group from now on: only its time can still end the wait, with nothing known. */
  join: () => void
  /** Forgets the timer and the signal. */
  leave: () => void
}

/**
 * Appends that wait to share a transaction. What goes wrong with one touches that one only: the
 * others run again without it, and it runs once more alone.
 */
export class InlineQueue {
  readonly #clock: Clock
  readonly #runGroup: (requests: readonly AppendRequest[]) => Promise<readonly AppendOutcome[]>
  #waiting: Waiting[] = []
  #running = false

  constructor(
    clock: Clock,
    runGroup: (requests: readonly AppendRequest[]) => Promise<readonly AppendOutcome[]>,
  ) {
    this.#clock = clock
    this.#runGroup = runGroup
  }

  /** Resolves with the request's outcome once its group has committed. */
  add(request: AppendRequest, options: CallOptions = {}): Promise<AppendOutcome> {
    const { signal, timeoutMs } = options
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (this.#waiting.length >= WAITING_COUNT_MAX) {
      return Promise.reject(new QueueFullError('an inline append', WAITING_COUNT_MAX))
    }
    return new Promise((resolve, reject) => {
      let isJoined = false
      const onAbort = () => giveUp(signal?.reason)
      const onTimeout = (ms: number) =>
        giveUp(
          isJoined
            ? new OutcomeUnknownError(`the append (no answer within ${ms} ms)`)
            : new OperationTimeoutError('an append', ms),
        )
      const stop =
        timeoutMs === undefined
          ? undefined
          : this.#clock.timer(timeoutMs, () => onTimeout(timeoutMs))
      const leave = () => {
        stop?.()
        signal?.removeEventListener('abort', onAbort)
      }
      const join = () => {
        isJoined = true
        signal?.removeEventListener('abort', onAbort)
      }
      const entry: Waiting = {
        ...{ request, join, leave },
        resolve: (outcome) => {
          leave()
          resolve(outcome)
        },
        reject: (error) => {
          leave()
          reject(error)
        },
      }
      const giveUp = (reason: unknown) => {
        this.#waiting = this.#waiting.filter((other) => other !== entry)
        entry.reject(reason)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(entry)
      if (!this.#running) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#running = true
    // One turn of the loop: callers of the same moment share the first group as well.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const group = this.#waiting.slice(0, GROUP_COUNT_MAX)
      this.#waiting = this.#waiting.slice(group.length)
      for (const entry of group) entry.join()
      await this.#settle(group)
    }
    this.#running = false
  }

  async #settle(group: readonly Waiting[]): Promise<void> {
    for (let attempt = 1; group.length > 0; attempt++) {
      try {
        const outcomes = await this.#runGroup(group.map(({ request }) => request))
        for (const [index, entry] of group.entries()) {
          entry.resolve(outcomes[index] as AppendOutcome)
        }
        return
      } catch (error) {
        const reason = error instanceof GroupFailure ? error.cause : error
        if (group.length > 1 && !(reason instanceof OutcomeUnknownError)) {
          await this.#split(group, error)
          return
        }
        if (reason instanceof ProjectionOrderError && attempt < ORDER_TRY_COUNT_MAX) continue
        for (const entry of group) entry.reject(reason)
        return
      }
    }
  }

  /** The others first, for what the failed one saw of them was never committed. */
  async #split(group: readonly Waiting[], error: unknown): Promise<void> {
    if (error instanceof GroupFailure) {
      await this.#settle(group.filter((_, index) => index !== error.index))
      await this.#settle(group.slice(error.index, error.index + 1))
      return
    }
    const half = group.length >> 1
    await this.#settle(group.slice(0, half))
    await this.#settle(group.slice(half))
  }
}
