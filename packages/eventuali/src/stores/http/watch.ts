import { backoffMs, type Random, sleep } from '../../kernel/index.ts'
import type { Connection } from './connection.ts'

const policy = { retryCountMax: Number.POSITIVE_INFINITY, firstDelayMs: 100, delayMaxMs: 5000 }

/** Hears from the server that the log has grown, while somebody wants to know. */
export class Watch {
  readonly #connection: Connection
  readonly #random: Random
  readonly #listeners = new Set<() => void>()
  #abort: AbortController | undefined

  constructor(connection: Connection, random: Random) {
    this.#connection = connection
    this.#random = random
  }

  add(listener: () => void): () => void {
    // A wrapper of its own, so that the same function may watch twice.
    const entry = () => listener()
    this.#listeners.add(entry)
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      void this.#run(this.#abort.signal)
    }
    return () => {
      this.#listeners.delete(entry)
      if (this.#listeners.size === 0) this.#end()
    }
  }

  /** Calls everybody; what they throw is theirs. */
  notify(): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener()
      } catch {
        // A hint: what becomes of it is the listener's own affair.
      }
    }
  }

  close(): void {
    this.#listeners.clear()
    this.#end()
  }

  #end(): void {
    this.#abort?.abort()
    this.#abort = undefined
  }

  async #run(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const body = await this.#connection.open('v1/port/watch', signal)
        attempt = 0
        // What was appended while nobody listened.
        this.notify()
        for await (const _ of body) this.notify()
      } catch {
        // The poll is what followers rely on; the hints come back when the server does.
      }
      const delayMs = 50 + backoffMs(policy, attempt, this.#random)
      await sleep(this.#connection.clock, delayMs, signal).catch(() => {})
    }
  }
}
