import { sleep, systemClock } from '../../kernel/index.ts'
import type { Json, RecordedEvent } from '../../model/index.ts'
import type {
  AppendEntry,
  AppendOutcome,
  AppendRequest,
  NewEvent,
  StreamAccess,
} from '../../ports/index.ts'
import { wrapStore } from '../wrap.ts'
import type { StoreMutant } from './mutant.ts'

function mapEntries(
  request: AppendRequest,
  change: (entry: AppendEntry) => AppendEntry,
): AppendRequest {
  return { ...request, entries: request.entries.map(change) }
}

function mapEvents(request: AppendRequest, change: (event: NewEvent) => NewEvent): AppendRequest {
  return mapEntries(request, (entry) => ({ ...entry, events: entry.events.map(change) }))
}

/** A mutant that only changes what is asked for. */
function asking(
  name: string,
  caughtBy: string,
  change: (request: AppendRequest) => AppendRequest,
): StoreMutant {
  return {
    name,
    caughtBy,
    wrap: (store) =>
      wrapStore(store, {
        append: (next, request, options) => next.append(change(request), options),
      }),
  }
}

/** The duplicate result for ids that are all known, whatever the content. */
async function knownByIdAlone(
  next: StreamAccess,
  request: AppendRequest,
): Promise<AppendOutcome | undefined> {
  const entries = []
  for (const { stream, events } of request.entries) {
    const duplicate: RecordedEvent[] = []
    for (const event of events) {
      const found = event.idGiven ? await next.eventById(stream, event.id) : undefined
      if (found === undefined) return undefined
      duplicate.push(found)
    }
    const last = duplicate.at(-1) as RecordedEvent
    const positions = duplicate.map((event) => event.position)
    const recordedAt = last.recordedAt.getTime()
    entries.push({ stream, version: last.version, positions, recordedAt, duplicate })
  }
  return { ok: true, entries }
}

/** Appends as if each entry were a request of its own; earlier ones stay when a later one fails. */
async function entryByEntry(next: StreamAccess, request: AppendRequest): Promise<AppendOutcome> {
  const done = []
  for (const entry of request.entries) {
    const outcome = await next.append({ ...request, entries: [entry] })
    if (!outcome.ok) return outcome
    done.push(...outcome.entries)
  }
  return { ok: true, entries: done }
}

/** Looks first and appends later, so that others come in between. */
async function lookThenAppend(next: StreamAccess, request: AppendRequest): Promise<AppendOutcome> {
  for (const { stream, expectedVersion } of request.entries) {
    const actualVersion = (await next.stream(stream))?.version ?? 0
    if (typeof expectedVersion === 'number' && expectedVersion !== actualVersion) {
      return { ok: false, reason: 'version-conflict', stream, expectedVersion, actualVersion }
    }
  }
  await sleep(systemClock, 0)
  return next.append(mapEntries(request, (entry) => ({ ...entry, expectedVersion: 'any' })))
}

/** Checks the condition by a read of its own, outside the append's transaction. */
async function lookThenAppendUnderCondition(
  next: StreamAccess,
  request: AppendRequest,
): Promise<AppendOutcome> {
  const { condition, ...plain } = request
  if (condition === undefined) return next.append(request)
  const { query, position } = condition
  const upTo = Number.MAX_SAFE_INTEGER
  const read = {
    query,
    after: position,
    upTo,
    direction: 'forward',
    includeArchived: true,
  } as const
  for await (const events of next.readLog(read)) {
    return { ok: false, reason: 'condition-failed', events: events.slice(0, 100), position }
  }
  await sleep(systemClock, 0)
  return next.append(plain)
}

function mapStrings(value: Json, change: (text: string) => string): Json {
  if (typeof value === 'string') return change(value)
  if (Array.isArray(value)) return value.map((item) => mapStrings(item, change))
  return value
}

