/** Lines that are kept for the report of a failure. */
const KEPT_COUNT = 400

/** What happened, line by line: the last lines as text, all of them as a hash. */
export class Trace {
  readonly #lines: string[] = []
  #count = 0
  #high = 0x9e3779b9
  #low = 0x85ebca6b

  add(line: string): void {
    let { high, low } = { high: this.#high, low: this.#low }
    for (let i = 0; i < line.length; i++) {
      const code = line.charCodeAt(i)
      high = Math.imul(high ^ code, 0x21f0aaad)
      low = Math.imul(low ^ code, 0x5bd1e995)
      low ^= low >>> 13
    }
    this.#high = (high ^ (high >>> 15)) | 0
    this.#low = (low ^ (low >>> 15)) | 0
    this.#lines[this.#count++ % KEPT_COUNT] = line
  }

  /** Lines so far. */
  get count(): number {
    return this.#count
  }

  /** 16 hexadecimal digits: equal for equal traces. */
  get hash(): string {
    const digits = (part: number) => (part >>> 0).toString(16).padStart(8, '0')
    return digits(this.#high) + digits(this.#low)
  }

  last(count: number): readonly string[] {
    const from = Math.max(0, this.#count - Math.min(count, KEPT_COUNT))
    return Array.from(
      { length: this.#count - from },
      (_, i) => this.#lines[(from + i) % KEPT_COUNT] ?? '',
    )
  }
}
