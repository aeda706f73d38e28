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
  #chunks: Chunk[] = []
  count = 0
  /** An estimate, see `estimateBytes`. */
  bytes = 0

  /** The guess of the size is left out for the first chunk: one chunk has to fit anyway. */
  push(events: readonly RecordedEvent[]): void {
    if (events.length === 0) return
    const bytes =
      this.#chunks.length === 0 ? 0 : events.reduce((sum, event) => sum + estimateBytes(event), 0)
    this.#add({ events, bytes })
  }

  /** Takes the next events out, at most `countMax`. */
  take(countMax: number): readonly RecordedEvent[] {
    const first = this.#chunks[0]
    if (first !== undefined && first.events.length <= countMax && this.#chunks.length === 1) {
      this.clear()
      return first.events
    }
    const taken: RecordedEvent[] = []
    while (taken.length < countMax) {
      const chunk = this.#chunks.shift()
      if (chunk === undefined) break
      this.count -= chunk.events.length
      this.bytes -= chunk.bytes
      const room = countMax - taken.length
      taken.push(...chunk.events.slice(0, room))
      if (chunk.events.length > room) this.#putBack(chunk, room)
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
