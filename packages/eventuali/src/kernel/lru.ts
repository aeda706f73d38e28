/**
 * A bounded map that forgets what was not used for long. It keeps two generations: what is used
 * moves to the young one, and when that is half full the old one is dropped whole. Less exact than
 * a list in order of use, and a read of a young entry changes nothing.
 */
export class LruMap<K, V> {
  #young = new Map<K, V>()
  #old = new Map<K, V>()
  readonly #halfMax: number

  constructor(countMax: number) {
    this.#halfMax = Math.max(1, Math.floor(countMax / 2))
  }

  get(key: K): V | undefined {
    const value = this.#young.get(key)
    if (value !== undefined) return value
    const older = this.#old.get(key)
    if (older !== undefined) this.set(key, older)
    return older
  }

  set(key: K, value: V): void {
    this.#young.set(key, value)
    if (this.#young.size < this.#halfMax) return
    this.#old = this.#young
    this.#young = new Map()
  }

  delete(key: K): void {
    this.#young.delete(key)
    this.#old.delete(key)
  }

  clear(): void {
    this.#young.clear()
    this.#old.clear()
  }
}
