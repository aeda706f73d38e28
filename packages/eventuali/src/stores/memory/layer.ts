import { compareText } from '../../kernel/index.ts'

/**
 * A map by text that may lie on another one: what is written stays in the layer until it is
 * merged, so that a transaction costs what it changes and not what there is. The one below does
 * not change as long as a layer lies on it.
 */
export class Layer<V> {
  readonly #under: Layer<V> | undefined
  /** undefined: removed here. */
  readonly #own = new Map<string, V | undefined>()
  /** Nothing of the one below counts any more. */
  #cleared = false
  #sorted: readonly string[] | undefined

  constructor(under?: Layer<V>) {
    this.#under = under
  }

  get(key: string): V | undefined {
    if (this.#own.has(key)) return this.#own.get(key)
    return this.#cleared ? undefined : this.#under?.get(key)
  }

  set(key: string, value: V): void {
    if (this.get(key) === undefined) this.#sorted = undefined
    this.#own.set(key, value)
  }

  remove(key: string): void {
    if (this.get(key) === undefined) return
    this.#sorted = undefined
    if (this.#under === undefined) this.#own.delete(key)
    else this.#own.set(key, undefined)
  }

  clear(): void {
    this.#own.clear()
    this.#cleared = true
    this.#sorted = undefined
  }

  /** Keys by code point. */
  keys(): readonly string[] {
    this.#sorted ??= this.#allKeys().sort(compareText)
    return this.#sorted
  }

  *values(): Generator<V> {
    for (const key of this.keys()) yield this.get(key) as V
  }

  /** Writes what is in this layer into the one below, which there must be. */
  merge(): void {
    const under = this.#under as Layer<V>
    if (this.#cleared) under.clear()
    for (const [key, value] of this.#own) {
      if (value === undefined) under.remove(key)
      else under.set(key, value)
    }
  }

  #allKeys(): string[] {
    const keys: string[] = []
    if (!this.#cleared && this.#under !== undefined) {
      for (const key of this.#under.keys()) if (!this.#own.has(key)) keys.push(key)
    }
    for (const [key, value] of this.#own) if (value !== undefined) keys.push(key)
    return keys
  }
}

/** Index of the first key after `key` in a list in order. */
export function indexAfterKey(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareText(keys[middle] as string, key) <= 0) low = middle + 1
    else high = middle
  }
  return low
}
