import { type Deadline, deadlineIn, isEventualiError } from '../../kernel/index.ts'
import {
  OutcomeUnknownError,
  StorageBusyError,
  StorageError,
  StoreClosedError,
} from '../../model/index.ts'
import type { AppendOutcome } from '../../ports/index.ts'
import { GroupCommit, GroupFailure, type GroupLimits, type GroupOutcome } from '../sql/index.ts'
import { AppendUnit, type PreparedRequest } from './append.ts'
import { type Patience, pause } from './busy.ts'
import { assertDurability, diskIsFull, type Profile, syncFolder } from './database.ts'
import type { SqlConnection } from './driver.ts'
import { HeadCache } from './heads.ts'
import { inlineRefusal, isInlineRefusal } from './inline.ts'
import type { Names } from './names.ts'
import { Session } from './session.ts'
import { commitError, failureKind, mayBeOneRequest, storageError } from './sqlite-errors.ts'
import { WalBound } from './wal-bound.ts'

export interface WriterParts extends Patience {
  readonly session: Session
  /** Opens a connection in the place of a broken one; undefined when it is the caller's. */
  readonly reopen: (() => SqlConnection) | undefined
  readonly names: Names
  readonly file: string | undefined
  readonly profile: Profile
  readonly limits: Partial<GroupLimits> | undefined
  /** Called after each commit that stored something. */
  readonly onStored: () => void
}

/** The one connection that writes, and the queue before it. */
export class Writer {
  readonly group: GroupCommit<PreparedRequest, AppendOutcome>
  readonly #parts: WriterParts
  readonly #heads = new HeadCache()
  #session: Session
  /** Why the connection may not be used any more. */
  #broken: unknown
  #verified = false
  readonly #walBound: WalBound | undefined

  constructor(parts: WriterParts) {
    this.#parts = parts
    this.#session = parts.session
    this.#walBound = parts.file === undefined ? undefined : new WalBound(parts.file, parts.clock)
    this.group = new GroupCommit<PreparedRequest, AppendOutcome>({
      commit: (requests) => this.#commitGroup(requests),
      splits: mayBeOneRequest,
      clock: parts.clock,
      limits: parts.limits,
    })
  }

