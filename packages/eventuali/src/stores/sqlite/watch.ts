import { type FSWatcher, watch as watchFile } from 'node:fs'
import type { Clock } from '../../kernel/index.ts'

const FIRST_POLL_MS = 4
const POLL_MAX_MS = 100

/** Tells listeners that the log may have grown, here or in another process. */
export class Watcher {
  readonly #clock: Clock
  /** A number that differs when something was committed since; undefined when it cannot tell. */
  readonly #probe: () => number | undefined
  readonly #file: string | undefined
  readonly #listeners = new Set<() => void>()
  #stopTimer: (() => void) | undefined
  #hints: FSWatcher | undefined
  #seen: number | undefined
  #delayMs = FIRST_POLL_MS

  constructor(clock: Clock, probe: () => number | undefined, file: string | undefined) {
    this.#clock = clock
    this.#probe = probe
    this.#file = file
  }

  watch(listener: () => void): () => void {
    // A wrapper of its own, so that the same function may watch twice.
    const entry = () => listener()
    this.#listeners.add(entry)
    if (this.#listeners.size === 1) this.#start()
    return () => {
      if (this.#listeners.delete(entry) && this.#listeners.size === 0) this.#stop()
    }
  }

  /** After a commit of this process: at once. */
  notify(): void {
    this.#delayMs = FIRST_POLL_MS
    for (const listener of [...this.#listeners]) {
      try {
        listener()
      } catch {
        // The append is done; what a listener does with the hint cannot undo it.
      }
    }
  }

  close(): void {
    this.#listeners.clear()
    this.#stop()
  }

  #start(): void {
    this.#seen = this.#probe()
    this.#delayMs = FIRST_POLL_MS
    this.#schedule()
    if (this.#file === undefined) return
    try {
      // The log file beside the database changes with each commit of any process.
      this.#hints = watchFile(`${this.#file}-wal`, { persistent: false }, () => this.#hint())
      this.#hints.on('error', () => this.#hints?.close())
    } catch {
      // The poll is the guarantee.
    }
  }

  #stop(): void {
    this.#stopTimer?.()
    this.#stopTimer = undefined
    this.#hints?.close()
    this.#hints = undefined
  }

  /** Not at once: a busy writer makes many of them, and each look costs a system call. */
  #hint(): void {
    if (this.#delayMs <= FIRST_POLL_MS) return
    this.#delayMs = FIRST_POLL_MS
    this.#stopTimer?.()
    this.#schedule()
  }

  #schedule(): void {
    this.#stopTimer = this.#clock.timer(this.#delayMs, () => this.#poll(), { background: true })
  }

  #poll(): void {
    const now = this.#probe()
    if (now !== undefined && now !== this.#seen) {
      this.#seen = now
      this.notify()
    } else this.#delayMs = Math.min(POLL_MAX_MS, this.#delayMs * 2)
    if (this.#listeners.size > 0) this.#schedule()
  }
}
