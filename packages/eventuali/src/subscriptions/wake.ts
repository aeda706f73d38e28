import type { Clock } from '../kernel/index.ts'

/**
 * A sleeper that a hint wakes. A hint that comes while nobody sleeps is remembered once, so that
 * nothing committed between "look" and "sleep" is missed.
 */
export class WakeSignal {
  readonly #clock: Clock
  #hinted = false
  #wake: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Wakes the sleeper, or keeps the next sleep from starting. */
  hint(): void {
    this.#hinted = true
    this.#wake?.()
  }

  /** Resolves at a hint or after `ms`, whichever comes first. */
  sleep(ms: number): Promise<void> {
    if (this.#hinted) {
      this.#hinted = false
      return Promise.resolve()
    }
    return new Promise((resolve) => {
      const stop = this.#clock.timer(ms, () => this.#wake?.())
      this.#wake = () => {
        stop()
        this.#wake = undefined
        this.#hinted = false
        resolve()
      }
    })
  }
}
