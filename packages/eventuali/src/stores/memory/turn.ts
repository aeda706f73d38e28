import type { Clock } from '../../kernel/index.ts'
import { OperationTimeoutError, QueueFullError } from '../../model/index.ts'
import type { CallOptions } from '../../ports/index.ts'

const waitingCountMax = 100_000

/** Lets one writer in at a time, first come first served. */
export class WriterTurn {
  readonly #clock: Clock
  readonly #waiting = new Set<() => void>()
  #taken = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether a call that starts now would have to wait. */
  get taken(): boolean {
    return this.#taken
  }

  /** Resolves when it is the caller's turn; the caller must call `leave` after it. */
  enter(what: string, { signal, timeoutMs }: CallOptions): Promise<void> {
    signal?.throwIfAborted()
    if (!this.#taken) {
      this.#taken = true
      return Promise.resolve()
    }
    if (this.#waiting.size >= waitingCountMax) throw new QueueFullError('memory', waitingCountMax)
    return new Promise((resolve, reject) => {
      const settle = () => {
        this.#waiting.delete(go)
        stop?.()
        signal?.removeEventListener('abort', onAbort)
      }
      const go = () => {
        settle()
        resolve()
      }
      const onAbort = () => {
        settle()
        reject(signal?.reason)
      }
      const onTimeout = () => {
        settle()
        reject(new OperationTimeoutError(what, timeoutMs ?? 0))
      }
      const stop = timeoutMs === undefined ? undefined : this.#clock.timer(timeoutMs, onTimeout)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiting.add(go)
    })
  }

  /** Hands the turn to the next in line. */
  leave(): void {
    const next = this.#waiting.values().next()
    if (next.done) this.#taken = false
    else next.value()
  }
}
