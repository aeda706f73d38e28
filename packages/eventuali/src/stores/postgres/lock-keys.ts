import { hash } from 'node:crypto'
import { LruMap } from '../../kernel/index.ts'
import type { QueryItem } from '../../ports/index.ts'

const CACHED_COUNT_MAX = 20_000

/** More than this and one lock over all conditions takes their place: the lock table is finite. */
export const lockCountMax = 256

/** Keys of the advisory locks that make conditions hold; 64-bit integers as texts. */
export class LockKeys {
  readonly #cache = new LruMap<string, string>(CACHED_COUNT_MAX)
  readonly #shared = new LruMap<string, ReadonlyMap<string, boolean>>(CACHED_COUNT_MAX)
  readonly #schema: string
  /** Shared by conditional appends, exclusive for an append that writes under too many keys. */
  readonly root: string

  constructor(schema: string) {
    this.#schema = schema
    this.root = this.#key('root')
  }

  ofType(type: string): string {
    return this.#key(`t\n${type}`)
  }

  /** The locks of a request that only writes one type, without tags: most of them. */
  sharedOfType(type: string): ReadonlyMap<string, boolean> {
    let locks = this.#shared.get(type)
    if (locks === undefined) {
      locks = new Map([[this.ofType(type), false]])
      this.#shared.set(type, locks)
    }
    return locks
  }

  ofTag(type: string, tag: string): string {
    return this.#key(`g\n${type}\n${tag}`)
  }

  /** Every key under which an event that matches the item is written. */
  *ofItem({ types, tags }: QueryItem): Iterable<string> {
    for (const type of types) {
      // One tag is enough: a match carries all of them, so it is written under each.
      const [tag] = tags
      yield tag === undefined ? this.ofType(type) : this.ofTag(type, tag)
    }
  }

  #key(what: string): string {
    let key = this.#cache.get(what)
    if (key === undefined) {
      const digest = hash('sha1', `eventuali\n${this.#schema}\n${what}`, 'hex')
      key = BigInt.asIntN(64, BigInt(`0x${digest.slice(0, 16)}`)).toString()
      this.#cache.set(what, key)
    }
    return key
  }
}
