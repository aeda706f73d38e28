/** Ids of one stream that are looked at in one go: 16 MiB. A longer stream is read more often. */
const WINDOW_COUNT = 2_000_000

/** 53 bits of an id, spread well enough that equal ones are nearly always equal ids. */
function hashOf(id: string): number {
  let [a, b] = [0xdeadbeef, 0x41c6ce57]
  for (let i = 0; i < id.length; i++) {
    const unit = id.charCodeAt(i)
    a = Math.imul(a ^ unit, 2654435761)
    b = Math.imul(b ^ unit, 1597334677)
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909)
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909)
  return 4294967296 * (2097151 & b) + (a >>> 0)
}

/** Numbers, eight bytes each, of which there may be many. */
class Numbers {
  #values = new Float64Array(64)
  #count = 0

  push(value: number): void {
    if (this.#count === this.#values.length) {
      const larger = new Float64Array(this.#count * 2)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[this.#count++] = value
  }

  /** Those that are there more than once. */
  repeated(): ReadonlySet<number> {
    const sorted = this.#values.subarray(0, this.#count).sort()
    const found = new Set<number>()
    for (let i = 1; i < sorted.length; i++) {
      if (sorted[i] === sorted[i - 1]) found.add(sorted[i] as number)
    }
    return found
  }
}

/** An id and where it stands. */
interface PlacedId {
  readonly id: string
  readonly position: number
}

/**
 * Finds ids that are twice in a stream: in eight bytes an event, and with the ids themselves only
 * where a hash is there twice. `read` gives the ids of the stream from its beginning, each time.
 */
export class IdCheck {
  readonly #parts: number
  #numbers: Numbers | undefined = new Numbers()

  constructor(count: number) {
    this.#parts = Math.max(1, Math.ceil(count / WINDOW_COUNT))
  }

  /** Told of every id, in the stream's own pass. */
  see(id: string): void {
    const hash = hashOf(id)
    if (this.#parts === 1 || hash % this.#parts === 0) this.#numbers?.push(hash)
  }

  async *repeated(read: () => AsyncIterable<PlacedId>): AsyncGenerator<PlacedId> {
    for (let part = 0; part < this.#parts; part++) {
      const numbers = this.#numbers ?? new Numbers()
      if (part > 0) {
        for await (const { id } of read()) {
          const hash = hashOf(id)
          if (hash % this.#parts === part) numbers.push(hash)
        }
      }
      this.#numbers = undefined
      const twice = numbers.repeated()
      if (twice.size === 0) continue
      const seen = new Set<string>()
      for await (const placed of read()) {
        if (!twice.has(hashOf(placed.id))) continue
        if (seen.has(placed.id)) yield placed
        seen.add(placed.id)
      }
    }
  }
}