/** Stores that append something else than they were asked to. */
export const appendMutants: readonly StoreMutant[] = [
  asking(
    'ignores the expected version',
    'expected version: 0 is refused once the stream exists',
    (request) => mapEntries(request, (entry) => ({ ...entry, expectedVersion: 'any' })),
  ),
  {
    name: 'looks at the expected version before the transaction begins',
    caughtBy: 'expected version: 16 appenders with the same one have one winner',
    wrap: (store) => wrapStore(store, { append: (next, request) => lookThenAppend(next, request) }),
  },
  asking(
    'loses the last event of a batch',
    'append: a batch gets dense versions and growing positions',
    (request) =>
      mapEntries(request, (entry) =>
        entry.events.length > 1 ? { ...entry, events: entry.events.slice(0, -1) } : entry,
      ),
  ),
  asking(
    'reverses a batch',
    'append: a batch gets dense versions and growing positions',
    (request) => mapEntries(request, (entry) => ({ ...entry, events: entry.events.toReversed() })),
  ),
  asking(
    'forgets ordinals',
    'append: ordinals decide the order in the log, entries the versions',
    (request) => mapEntries(request, ({ ordinals: _, ...entry }) => entry),
  ),
  asking(
    'forgets idempotency',
    'idempotency: a repeated append gives the first result and stores once',
    (request) => mapEvents(request, (event) => ({ ...event, idGiven: false })),
  ),
  {
    name: 'knows a repeated append by its ids alone',
    caughtBy: 'idempotency: other data under a known id is a conflict',
    wrap: (store) =>
      wrapStore(store, {
        append: async (next, request, options) =>
          (await knownByIdAlone(next, request)) ?? next.append(request, options),
      }),
  },
  {
    name: 'looks at the expected version before the ids',
    caughtBy: 'idempotency: it is looked at before the expected version',
    wrap: (store) =>
      wrapStore(store, {
        append: async (next, request, options) => {
          const outcome = await next.append(request, options)
          const [entry] = request.entries
          if (!outcome.ok || outcome.entries[0]?.duplicate === undefined) return outcome
          const expectedVersion = entry?.expectedVersion ?? 'any'
          if (typeof expectedVersion !== 'number') return outcome
          const { stream } = outcome.entries[0]
          const actualVersion = (await next.stream(stream))?.version ?? 0
          return { ok: false, reason: 'version-conflict', stream, expectedVersion, actualVersion }
        },
      }),
  },
  {
    name: 'stores the entries of a request one by one',
    caughtBy: 'expected version: a conflict of the second entry undoes the first',
    wrap: (store) => wrapStore(store, { append: (next, request) => entryByEntry(next, request) }),
  },
  {
    name: 'acknowledges before the events are stored',
    caughtBy: 'append: what was acknowledged is visible at once everywhere',
    wrap: (store) =>
      wrapStore(store, {
        append: async (next, request, options) => {
          const later = sleep(systemClock, 10).then(() => next.append(request, options))
          later.catch(() => {})
          let position = (await store.positions()).newest
          const entries = []
          for (const { stream, events } of request.entries) {
            const version = ((await next.stream(stream))?.version ?? 0) + events.length
            const positions = events.map(() => ++position)
            entries.push({ stream, version, positions, recordedAt: 0 })
          }
          return { ok: true, entries }
        },
      }),
  },
  asking(
    'ignores the condition',
    'condition: fails when a match arrived, and tells it',
    (request) => {
      const { condition: _, ...rest } = request
      return rest
    },
  ),
  {
    name: 'looks at the condition before the transaction begins',
    caughtBy: 'condition: 16 racers have one winner, in each of 20 rounds',
    wrap: (store) =>
      wrapStore(store, { append: (next, request) => lookThenAppendUnderCondition(next, request) }),
  },
  asking('ignores the tags of a condition', 'condition: other tags do not count', (request) => {
    if (request.condition === undefined) return request
    const { query, position } = request.condition
    return { ...request, condition: { query: query.map((q) => ({ ...q, tags: [] })), position } }
  }),
  asking(
    'joins the tags of a condition by OR',
    'condition: all tags of an item are needed',
    (request) => {
      if (request.condition === undefined) return request
      const { query, position } = request.condition
      const split = query.flatMap((item) =>
        item.tags.length < 2 ? [item] : item.tags.map((tag) => ({ ...item, tags: [tag] })),
      )
      return { ...request, condition: { query: split, position } }
    },
  ),
  ...[1, -1].map((by) =>
    asking(
      `reads the condition's position ${by > 0 ? 'one too high' : 'one too low'}`,
      'condition: the event at the position itself was seen, one later was not',
      (request) => {
        if (request.condition === undefined) return request
        const { query, position } = request.condition
        return { ...request, condition: { query, position: position + by } }
      },
    ),
  ),
  {
    name: 'turns what JSON cannot carry into null',
    caughtBy: 'data: NaN and Infinity are refused',
    wrap: (store) =>
      wrapStore(store, {
        append: (next, request, options) => {
          const change = (event: NewEvent) => ({
            ...event,
            data: JSON.parse(JSON.stringify(event.data)),
          })
          return next.append(mapEvents(request, change), options)
        },
      }),
  },
  asking('mends lone surrogates', 'data: lone surrogates', (request) =>
    mapEvents(request, (event) => ({
      ...event,
      data: mapStrings(event.data, (text) => text.toWellFormed()),
    })),
  ),
  asking('cuts texts at U+0000', 'data: U+0000 and control characters', (request) =>
    mapEvents(request, (event) => ({
      ...event,
      data: mapStrings(event.data, (text) => text.split('\u0000')[0] ?? ''),
    })),
  ),
  asking(
    'keeps times in seconds',
    'times: from long ago to far ahead, to the millisecond',
    (request) =>
      mapEvents(request, (event) => ({ ...event, time: Math.floor(event.time / 1000) * 1000 })),
  ),
]
