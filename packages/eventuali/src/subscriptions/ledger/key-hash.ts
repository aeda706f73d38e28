import type { RecordedEvent } from '../../model/index.ts'

/**
 * A 32-bit hash of a text: FNV-1a over its UTF-16 units, then the finisher of MurmurHash3.
 *
 * Frozen: which partition a key belongs to is known from nothing else, so another hash would hand
 * keys to partitions with other checkpoints. Its values stand in the tests.
 */
export function keyHash(key: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i++) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  }
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** The partition of a key: its hash modulo the count. */
export function partitionOf(key: string, count: number): number {
  return count === 1 ? 0 : keyHash(key) % count
}

/** By what the order of events is kept: by stream, by the value of a tag, or as a function says. */
export type PartitionBy =
  | 'stream'
  /** `course` for tags such as `course:math`; an event without one goes by its stream. */
  | { readonly tag: string }
  /** `name` is recorded: change it when the function changes. */
  | { readonly name: string; readonly key: (event: RecordedEvent) => string }

/**
 * A key made of what handlers see, by the first of the events that stand in the place of a stored
 * one. An event that cannot be read goes by its stream: its handler fails on it, and parks it.
 */
export function keyAsRead<E>(
  read: (events: readonly RecordedEvent[]) => readonly E[],
  key: (event: E) => string,
): (event: RecordedEvent) => string {
  return (event) => {
    let first: E | undefined
    try {
      first = read([event])[0]
    } catch {
      return event.stream
    }
    return first === undefined ? event.stream : key(first)
  }
}

/** The key of each event and the word for it that is recorded. */
export function keyBy(by: PartitionBy): {
  readonly keyOf: (event: RecordedEvent) => string
  readonly keyLabel: string
} {
  if (by === 'stream') return { keyOf: (event) => event.stream, keyLabel: 'stream' }
  if ('key' in by) return { keyOf: by.key, keyLabel: `key:${by.name}` }
  const prefix = `${by.tag}:`
  return {
    keyOf: (event) => event.tags.find((tag) => tag.startsWith(prefix)) ?? event.stream,
    keyLabel: `tag:${by.tag}`,
  }
}
