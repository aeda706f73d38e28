import { InvalidArgumentError, type RecordedEvent } from '../model/index.ts'
import type { CallOptions, EventStore, LogQuery } from '../ports/index.ts'
import type { ReplayFrom, ReplayOptions } from './replay-options.ts'

/** Where a replay stands. */
export interface ReplayPlace {
  readonly position: number
  /** Of the stream that is replayed; 0 when it is the log. */
  readonly version: number
}

/** A part of the log, read page by page, each page from where the one before has ended. */
export interface ReplayPages {
  /** Everything up to it belongs to the replay. */
  readonly upTo: number
  /** Events of the whole part, where that is known. */
  readonly total: number | undefined
  /** The next events behind a place, and the place behind them; no events at the end. */
  next(
    after: ReplayPlace,
    countMax: number,
    options: CallOptions,
  ): Promise<{ readonly events: readonly RecordedEvent[]; readonly place: ReplayPlace }>
}

/** The place before the first event. */
export function firstPlace(from: ReplayFrom): ReplayPlace {
  return {
    position: 'position' in from ? from.position : 0,
    version: 'stream' in from ? (from.version ?? 1) - 1 : 0,
  }
}

/** Opens the part of the log that the options name. */
export async function replayPages(
  store: EventStore,
  options: ReplayOptions,
  place: ReplayPlace,
): Promise<ReplayPages> {
  const { from = { position: 0 }, signal } = options
  const { safe } = await store.positions({ signal })
  const upTo = Math.min(safe, options.upTo ?? safe)
  return 'stream' in from
    ? streamPages(store, from.stream, options, upTo, place)
    : logPages(store, from, options, upTo)
}

function logPages(
  store: EventStore,
  from: Exclude<ReplayFrom, { readonly stream: string }>,
  { filter = {}, into }: ReplayOptions,
  upTo: number,
): ReplayPages {
  const { types, categories, tags } = filter
  const toStore = typeof into === 'object' && 'store' in into
  const includeArchived = toStore || filter.includeArchived === true
  const since = 'time' in from ? { since: from.time.getTime(), by: from.by ?? 'time' } : {}
  return {
    upTo,
    total: undefined,
    next: async (after, countMax, options) => {
      const query: LogQuery = {
        ...{ types, categories, tags, includeArchived, ...since, upTo },
        ...{ after: after.position, direction: 'forward', limit: countMax, pageSize: countMax },
      }
      for await (const events of store.readLog(query, options)) {
        return { events, place: { position: events.at(-1)?.position ?? upTo, version: 0 } }
      }
      return { events: [], place: { position: Math.max(upTo, after.position), version: 0 } }
    },
  }
}

/** Adapters filter the log, not a stream: a stream's events are filtered here. */
async function streamPages(
  store: EventStore,
  stream: string,
  { filter = {}, upTo: bound, signal }: ReplayOptions,
  upTo: number,
  start: ReplayPlace,
): Promise<ReplayPages> {
  const info = await store.stream(stream, { signal })
  if (info === undefined) throw new InvalidArgumentError('from.stream', `is unknown: ${stream}`)
  const { types, tags } = filter
  const isWanted = (event: RecordedEvent): boolean =>
    event.position <= upTo &&
    (types === undefined || types.includes(event.type)) &&
    (tags === undefined || tags.every((tag) => event.tags.includes(tag)))
  const isWhole = (types ?? tags ?? bound) === undefined
  const first = Math.max(start.version + 1, info.firstVersion)
  return {
    upTo,
    total: isWhole ? Math.max(0, info.version - first + 1) : undefined,
    next: async (after, countMax, options) => {
      let place = after
      for (;;) {
        const page = await firstPage(
          store.readStream(
            { stream, from: place.version + 1, limit: countMax, direction: 'forward' },
            options,
          ),
        )
        const events = page.filter(isWanted)
        const last = page.at(-1)
        if (last === undefined || last.position > upTo) {
          const end = events.at(-1)
          if (end === undefined) return { events, place }
          return { events, place: { position: end.position, version: end.version } }
        }
        place = { position: last.position, version: last.version }
        if (events.length > 0) return { events, place }
      }
    },
  }
}

async function firstPage<T>(pages: AsyncIterable<readonly T[]>): Promise<readonly T[]> {
  for await (const page of pages) return page
  return []
}

/** Pages whose events become others. Those that nothing is left of are passed over. */
export function mappedPages(
  { upTo, next }: ReplayPages,
  map: (events: readonly RecordedEvent[]) => Promise<readonly RecordedEvent[]>,
): ReplayPages {
  return {
    upTo,
    total: undefined,
    next: async (after, countMax, options) => {
      for (let place = after; ; ) {
        const page = await next(place, countMax, options)
        if (page.events.length === 0) return page
        const events = await map(page.events)
        if (events.length > 0) return { events, place: page.place }
        place = page.place
      }
    },
  }
}