  /** The session to write with; a new one after a failure that the old one must not outlive. */
  session(): Session {
    if (this.#broken === undefined) return this.#session
    const { reopen } = this.#parts
    if (reopen === undefined) {
      throw new StorageError('the connection that was handed in (open the store anew)', {
        cause: this.#broken,
      })
    }
    try {
      this.#session = reopened(reopen)
    } catch (error) {
      throw storageError('opening the file again', error, this.full)
    }
    this.#broken = undefined
    this.#verified = false
    return this.#session
  }

  readonly full = (): boolean => diskIsFull(this.#parts.file)

  /** False when another connection holds the lock, or a caller's transaction this one. */
  begin(): boolean {
    const session = this.session()
    if (session.connection.inTransaction) return false
    try {
      session.sql.begin.run()
      return true
    } catch (error) {
      if (failureKind(error) === 'busy') return false
      this.#rollback(error)
      throw storageError('begin', error, this.full)
    }
  }

  /** Waits until `begin` does. */
  async beginWhenFree(deadline: Deadline): Promise<void> {
    const startedAt = this.#parts.clock.monotonic()
    for (let attempt = 0; !this.begin(); attempt++) {
      if (deadline.leftMs() <= 0) {
        throw new StorageBusyError(this.#parts.clock.monotonic() - startedAt)
      }
      await pause(this.#parts, attempt, deadline.signal)
    }
  }

  /** Commits durably, or rolls back and throws. `bytesMax`: what it may have added to the log. */
  commit(bytesMax: number = Number.POSITIVE_INFINITY): void {
    try {
      this.#session.sql.commit.run()
    } catch (error) {
      this.#rollback(error)
      throw commitError(error, this.full)
    }
    if (!this.#verified) {
      const { profile, file } = this.#parts
      try {
        assertDurability(this.#session.connection, profile, file)
        if (profile === 'durable' && file !== undefined) syncFolder(file)
      } catch (error) {
        this.#discard(error)
        throw isEventualiError(error)
          ? error
          : new OutcomeUnknownError('the append', { cause: error })
      }
      this.#verified = true
    }
    this.#walBound?.afterCommit(this.#session.connection, bytesMax)
  }

  /** Undoes the open transaction because of `error`. */
  rollback(error: unknown): void {
    this.#rollback(error)
  }

  close(): void {
    if (this.#broken !== undefined) return
    this.#broken = new StoreClosedError()
    if (this.#parts.reopen !== undefined) this.#session.connection.close()
  }

  #rollback(error: unknown): void {
    const { connection } = this.#session
    try {
      if (connection.inTransaction) connection.exec('ROLLBACK')
    } catch (failed) {
      this.#discard(failed)
    }
    // After a failed sync the kernel may have dropped the pages: the same connection could
    // acknowledge a later commit whose log has a hole. One that cannot write may be able to when it
    // is opened again: where opening for writing fails, SQLite opens for reading, without a word.
    const kind = failureKind(error)
    const mayBeCured = kind === 'read-only' && this.#parts.reopen !== undefined
    if (kind === 'io' || kind === 'damaged' || mayBeCured) this.#discard(error)
  }

  #discard(reason: unknown): void {
    if (this.#broken !== undefined) return
    this.#broken = reason
    if (this.#parts.reopen === undefined) return
    try {
      this.#session.connection.close()
    } catch {
      // It is given up either way.
    }
  }

  #commitGroup(
    requests: readonly PreparedRequest[],
  ): readonly GroupOutcome<AppendOutcome>[] | Promise<readonly GroupOutcome<AppendOutcome>[]> {
    return this.begin() ? this.#commitBegun(requests) : this.#commitWhenFree(requests)
  }

  #commitBegun(requests: readonly PreparedRequest[]): readonly AppendOutcome[] {
    const { names, clock, onStored } = this.#parts
    let unit: AppendUnit
    let outcomes: AppendOutcome[]
    try {
      unit = new AppendUnit(this.#session, names, clock.now(), this.#heads)
      outcomes = requests.map((request) => unit.append(request))
      unit.flush()
    } catch (error) {
      const refusal = requests.length === 1 ? this.#refusal(requests, error) : undefined
      this.#rollback(error)
      if (refusal !== undefined) return [refusal]
      throw storageError('append', error, this.full)
    }
    this.commit(logBytesMax(requests))
    unit.promote()
    if (unit.stored) onStored()
    return outcomes
  }

  /** What the guard of inline projections said to a lone request, read before the roll back. */
  #refusal(requests: readonly PreparedRequest[], error: unknown): AppendOutcome | undefined {
    if (!isInlineRefusal(error)) return undefined
    try {
      return requests.map((request) => inlineRefusal(this.#session, request))[0]
    } catch {
      return undefined
    }
  }

  async #commitWhenFree(
    requests: readonly PreparedRequest[],
  ): Promise<readonly GroupOutcome<AppendOutcome>[]> {
    const startedAt = this.#parts.clock.monotonic()
    const failures = new Map<PreparedRequest, GroupFailure>()
    for (let attempt = 0; ; attempt++) {
      const waiting = requests.filter((request) => !failures.has(request))
      for (const request of waiting) {
        const { deadline } = request
        if (deadline.signal?.aborted)
          failures.set(request, new GroupFailure(deadline.signal.reason))
        else if (deadline.leftMs() <= 0) {
          const waitedMs = this.#parts.clock.monotonic() - startedAt
          failures.set(request, new GroupFailure(new StorageBusyError(waitedMs)))
        }
      }
      const left = waiting.filter((request) => !failures.has(request))
      if (left.length === 0) return requests.map((r) => failures.get(r) as GroupFailure)
      if (this.begin()) return this.#merge(requests, left, failures)
      await pause(this.#parts, attempt)
    }
  }

  #merge(
    requests: readonly PreparedRequest[],
    left: readonly PreparedRequest[],
    failures: ReadonlyMap<PreparedRequest, GroupFailure>,
  ): readonly GroupOutcome<AppendOutcome>[] {
    const outcomes = this.#commitBegun(left)
    let next = 0
    return requests.map((r) => failures.get(r) ?? (outcomes[next++] as AppendOutcome))
  }
}

/** Each event touches a few pages of the table and of its indexes, and the tags touch theirs. */
function logBytesMax(requests: readonly PreparedRequest[]): number {
  let sum = 4 * PAGE_BYTES
  for (const { bytes, eventCount } of requests) sum += 2 * bytes + 8 * PAGE_BYTES * eventCount
  return sum
}

function reopened(reopen: () => SqlConnection): Session {
  const connection = reopen()
  try {
    return new Session(connection)
  } catch (error) {
    connection.close()
    throw error
  }
}

const PAGE_BYTES = 4096

/** The bound of a call that names none. */
export const timeoutMsDefault = 30_000

/** The deadline of one call. */
export function deadlineOf(
  patience: Patience,
  options: { readonly timeoutMs?: number | undefined; readonly signal?: AbortSignal | undefined },
): Deadline {
  return deadlineIn(patience.clock, options.timeoutMs ?? timeoutMsDefault, options.signal)
}
