import { hash } from 'node:crypto'
import { LruMap } from '../../kernel/index.ts'

const CACHED_COUNT_MAX = 20_000
const cache = new LruMap<string, number>(CACHED_COUNT_MAX)

/**
 * The key of a tag in an index: the first 48 bits of its SHA-1, a safe integer. Part of the
 * schema, never changed. Two tags may share one, so a match is checked against the row's tags.
 */
export function tagHash(tag: string): number {
  let value = cache.get(tag)
  if (value === undefined) {
    value = Number.parseInt(hash('sha1', tag, 'hex').slice(0, 12), 16)
    cache.set(tag, value)
  }
  return value
}

/** Whether an event with these tags, as its row has them, belongs under a key of the index. */
export function hasTagOf(tagsText: string, hash: number): boolean {
  try {
    return (JSON.parse(tagsText) as string[]).some((tag) => tagHash(tag) === hash)
  } catch {
    // The event's own check says that its tags cannot be read.
    return true
  }
}
