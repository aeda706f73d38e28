import { categoryOf, type RecordedEvent } from 'eventuali'
import type { FeedSource } from './feed.ts'
import { FEED_BATCH, fitting, PieceReader } from './feed-pages.ts'
import type { ServerParts } from './parts.ts'
import type { TailedEvent } from './tail.ts'

/** Which events a feed of the log has. */
export interface FeedFilter {
  readonly types?: readonly string[] | undefined
  readonly categories?: readonly string[] | undefined
  readonly tags?: readonly string[] | undefined
}

function matches(event: RecordedEvent, { types, categories, tags }: FeedFilter): boolean {
  if (types !== undefined && !types.includes(event.type)) return false
  if (categories !== undefined && !categories.includes(categoryOf(event.stream))) return false
  return tags === undefined || tags.every((tag) => event.tags.includes(tag))
}

/** The log from a position on. */
export function logFeed(parts: ServerParts, after: number, filter: FeedFilter): FeedSource {
  const { store, tail, limits } = parts
  const reader = new PieceReader(parts.turns)
  let place = after
  const fromLog = async (): Promise<readonly TailedEvent[]> => {
    const bounds = { timeoutMs: limits.timeoutMs }
    const { safe } = await store.positions(bounds)
    if (safe <= place) return []
    const { found, isEnd } = await reader.next((limit) =>
      store.readAll({ ...filter, after: place, limit, ...bounds }),
    )
    const last = found.at(-1)?.event.position ?? place
    place = isEnd ? Math.max(last, safe) : last
    return found
  }
  return {
    next: async () => {
      const held = tail.since(place, FEED_BATCH)
      if (held === undefined) return fromLog()
      const found = fitting(held.filter(({ event }) => matches(event, filter)))
      const isAll = found.length === 0 || held.at(-1) === found.at(-1)
      const last = isAll ? held.at(-1) : found.at(-1)
      place = last?.event.position ?? place
      return found
    },
    idOf: ({ position }) => position,
    get place() {
      return place
    },
    wait: (ms, signal) => tail.grown(place, ms, signal),
  }
}

/** A stream from a version on. */
export function streamFeed(parts: ServerParts, stream: string, after: number): FeedSource {
  const { store, tail, limits } = parts
  const reader = new PieceReader(parts.turns)
  let place = after
  // How far the tail was looked through for the stream; its events themselves come from the store.
  let seen = tail.position
  let isDue = true
  const look = (): void => {
    for (;;) {
      const held = tail.since(seen, FEED_BATCH)
      if (held === undefined) isDue = true
      if (held === undefined || held.length === 0) {
        if (held === undefined) seen = tail.position
        return
      }
      seen = held.at(-1)?.event.position ?? seen
      isDue ||= held.some(({ event }) => event.stream === stream)
    }
  }
  return {
    next: async () => {
      look()
      if (!isDue) return []
      isDue = false
      const bounds = { timeoutMs: limits.timeoutMs }
      const { found, isEnd } = await reader.next((limit) =>
        store.readStream(stream, { from: place + 1, limit, ...bounds }),
      )
      isDue ||= !isEnd
      place = found.at(-1)?.event.version ?? place
      return found
    },
    idOf: ({ version }) => version,
    get place() {
      return place
    },
    wait: (ms, signal) => (isDue ? Promise.resolve() : tail.grown(seen, ms, signal)),
  }
}
