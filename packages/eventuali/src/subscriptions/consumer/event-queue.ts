import type { RecordedEvent } from '../../model/index.ts'

/** Values of an event that are counted, at most: a bound on the work of guessing its size. */
const COUNTED_VALUES_MAX = 2000
const BYTES_PER_EVENT = 300
const BYTES_PER_VALUE = 16

/** Roughly the memory that an event takes. */
export function estimateBytes(event: RecordedEvent): number {
  let bytes = BYTES_PER_EVENT
  const open: unknown[] = [event.data]
  for (let counted = 0; open.length > 0 && counted < COUNTED_VALUES_MAX; counted++) {
    const value = open.pop()
    bytes += BYTES_PER_VALUE
    if (typeof value === 'string') bytes += value.length
    else if (typeof value === 'object' && value !== null) {
      for (const item of Object.values(value)) open.push(item)
    }
  }
  return bytes
}

interface Chunk {
  readonly events: readonly RecordedEvent[]
  readonly bytes: number
}

/** Events of one partition that wait for the handler, in log order. */
export class EventQueue {
  readonly #countsFirst: boolean
  #chunks: Chunk[] = []
  count = 0
  /** An estimate, see `estimateBytes`. */
  bytes = 0

  /**
   * `countsFirst`: whether the first chunk is measured, too. A single queue can leave it out, for
   * one chunk has to fit anyway; of many queues each has a first one.
   */
  constructor(countsFirst = true) {
    this.#countsFirst = countsFirst
  }

  push(events: readonly RecordedEvent[]): void {
    if (events.length === 0) return
    const counts = this.#countsFirst || this.#chunks.length > 0
    const bytes = counts ? events.reduce((sum, event) => sum + estimateBytes(event), 0) : 0
    this.#add({ events, bytes })
  }

  /**
   * Takes the next events out, at most `countMax`, and so many that they come to about `bytesMax`,
   * by the mean size of those that were put in with them; at least one if there is one.
   */
  take(countMax: number, bytesMax: number = Number.POSITIVE_INFINITY): readonly RecordedEvent[] {
    const [first] = this.#chunks
    const isAll = first !== undefined && this.#chunks.length === 1
    if (isAll && first.events.length <= countMax && first.bytes <= bytesMax) {
      this.clear()
      return first.events
    }
    const taken: RecordedEvent[] = []
    let bytesLeft = bytesMax
    while (taken.length < countMax && bytesLeft > 0) {
      const chunk = this.#chunks[0]
      if (chunk === undefined) break
      const size = chunk.bytes / chunk.events.length
      const fitting = Math.max(taken.length === 0 ? 1 : 0, Math.floor(bytesLeft / size))
      const room = Math.min(countMax - taken.length, size > 0 ? fitting : chunk.events.length)
      if (room === 0) break
      this.#chunks.shift()
      this.count -= chunk.events.length
      this.bytes -= chunk.bytes
      const part = chunk.events.slice(0, room)
      for (const event of part) taken.push(event)
      bytesLeft -= size * part.length
      if (chunk.events.length > room) {
        this.#putBack(chunk, room)
        break
      }
    }
    return taken
  }

  /** Forgets all but the first `keep` events; gives the position of the last one kept. */
  trim(keep: number): number | undefined {
    const kept = this.take(keep)
    this.clear()
    this.push(kept)
    return kept.at(-1)?.position
  }

  /** Forgets the events at or below a position. */
  dropUpTo(position: number): void {
    const rest = this.take(this.count).filter((event) => event.position > position)
    this.push(rest)
  }

  clear(): void {
    this.#chunks = []
    this.count = 0
    this.bytes = 0
  }

  #putBack({ events, bytes }: Chunk, from: number): void {
    const rest = events.slice(from)
    const left = { events: rest, bytes: Math.ceil((bytes * rest.length) / events.length) }
    this.#chunks.unshift(left)
    this.count += rest.length
    this.bytes += left.bytes
  }

  #add(chunk: Chunk): void {
    this.#chunks.push(chunk)
    this.count += chunk.events.length
    this.bytes += chunk.bytes
  }
}
