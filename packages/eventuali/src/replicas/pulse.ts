import type { Clock } from '../kernel/index.ts'

/** Work that is done again and again, one at a time, sooner when somebody asks for it. */
export class Pulse {
  readonly #clock: Clock
  readonly #work: () => Promise<number>
  #dueMs = Number.POSITIVE_INFINITY
  #cancel: (() => void) | undefined
  #running: Promise<void> | undefined
  #stopped = false

  /** `work` resolves with the milliseconds until its next time, and never rejects. */
  constructor(clock: Clock, work: () => Promise<number>) {
    this.#clock = clock
    this.#work = work
  }

  /** The next time is in `ms` milliseconds at the latest. */
  within(ms: number): void {
    const dueMs = this.#clock.monotonic() + ms
    if (this.#stopped || dueMs >= this.#dueMs) return
    this.#dueMs = dueMs
    if (this.#running === undefined) this.#arm(ms)
  }

  /** No further time; resolves when the one that is running has ended, or after `boundMs`. */
  async stop(boundMs: number): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    const running = this.#running
    if (running === undefined) return
    await new Promise<void>((resolve) => {
      const stopTimer = this.#clock.timer(boundMs, resolve, { background: true })
      void running.then(() => {
        stopTimer()
        resolve()
      })
    })
  }

  #arm(ms: number): void {
    this.#cancel?.()
    this.#cancel = this.#clock.timer(Math.max(0, ms), () => this.#beat(), { background: true })
  }

  #beat(): void {
    this.#cancel = undefined
    this.#dueMs = Number.POSITIVE_INFINITY
    this.#running = this.#work().then((nextMs) => {
      this.#running = undefined
      this.within(nextMs)
      // Asked for while it was running.
      if (!this.#stopped) this.#arm(this.#dueMs - this.#clock.monotonic())
    })
  }
}
