import type { Clock, Deadline } from '../../kernel/index.ts'
import { OperationTimeoutError } from '../../model/index.ts'

/** A bounded number of places, first come first served. */
export class Lanes {
  readonly #clock: Clock
  readonly #countMax: number
  readonly #waiting: (() => void)[] = []
  #busy = 0

  constructor(clock: Clock, countMax: number) {
    this.#clock = clock
    this.#countMax = countMax
  }

  get waitingCount(): number {
    return this.#waiting.length
  }

  get busyCount(): number {
    return this.#busy
  }

  /** Takes a place at once if one is free: no promise, so nothing to wait for. */
  tryEnter(): (() => void) | undefined {
    if (this.#busy >= this.#countMax) return undefined
    this.#busy++
    return this.#leave
  }

  /** Waits for a place until the deadline; the result gives it back (once). */
  async enter(deadline: Deadline, what: string): Promise<() => void> {
    deadline.signal?.throwIfAborted()
    const leave = this.tryEnter()
    if (leave !== undefined) return leave
    await this.#wait(deadline, what)
    return this.#leave
  }

  readonly #leave = (): void => {
    const next = this.#waiting.shift()
    if (next === undefined) this.#busy--
    else next()
  }

  #wait(deadline: Deadline, what: string): Promise<void> {
    const leftMs = deadline.leftMs()
    return new Promise((resolve, reject) => {
      const leave = (error: unknown): void => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1)
        cleanUp()
        reject(error)
      }
      const onAbort = (): void => leave(deadline.signal?.reason)
      const stop =
        leftMs === Number.POSITIVE_INFINITY
          ? undefined
          : this.#clock.timer(Math.max(1, leftMs), () =>
              leave(new OperationTimeoutError(what, Math.round(leftMs))),
            )
      const cleanUp = (): void => {
        stop?.()
        deadline.signal?.removeEventListener('abort', onAbort)
      }
      const go = (): void => {
        cleanUp()
        resolve()
      }
      deadline.signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(go)
    })
  }
}
