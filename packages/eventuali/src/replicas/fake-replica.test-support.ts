import { ConnectionError, type RecordedEvent, type StreamInfo } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { wrapStore } from '../testing/index.ts'
import type { ReplicaPlace } from './index.ts'

/** Events in one page, so that a read can break between two of them. */
const PAGE_COUNT = 2

/** A replica of a store in memory that shows as much as it is told to, and fails on demand. */
export class FakeReplica {
  readonly place: ReplicaPlace
  /** Positions above it have not arrived. */
  visible = 0
  /** What the primary published with it; `visible` when left out. */
  published: number | undefined
  dead = false
  /** Answers nothing any more, and does not say so. */
  silent = false
  /** Pages after which the next read breaks. */
  breaksAfter: number | undefined
  opened = 0
  closed = 0
  incarnation: string | undefined
  readonly #primary: EventStore

  constructor(primary: EventStore, name = 'replica') {
    this.#primary = primary
    this.place = { name, open: () => this.#open() }
  }

  async #alive(): Promise<void> {
    if (this.dead) throw new ConnectionError('the replica is dead')
    if (this.silent) await new Promise<never>(() => {})
  }

  async #open(): Promise<EventStore> {
    await this.#alive()
    this.opened++
    const store = wrapStore(this.#primary, {
      readLog: (next, query, options) => {
        const upTo = Math.min(query.upTo, this.visible)
        // What a look asks for (it wants archived events too) is not the next read.
        const isRead = query.includeArchived !== true
        return this.#pages(next.readLog({ ...query, upTo }, options), undefined, isRead)
      },
      // The limit counts what has arrived.
      readStream: (next, query, options) =>
        this.#pages(next.readStream({ ...query, limit: undefined }, options), query.limit),
      stream: async (next, name) => {
        await this.#alive()
        return this.#seen(await next.stream(name))
      },
      positions: async () => {
        await this.#alive()
        return { safe: this.published ?? this.visible, newest: this.visible }
      },
    })
    return {
      ...store,
      incarnation: this.incarnation ?? store.incarnation,
      streams: (query, options) => this.#streams(this.#primary.streams(query, options)),
      close: async () => {
        this.closed++
      },
    }
  }

  async *#pages(
    pages: AsyncIterable<readonly RecordedEvent[]>,
    limit = Number.POSITIVE_INFINITY,
    breaks = true,
  ): AsyncGenerator<readonly RecordedEvent[]> {
    // One snapshot for the whole read: what arrives meanwhile is not in it.
    const { visible } = this
    let left = breaks ? this.breaksAfter : undefined
    if (breaks) this.breaksAfter = undefined
    let room = limit
    for await (const page of pages) {
      const shown = page.filter(({ position }) => position <= visible).slice(0, room)
      room -= shown.length
      for (let at = 0; at < shown.length; at += PAGE_COUNT) {
        await this.#alive()
        if (left !== undefined && left-- <= 0) throw new ConnectionError('the replica broke')
        yield shown.slice(at, at + PAGE_COUNT)
      }
    }
    await this.#alive()
    if (left !== undefined && left <= 0) throw new ConnectionError('the replica broke')
  }

  async *#streams(
    pages: AsyncIterable<readonly StreamInfo[]>,
  ): AsyncGenerator<readonly StreamInfo[]> {
    for await (const page of pages) {
      for (const info of page) {
        await this.#alive()
        const seen = await this.#seen(info)
        if (seen !== undefined) yield [seen]
      }
    }
  }

  async #seen(info: StreamInfo | undefined): Promise<StreamInfo | undefined> {
    if (info === undefined) return undefined
    let version = 0
    const query = { stream: info.stream, direction: 'forward' } as const
    for await (const page of this.#primary.readStream(query)) {
      for (const event of page) if (event.position <= this.visible) version = event.version
    }
    return version === 0 ? undefined : { ...info, version, count: version - info.firstVersion + 1 }
  }
}
