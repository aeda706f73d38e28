import type { Clock } from '../kernel/index.ts'

/** Waits between two looks; a hint ends the wait, also one that came before it began. */
export class Pulse {
  readonly #clock: Clock
  #hinted = false
  #wake: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  hint(): void {
    this.#hinted = true
    this.#wake?.()
  }

  async wait(ms: number): Promise<void> {
    // Also without a wait a turn of the event loop passes: a store in memory gives none by itself.
    if (!this.#hinted) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const stop = this.#clock.timer(ms, resolve, { background: true })
      this.#wake = resolve
      await promise
      stop()
      this.#wake = undefined
    }
    this.#hinted = false
  }
}
