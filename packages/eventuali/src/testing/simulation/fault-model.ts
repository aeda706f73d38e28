import type { Random } from '../../kernel/index.ts'

/** What goes wrong between a program and its store, as shares of calls from 0 to 1. */
export interface FaultOptions {
  /** The call does nothing and fails: ConnectionError. 0.01 */
  readonly before: number
  /** The call does its work and the reply is lost: OutcomeUnknownError for what writes. 0.01 */
  readonly after: number
  /** A transaction that is through is rolled back at its end: ConnectionError. 0.01 */
  readonly atCommit: number
  /** A transaction loses its connection at one of its calls. 0.005 */
  readonly inside: number
  /** The call, or its reply, takes a while, so that replies overtake each other. 0.3 */
  readonly delayed: number
  /** The longest such while, in milliseconds. 8 */
  readonly delayMsMax: number
  /** The call, or its reply, hangs: longer than some callers want to wait. 0.001 */
  readonly stalled: number
  /** The longest hang, in milliseconds. 40,000 */
  readonly stallMsMax: number
  /** A hint that something was appended does not come; the poll has to do. 0.3 */
  readonly hintLost: number
  /** A hint comes twice. 0.1 */
  readonly hintTwice: number
}

const usual: FaultOptions = {
  ...{ before: 0.01, after: 0.01, atCommit: 0.01, inside: 0.005 },
  ...{ delayed: 0.3, delayMsMax: 8, stalled: 0.001, stallMsMax: 40_000 },
  ...{ hintLost: 0.3, hintTwice: 0.1 },
}

const none: FaultOptions = {
  ...{ before: 0, after: 0, atCommit: 0, inside: 0 },
  ...{ delayed: 0.1, delayMsMax: 1, stalled: 0, stallMsMax: 0, hintLost: 0, hintTwice: 0 },
}

/** How one call goes. */
export interface CallPlan {
  readonly waitBeforeMs: number
  readonly fails: 'before' | 'after' | undefined
  readonly waitAfterMs: number
}

/** Faults by their names, and how many of each there were. */
export type FaultCounts = { readonly [name: string]: number }

/** Draws what goes wrong. */
export class FaultModel {
  readonly #random: Random
  #options: FaultOptions
  readonly #counts = new Map<string, number>()
  /** Calls of the store so far, those within transactions left out. */
  calls = 0

  constructor(random: Random, options: Partial<FaultOptions>) {
    this.#random = random
    this.#options = { ...usual, ...options }
  }

  get counts(): FaultCounts {
    return Object.fromEntries(this.#counts)
  }

  count(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }

  /** Nothing goes wrong from now on. */
  calm(): void {
    this.#options = none
  }

  call(): CallPlan {
    this.calls += 1
    const { before, after } = this.#options
    const waitBeforeMs = this.#wait()
    const waitAfterMs = this.#wait()
    const draw = this.#random.next()
    const fails = draw < before ? 'before' : draw < before + after ? 'after' : undefined
    return { waitBeforeMs, fails, waitAfterMs }
  }

  atCommit(): boolean {
    return this.#random.next() < this.#options.atCommit
  }

  /** At which of its calls a transaction loses its connection; undefined: at none. */
  inside(): number | undefined {
    if (this.#random.next() >= this.#options.inside) return undefined
    return Math.floor(this.#random.next() * 6)
  }

  /** When the hints of one append come: after so many milliseconds each. */
  hints(): readonly number[] {
    const { hintLost, hintTwice } = this.#options
    const draw = this.#random.next()
    if (draw < hintLost) {
      this.count('hint lost')
      return []
    }
    if (draw >= hintLost + hintTwice) return [this.#wait()]
    this.count('hint twice')
    return [this.#wait(), this.#wait()]
  }

  #wait(): number {
    const { delayed, delayMsMax, stalled, stallMsMax } = this.#options
    const draw = this.#random.next()
    if (draw < stalled) {
      this.count('stall')
      return this.#random.next() * stallMsMax
    }
    return draw < stalled + delayed ? this.#random.next() * delayMsMax : 0
  }
}
