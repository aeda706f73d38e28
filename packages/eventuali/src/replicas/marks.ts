import type { LogPositions } from '../ports/index.ts'

/** Looks at the primary that are remembered, at most. */
const MARK_COUNT_MAX = 4096

interface Mark {
  /** When the look began, on this process's own monotonic clock. */
  atMs: number
  readonly safe: number
  readonly newest: number
}

/**
 * How far the primary's log was, and when. It tells how old a replica is without comparing the
 * clocks of two machines: whoever has reached the position of a look is as fresh as that look.
 */
export class Marks {
  #marks: Mark[] = []

  /** Remembers a look that began at this moment. */
  note(atMs: number, { safe, newest }: LogPositions): void {
    const last = this.#marks.at(-1)
    // A log that stands still makes what has reached its end fresher with each look.
    if (last?.safe === safe && last.newest === newest) last.atMs = atMs
    else this.#marks.push({ atMs, safe, newest })
    if (this.#marks.length <= MARK_COUNT_MAX) return
    // A forgotten mark makes a replica look older than it is, never fresher.
    this.#marks = this.#marks.filter((_, index) => index >= MARK_COUNT_MAX / 2 || index % 2 === 0)
  }

  /** The latest moment at which all that readers of the log may see was within the position. */
  logAsOf(position: number): number {
    return this.#marks.findLast(({ safe }) => safe <= position)?.atMs ?? Number.NEGATIVE_INFINITY
  }

  /** The latest moment at which all that was committed at all was within the position. */
  allAsOf(position: number): number {
    const mark = this.#marks.findLast(({ newest }) => newest <= position)
    return mark?.atMs ?? Number.NEGATIVE_INFINITY
  }
}
