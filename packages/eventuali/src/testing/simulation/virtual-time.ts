import { nextTick } from 'node:process'
import type { Random } from '../../kernel/index.ts'

/** Whose happenings they are: nothing happens to one that is gone, and a paused one waits. */
export interface Owner {
  readonly isGone: boolean
  readonly pausedUntilMs: number
}

/** Something that is going to happen. */
interface Happening {
  dueMs: number
  /** Decides between happenings of one moment; drawn, so that a seed decides. */
  readonly order: number
  readonly owner: Owner
  /** Undefined once it was taken back. */
  run: (() => void) | undefined
}

/** Why time stopped before the scenario had ended. */
export type Standstill = 'nothing-left' | 'out-of-time' | 'too-much'

/** Happenings of one run: more of them is a loop that time never gets out of. */
const STEP_COUNT_MAX = 2_000_000

/** Happenings that were taken back stay in the heap until they are so many, and the half of it. */
const TAKEN_BACK_COUNT_MIN = 512

/** Resolves once no promise is left to go on: whatever goes on after it waits for time to pass. */
function rest(): Promise<void> {
  // Called among promise jobs, a tick comes after the last of them. No timer and no turn of the
  // event loop is in it, and it costs a tenth of the latter.
  return new Promise((resolve) => nextTick(resolve))
}

/** Time that passes only when everything waits for it. */
export class VirtualTime {
  readonly #random: Random
  readonly #heap: Happening[] = []
  #takenBack = 0
  #nowMs = 0
  #steps = 0

  constructor(random: Random) {
    this.#random = random
  }

  get nowMs(): number {
    return this.#nowMs
  }

  /** Happenings so far. */
  get steps(): number {
    return this.#steps
  }

  /** Lets something happen after `ms`; the returned function takes it back. */
  in(ms: number, owner: Owner, run: () => void): () => void {
    const dueMs = this.#nowMs + Math.max(0, ms)
    const happening: Happening = { dueMs, order: this.#random.next(), owner, run }
    this.#push(happening)
    return () => {
      if (happening.run === undefined) return
      happening.run = undefined
      this.#takenBack += 1
      if (this.#takenBack > TAKEN_BACK_COUNT_MIN && this.#takenBack * 2 > this.#heap.length) {
        this.#sweep()
      }
    }
  }

  /** Lets one thing happen after the other until `isOver`; tells when it cannot come to that. */
  async pass(isOver: () => boolean, limitMs: number): Promise<Standstill | undefined> {
    for (;;) {
      await rest()
      if (isOver()) return undefined
      const next = this.#next()
      if (next === undefined) return 'nothing-left'
      if (next.dueMs > limitMs) return 'out-of-time'
      if (this.#steps >= STEP_COUNT_MAX) return 'too-much'
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      this.#steps += 1
      const { run } = next
      next.run = undefined
      run?.()
    }
  }

  #next(): Happening | undefined {
    for (;;) {
      const next = this.#pop()
      if (next === undefined) return undefined
      if (next.run === undefined) this.#takenBack -= 1
      else if (next.owner.isGone) continue
      else if (next.owner.pausedUntilMs <= next.dueMs) return next
      else {
        next.dueMs = next.owner.pausedUntilMs
        this.#push(next)
      }
    }
  }

  #sweep(): void {
    const kept = this.#heap.filter(({ run, owner }) => run !== undefined && !owner.isGone)
    this.#heap.length = 0
    this.#takenBack = 0
    for (const happening of kept) this.#push(happening)
  }

  #push(happening: Happening): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(happening)
    while (at > 0) {
      const up = (at - 1) >>> 1
      const parent = heap[up] as Happening
      if (!isBefore(happening, parent)) break
      heap[at] = parent
      at = up
    }
    heap[at] = happening
  }

  #pop(): Happening | undefined {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop()
    if (top === undefined || last === undefined || heap.length === 0) return top
    let at = 0
    for (;;) {
      let down = at * 2 + 1
      if (down >= heap.length) break
      const right = heap[down + 1]
      if (right !== undefined && isBefore(right, heap[down] as Happening)) down += 1
      const child = heap[down] as Happening
      if (!isBefore(child, last)) break
      heap[at] = child
      at = down
    }
    heap[at] = last
    return top
  }
}

function isBefore(a: Happening, b: Happening): boolean {
  return a.dueMs === b.dueMs ? a.order < b.order : a.dueMs < b.dueMs
}
