import { LruMap } from '../../kernel/index.ts'
import type { StreamState } from '../../model/index.ts'

const COUNT_MAX = 20_000

/** A stream's head row. */
export interface Head {
  /** 0 for a stream that has no row yet. */
  id: number
  readonly name: string
  version: number
  firstVersion: number
  state: StreamState
  changed: boolean
}

/**
 * Heads as this writer last committed them. Each commit of anybody that touches a head also moves
 * the counter of positions, so as long as the counter stands where this writer left it, they hold.
 */
export class HeadCache {
  readonly #heads = new LruMap<string, Readonly<Head>>(COUNT_MAX)
  #lastPosition = -1

  /** Call first in each transaction, with the counter as it stands there. */
  check(lastPosition: number): void {
    if (lastPosition === this.#lastPosition) return
    this.#heads.clear()
    this.#lastPosition = lastPosition
  }

  get(name: string): Readonly<Head> | undefined {
    return this.#heads.get(name)
  }

  /** After the commit. */
  put(heads: Iterable<Readonly<Head>>, lastPosition: number): void {
    this.#lastPosition = lastPosition
    for (const head of heads) if (head.id !== 0) this.#heads.set(head.name, head)
  }
}
