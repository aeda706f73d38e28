import { randomFillSync } from 'node:crypto'

/** The only source of chance in the library. */
export interface Random {
  /** A number in [0, 1), for jitter and sampling; not for secrets. */
  next(): number
  /** Fresh random bytes for ids. */
  bytes(length: number): Uint8Array
}

// One system call fills 512 ids' worth of randomness; a call for each id costs more than the id.
const POOL_BYTES = 8192
let pool: Uint8Array = new Uint8Array(0)
let used = 0

/**
 * The randomness of the machine: what a store uses when none is handed in.
 *
 * @example
 * ```ts
 * import { systemRandom } from 'eventuali'
 *
 * console.log(systemRandom.bytes(16).length) // 16
 * ```
 */
export const systemRandom: Random = {
  next: () => Math.random(),
  bytes: (length) => {
    if (length > POOL_BYTES) return randomFillSync(new Uint8Array(length))
    if (used + length > pool.length) {
      pool = randomFillSync(new Uint8Array(POOL_BYTES))
      used = 0
    }
    used += length
    return pool.subarray(used - length, used)
  },
}

/**
 * A repeatable source of chance from a seed, for tests and simulations. It mixes a counter
 * (splitmix32); not for secrets.
 *
 * @example
 * ```ts
 * import { openStore, seededRandom } from 'eventuali'
 *
 * const store = await openStore('memory:', { random: seededRandom(42) })
 * await store.close()
 * ```
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32
  }
  return {
    next,
    bytes: (length) => Uint8Array.from({ length }, () => Math.floor(next() * 256)),
  }
}
