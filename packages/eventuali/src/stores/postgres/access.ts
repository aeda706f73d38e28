import { type Clock, type Deadline, deadlineIn } from '../../kernel/index.ts'
import type { CallOptions } from '../../ports/index.ts'
import type { Row, Statement } from './connections.ts'
import type { RunRead } from './reads.ts'

/** The server is to say that a lock was not to be had before its client stops listening. */
const ANSWER_MS = 25
const INTEGER_MAX = 2 ** 31 - 1

export interface AccessOptions {
  readonly run: RunRead
  readonly clock: Clock
  readonly schema: string
  /** The bound of calls without one of their own. */
  readonly timeoutMs: number
  /** What is left of the transaction around it; Infinity outside of one. */
  readonly leftMs: () => number
}

/** Runs statements of the read side, on some connection or in a transaction. */
export class Access {
  readonly schema: string
  readonly #options: AccessOptions

  constructor(options: AccessOptions) {
    this.schema = options.schema
    this.#options = options
  }

  query(
    sql: Statement,
    values: readonly unknown[],
    options: CallOptions = {},
  ): Promise<readonly Row[]> {
    options.signal?.throwIfAborted()
    return this.#options.run(sql, values, this.#deadline(options))
  }

  /** A statement whose first value says how long each lock is waited for. */
  waiting(
    sql: Statement,
    values: readonly unknown[],
    options: CallOptions = {},
  ): Promise<readonly Row[]> {
    options.signal?.throwIfAborted()
    const deadline = this.#deadline(options)
    const leftMs = Math.min(deadline.leftMs(), this.#options.leftMs(), INTEGER_MAX)
    const waitMs = Math.max(1, Math.floor(leftMs - ANSWER_MS))
    return this.#options.run(sql, [waitMs, ...values], deadline)
  }

  #deadline({ timeoutMs, signal }: CallOptions): Deadline {
    return deadlineIn(this.#options.clock, timeoutMs ?? this.#options.timeoutMs, signal)
  }
}
