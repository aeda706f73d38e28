import type { Clock } from '../kernel/index.ts'
import type { StreamInfo } from '../model/index.ts'
import type { EventStore, ReadOptions } from '../ports/index.ts'
import type { CacheStats } from './aggregate-cache.ts'
import { BoundedEntries } from './bounded-entries.ts'

/** Two thousand heads and more: one is read in a moment, so that more are not worth the memory. */
const BYTES_MAX = 1024 * 1024
const HEAD_BYTES = 300

interface Held {
  readonly head: StreamInfo | undefined
  readonly atMs: number
  readonly bytes: number
}

/**
 * Heads of streams, believed for a while as long as nobody is known to have appended anything.
 * Whatever is committed through this store, or notified by it, empties it: a notification says
 * that the log has grown, not where.
 */
export class StreamHeads {
  readonly #inner: EventStore
  readonly #clock: Clock
  readonly #ageMsMax: number
  readonly #held = new BoundedEntries<Held>(BYTES_MAX)
  /** From the first look on: a store that was not opened after all leaves no watch behind. */
  #stopWatch: (() => void) | undefined
  /** Goes up with each change, so that a look which began before it is not held. */
  #changes = 0
  #hits = 0
  #misses = 0

  constructor(inner: EventStore, clock: Clock, ageMsMax: number) {
    this.#inner = inner
    this.#clock = clock
    this.#ageMsMax = ageMsMax
  }

  get stats(): CacheStats {
    return { hits: this.#hits, misses: this.#misses, ...this.#held.counts }
  }

  /** What is known of a stream: from memory when it is young enough, of the store otherwise. */
  async of(name: string, options: ReadOptions | undefined): Promise<StreamInfo | undefined> {
    const held = this.#held.use(name)
    const now = this.#clock.monotonic()
    if (held !== undefined && now - held.atMs < this.#ageMsMax) {
      options?.signal?.throwIfAborted()
      this.#hits++
      return ownCopy(held.head)
    }
    this.#misses++
    this.#stopWatch ??= this.#inner.watch(() => this.forget())
    const before = this.#changes
    const head = await this.#inner.stream(name, options)
    // As old as the question, not as the answer.
    const bytes = HEAD_BYTES + 4 * name.length
    if (before === this.#changes) this.#held.set(name, { head, atMs: now, bytes })
    return ownCopy(head)
  }

  /** Something may have changed. */
  forget(): void {
    this.#changes++
    this.#held.clear()
  }

  close(): void {
    this.#stopWatch?.()
    this.forget()
  }
}

/** Each reader may do with the times what he likes. */
function ownCopy(head: StreamInfo | undefined): StreamInfo | undefined {
  if (head === undefined) return undefined
  const { firstTime, lastTime } = head
  return {
    ...head,
    firstTime: firstTime && new Date(firstTime),
    lastTime: lastTime && new Date(lastTime),
  }
}
