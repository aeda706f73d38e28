import { sleep, systemClock } from '../../kernel/index.ts'
import type { RecordedEvent } from '../../model/index.ts'
import { wrapStore } from '../wrap.ts'
import type { StoreMutant } from './mutant.ts'

type Pages = AsyncIterable<readonly RecordedEvent[]>

/** Pages with the events for which `keep` holds. */
async function* filtered(
  pages: Pages,
  keep: (event: RecordedEvent, index: number, page: number) => boolean,
): Pages {
  let page = 0
  for await (const events of pages) {
    const kept = events.filter((event, index) => keep(event, index, page))
    page += 1
    if (kept.length > 0) yield kept
  }
}

async function collect(pages: Pages): Promise<RecordedEvent[]> {
  const all: RecordedEvent[] = []
  for await (const page of pages) all.push(...page)
  return all
}

/** The first events, turned round, in the place of the last ones. */
async function* firstOnesReversed(pages: Pages): Pages {
  const events = await collect(pages)
  if (events.length > 0) yield events.toReversed()
}

/** Stores that return something else than they hold. */
export const readMutants: readonly StoreMutant[] = [
  {
    name: 'loses a match when a filter is set',
    caughtBy: 'readLog: types are joined by OR',
    wrap: (store) =>
      wrapStore(store, {
        readLog: (next, query, options) => {
          const pages = next.readLog(query, options)
          if (query.types === undefined) return pages
          return filtered(pages, (_, index) => index % 3 !== 2)
        },
      }),
  },
  {
    name: 'joins the tags of a filter by OR',
    caughtBy: 'readLog: tags are joined by AND',
    wrap: (store) =>
      wrapStore(store, {
        readLog: (next, query, options) => {
          const { tags, ...rest } = query
          if (tags === undefined) return next.readLog(query, options)
          const some = (event: RecordedEvent) => tags.some((tag) => event.tags.includes(tag))
          return filtered(next.readLog(rest, options), some)
        },
      }),
  },
  {
    name: 'takes a category for a prefix',
    caughtBy: 'readLog: a category is what stands before the first dash',
    wrap: (store) =>
      wrapStore(store, {
        readLog: (next, query, options) => {
          const { categories, ...rest } = query
          if (categories === undefined) return next.readLog(query, options)
          return filtered(next.readLog(rest, options), ({ stream }) =>
            categories.some((category) => stream.startsWith(category)),
          )
        },
      }),
  },
  {
    name: 'reads a stream backward from the wrong end',
    caughtBy: 'readStream: backward is the exact reverse, with the same bounds',
    wrap: (store) =>
      wrapStore(store, {
        readStream: (next, query, options) => {
          if (query.direction === 'forward') return next.readStream(query, options)
          return firstOnesReversed(next.readStream({ ...query, direction: 'forward' }, options))
        },
      }),
  },
  {
    name: 'reads the log backward from the wrong end',
    caughtBy: 'readLog: limit stops at that many matches, from either end',
    wrap: (store) =>
      wrapStore(store, {
        readLog: (next, query, options) => {
          if (query.direction === 'forward') return next.readLog(query, options)
          return firstOnesReversed(next.readLog({ ...query, direction: 'forward' }, options))
        },
      }),
  },
  {
    name: 'skips an event at each page border of the log',
    caughtBy: 'readLog: pages hold at most pageSize events and lose none between them',
    wrap: (store) =>
      wrapStore(store, {
        readLog: (next, query, options) =>
          filtered(next.readLog(query, options), (_, index, page) => page === 0 || index > 0),
      }),
  },
  {
    name: 'takes after for inclusive',
    caughtBy: 'readLog: after and before are exclusive, upTo is inclusive',
    wrap: (store) =>
      wrapStore(store, {
        readLog: (next, query, options) => {
          const after = query.after === undefined ? undefined : query.after - 1
          return next.readLog({ ...query, after }, options)
        },
      }),
  },
  {
    name: 'hands out a safe position beyond an open gap',
    caughtBy: 'order: a reader that follows the safe position misses nothing',
    wrap: (store) => {
      const uncommitted = new Set<number>()
      return wrapStore(store, {
        // The commit takes a moment longer for some, as between two backends of one server.
        append: async (next, request, options) => {
          const outcome = await next.append(request, options)
          if (!outcome.ok) return outcome
          const positions = outcome.entries.flatMap((entry) => entry.positions)
          if ((positions[0] as number) % 3 !== 0) return outcome
          for (const position of positions) uncommitted.add(position)
          await sleep(systemClock, 3)
          for (const position of positions) uncommitted.delete(position)
          return outcome
        },
        readLog: (next, query, options) =>
          filtered(next.readLog(query, options), ({ position }) => !uncommitted.has(position)),
      })
    },
  },
  {
    name: 'shares its objects with its readers',
    caughtBy: 'append: changing what was read changes nothing stored',
    wrap: (store) => {
      const cache = new Map<string, RecordedEvent>()
      const cached = (event: RecordedEvent): RecordedEvent => {
        const found = cache.get(event.id) ?? event
        cache.set(event.id, found)
        return found
      }
      return wrapStore(store, {
        readStream: async function* (next, query, options) {
          for await (const page of next.readStream(query, options)) yield page.map(cached)
        },
      })
    },
  },
  {
    name: 'takes the time of an event for asOf by recordedAt',
    caughtBy: "readStream: asOf by recordedAt goes by the store's clock",
    wrap: (store) =>
      wrapStore(store, {
        readStream: (next, query, options) => {
          if (query.asOf === undefined) return next.readStream(query, options)
          return next.readStream({ ...query, asOf: { ...query.asOf, by: 'time' } }, options)
        },
      }),
  },
  {
    name: 'shows archived streams in the log',
    caughtBy: 'archive: readStream goes on, readLog leaves the events out',
    wrap: (store) =>
      wrapStore(store, {
        readLog: (next, query, options) =>
          next.readLog({ ...query, includeArchived: true }, options),
      }),
  },
  {
    name: 'hides the tombstone',
    caughtBy: 'delete: leaves a tombstone, at the next version',
    wrap: (store) =>
      wrapStore(store, {
        readLog: (next, query, options) =>
          filtered(next.readLog(query, options), ({ type }) => type !== '$deleted'),
      }),
  },
  {
    name: 'finds events by any id',
    caughtBy: 'eventById: finds given ids of the stream, and nothing else',
    wrap: (store) =>
      wrapStore(store, {
        eventById: async (next, stream, id) => {
          const events = await collect(next.readStream({ stream, direction: 'forward' }))
          return events.find((event) => event.id === id)
        },
      }),
  },
]
