/** Entries by key that take no more than so many bytes together; those used last stay. */
export class BoundedEntries<V extends { readonly bytes: number }> {
  readonly #bytesMax: number
  // In the order of use: what is used is put behind.
  readonly #entries = new Map<string, V>()
  #bytes = 0
  #evicted = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Entries that are held, about their bytes, and how many had to go for others. */
  get counts(): { readonly entries: number; readonly bytes: number; readonly evicted: number } {
    return { entries: this.#entries.size, bytes: this.#bytes, evicted: this.#evicted }
  }

  keys(): IterableIterator<string> {
    return this.#entries.keys()
  }

  /** Does not count as a use. */
  get(key: string): V | undefined {
    return this.#entries.get(key)
  }

  use(key: string): V | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  /** In the place of what is there. One that is larger than all may be is not held. */
  set(key: string, value: V): void {
    this.delete(key)
    if (value.bytes > this.#bytesMax) return
    this.#entries.set(key, value)
    this.#bytes += value.bytes
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#bytesMax) break
      this.delete(oldest)
      this.#evicted++
    }
  }

  delete(key: string): void {
    this.#bytes -= this.#entries.get(key)?.bytes ?? 0
    this.#entries.delete(key)
  }

  clear(): void {
    this.#entries.clear()
    this.#bytes = 0
  }
}
