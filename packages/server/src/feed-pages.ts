import { setImmediate as nextTurn } from 'node:timers/promises'
import type { RecordedEvent } from 'eventuali'
import type { TailedEvent } from './tail.ts'

/** Events in one piece of a feed. */
export const FEED_BATCH = 200
/** Characters after which a piece is sent, whatever is left. */
const PIECE_CHARACTERS_MAX: number = 256 * 1024
/** Events that a feed asks for first: it learns from them how many fill a piece. */
const FIRST_COUNT = 25

/** A piece that is being put together. It never holds a part of what one stored event became. */
class Piece {
  readonly found: TailedEvent[] = []
  #characters = 0
  /** So many of the first are all that stand in the place of their stored events. */
  wholeCount = 0

  /** False once the piece is full, and the event belongs to the next one. */
  take(event: RecordedEvent, countMax: number, textOf: () => string): boolean {
    const last = this.found.at(-1)
    if (last !== undefined && last.event.position !== event.position) {
      this.wholeCount = this.found.length
      if (this.wholeCount >= countMax || this.#characters > PIECE_CHARACTERS_MAX) return false
    }
    const text = textOf()
    this.#characters += text.length
    this.found.push({ event, text })
    return true
  }
}

/** Cuts what was found where a piece gets too long; the source goes on behind it. */
export function fitting(found: readonly TailedEvent[]): readonly TailedEvent[] {
  const piece = new Piece()
  for (const { event, text } of found) {
    if (!piece.take(event, FEED_BATCH, () => text)) return piece.found
  }
  return found
}

/** So many pieces are read at once: a slow scan for a rare filter holds nobody else up. */
const TURNS_AT_ONCE = 4

/**
 * Work on the one thread that all feeds share, a few pieces at a time and in the order of asking.
 * Behind each everything else runs that waits, so that feeds which catch up on millions of events
 * delay a live one by a few pieces and not by all that they read.
 */
export class Turns {
  #free = TURNS_AT_ONCE
  /** No more than there are feeds: each asks for one turn at a time. */
  readonly #waiting: (() => void)[] = []

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      void nextTurn().then(() => this.#pass())
    }
  }

  #pass(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}

/** What a reader has found. */
export interface FoundPiece {
  readonly found: readonly TailedEvent[]
  /** Nothing has come behind it yet. */
  readonly isEnd: boolean
}

/** Reads the log for one feed, no more at a time than a piece needs. */
export class PieceReader {
  readonly #turns: Turns
  #count = FIRST_COUNT

  constructor(turns: Turns) {
    this.#turns = turns
  }

  /** The next piece; `read` gives the events behind the last one, up to a number. */
  next(read: (limit: number) => AsyncIterable<RecordedEvent>): Promise<FoundPiece> {
    return this.#turns.take(async () => {
      let found: FoundPiece | undefined
      while (found === undefined) found = await this.#read(read)
      return found
    })
  }

  /** Undefined where one stored event has become more than was asked for. */
  async #read(
    read: (limit: number) => AsyncIterable<RecordedEvent>,
  ): Promise<FoundPiece | undefined> {
    const countMax = this.#count
    const piece = new Piece()
    // One more than wanted shows that the last of them is whole.
    for await (const event of read(countMax + 1)) {
      if (piece.take(event, countMax, () => JSON.stringify(event))) continue
      const { found } = piece
      // A little more than fitted: events that get smaller make pieces of more of them.
      this.#count = Math.min(FEED_BATCH, found.length < countMax ? found.length + 1 : countMax * 2)
      return { found, isEnd: false }
    }
    if (piece.found.length <= countMax) return { found: piece.found, isEnd: true }
    if (piece.wholeCount > 0) return { found: piece.found.slice(0, piece.wholeCount), isEnd: false }
    this.#count = countMax * 2
    return undefined
  }
}
