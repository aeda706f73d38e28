import { checkHealth, type RecordedEvent, type StreamPoint } from 'eventuali'
import { z } from 'zod'
import { ITEM_COUNT_MAX, shownEvent } from './answer.ts'
import { aggregateOf, type Tool, type ToolContext, ToolRefusal, tool } from './tool.ts'

/** Events that a search without an index may look at. */
const SCAN_COUNT_MAX = 200_000
const limit = z.number().int().min(1).max(ITEM_COUNT_MAX).optional()
const direction = z.enum(['forward', 'backward']).optional()
const names = z.array(z.string().min(1)).max(50).optional()
const time = z.iso.datetime({ offset: true }).optional()

const point = z
  .object({
    version: z.number().int().min(0).optional(),
    position: z.number().int().min(0).optional(),
    time,
  })
  .optional()
  .describe('A version of the stream, a position of the log, or a time; one of them')

function streamPoint(given: z.infer<typeof point>): StreamPoint {
  const { version, position, time: at } = given ?? {}
  if ([version, position, at].filter((one) => one !== undefined).length > 1) {
    throw new ToolRefusal('a point is a version, a position or a time; give one of them')
  }
  if (version !== undefined) return { version }
  if (position !== undefined) return { position }
  return at === undefined ? {} : { at: new Date(at) }
}

/** Events until there are enough of them; one more is read to know whether there are more. */
async function taken(
  events: AsyncIterable<RecordedEvent>,
  count: number,
): Promise<{ readonly events: readonly RecordedEvent[]; readonly more: boolean }> {
  const list: RecordedEvent[] = []
  for await (const event of events) {
    if (list.length === count) return { events: list, more: true }
    list.push(event)
  }
  return { events: list, more: false }
}

const health = tool({
  name: 'health',
  title: 'Health of the store',
  description:
    'Whether the store answers, how it is set, the lag of every consumer, dead letters, room on the disk. Start here.',
  input: {},
  run: async (_args, { store, signal }) => ({
    facts: { ...(await checkHealth(store, { signal, write: false })) },
  }),
})

const listStreams = tool({
  name: 'list_streams',
  title: 'List streams',
  description: 'Names, versions and times of streams, by prefix or category.',
  input: { prefix: z.string().optional(), category: z.string().optional(), limit },
  run: async ({ prefix, category, limit: count = 50 }, { store, signal }) => {
    const found = []
    const options = { prefix, category, limit: count + 1, signal }
    for await (const stream of store.streams(options)) found.push(stream)
    return { facts: {}, items: found.slice(0, count), more: found.length > count }
  },
})

const readStream = tool({
  name: 'read_stream',
  title: 'Read a stream',
  description: 'The events of one stream in version order, or backwards from the newest.',
  input: { stream: z.string(), from: z.number().int().min(1).optional(), direction, limit },
  run: async ({ stream, from, direction: way = 'forward', limit: count = 50 }, context) => {
    const { store, signal } = context
    const isForward = way === 'forward'
    const bound = isForward ? { from } : { to: from }
    const options = { ...bound, direction: way, limit: count + 1, signal }
    const { events, more } = await taken(store.readStream(stream, options), count)
    return {
      facts: { stream, head: await store.stream(stream) },
      ...{ items: events.map(shownEvent), more },
      nextOf: (last) => {
        const { version } = last as RecordedEvent
        return { stream, from: isForward ? version + 1 : version - 1, direction: way }
      },
    }
  },
})

const filters = {
  types: names.describe('Any of these event types'),
  categories: names.describe('Any of these categories of streams'),
  tags: names.describe('All of these tags'),
  since: time,
  until: time,
}

type Filters = z.infer<z.ZodObject<typeof filters>>

function logOptions({ types, categories, tags, since, until }: Filters) {
  const moment = (text: string | undefined) => (text === undefined ? undefined : new Date(text))
  return { types, categories, tags, since: moment(since), until: moment(until) }
}

const readAll = tool({
  name: 'read_all',
  title: 'Read the log',
  description:
    'Events of all streams in the order of the log, filtered by type, category, tag, time.',
  input: {
    ...filters,
    after: z.number().int().min(0).optional().describe('Positions above (backward: below) it'),
    ...{ direction, limit },
  },
  run: async ({ after, direction: way = 'forward', limit: count = 50, ...given }, context) => {
    const { store, signal } = context
    const bound = way === 'forward' ? { after } : { before: after }
    const options = { ...logOptions(given), ...bound, direction: way, limit: count + 1, signal }
    const { events, more } = await taken(store.readAll(options), count)
    return {
      facts: {},
      ...{ items: events.map(shownEvent), more },
      nextOf: (last) => ({ ...given, after: (last as RecordedEvent).position, direction: way }),
    }
  },
})

function valueAt(event: RecordedEvent, path: string): unknown {
  let value: unknown = event
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Readonly<Record<string, unknown>>)[name]
  }
  return value
}

function isMatch(
  event: RecordedEvent,
  where: Readonly<Record<string, unknown>>,
  contains: string | undefined,
): boolean {
  for (const [path, wanted] of Object.entries(where)) {
    if (JSON.stringify(valueAt(event, path)) !== JSON.stringify(wanted)) return false
  }
  if (contains === undefined) return true
  const text = `${event.stream}\n${JSON.stringify(event.data)}\n${JSON.stringify(event.metadata)}`
  return text.toLowerCase().includes(contains.toLowerCase())
}

/** Goes through the log until enough is found, or enough was looked at. */
async function scanned(
  { store, signal }: ToolContext,
  options: object,
  isWanted: (event: RecordedEvent) => boolean,
  count: number,
) {
  const found: RecordedEvent[] = []
  let looked = 0
  let last = 0
  for await (const event of store.readAll({ ...options, signal })) {
    if (found.length === count || looked === SCAN_COUNT_MAX)
      return { found, looked, last, more: true }
    looked++
    last = event.position
    if (isWanted(event)) found.push(event)
  }
  return { found, looked, last, more: false }
}

const query = tool({
  name: 'query',
  title: 'Search events',
  description: `Events whose data or metadata is as asked for: values by dotted path ({"data.customer": "ada"}), a text that they contain. Looks at ${SCAN_COUNT_MAX} events a call at most; "next" goes on.`,
  input: {
    ...filters,
    where: z.record(z.string(), z.json()).optional(),
    contains: z.string().min(1).optional(),
    after: z.number().int().min(0).optional(),
    ...{ direction, limit },
  },
  run: async (args, context) => {
    const { where = {}, contains, after, direction: way = 'backward', limit: count = 50 } = args
    const bound = way === 'forward' ? { after } : { before: after }
    const options = { ...logOptions(args), ...bound, direction: way }
    const { found, looked, last, more } = await scanned(
      context,
      options,
      (event) => isMatch(event, where, contains),
      count,
    )
    const next = { ...args, direction: way, after: last }
    return {
      facts: { looked, ...(more && found.length < count ? { complete: false, next } : {}) },
      items: found.map(shownEvent),
      more: more && found.length === count,
      nextOf: (event) => ({ ...next, after: (event as RecordedEvent).position }),
    }
  },
})

const listEventTypes = tool({
  name: 'list_event_types',
  title: 'List event types',
  description: 'Every type and version of events that the store has seen, with counts.',
  input: {},
  run: async (_args, { store, signal }) => ({
    facts: {},
    items: (await store.schemas.list({ signal })).map(({ registered, ...info }) => ({
      ...info,
      schemas: registered.length,
    })),
  }),
})

const getSchema = tool({
  name: 'get_schema',
  title: 'Schema of an event type',
  description: 'JSON Schemas that programs registered for a type, version by version.',
  input: { type: z.string() },
  run: async ({ type }, { store, signal }) => {
    const items = (await store.schemas.list({ signal })).filter((one) => one.type === type)
    if (items.length === 0) throw new ToolRefusal(`the store has seen no event of type ${type}`)
    return { facts: { type }, items }
  },
})

const traceCorrelation = tool({
  name: 'trace_correlation',
  title: 'Trace a correlation',
  description:
    'All events of one correlation id in log order, each with the event that caused it: what a command set off.',
  input: { correlationId: z.string(), after: z.number().int().min(0).optional() },
  run: async ({ correlationId, after = 0 }, context) => {
    const { found, looked, last, more } = await scanned(
      context,
      { after },
      ({ metadata }) => metadata.correlationId === correlationId,
      ITEM_COUNT_MAX,
    )
    const children = new Map<string, number>()
    for (const { metadata } of found) {
      const cause = String(metadata.causationId ?? '')
      children.set(cause, (children.get(cause) ?? 0) + 1)
    }
    return {
      facts: { looked, ...(more ? { complete: false, next: { correlationId, after: last } } : {}) },
      items: found.map((event) => ({
        ...shownEvent(event),
        causedBy: event.metadata.causationId ?? null,
        effects: children.get(event.id) ?? 0,
      })),
    }
  },
})

const explainState = tool({
  name: 'explain_state',
  title: 'State of an aggregate, and why',
  description:
    'The state of an aggregate now or at a point, and the events that last changed it (of one value: give a JSON Pointer).',
  input: { stream: z.string(), at: point, path: z.string().optional() },
  run: async ({ stream, at, path = '' }, context) => {
    const { aggregate, id } = aggregateOf(context, stream)
    const repository = context.store.aggregate(aggregate)
    const options = { ...streamPoint(at), signal: context.signal }
    const loaded: unknown = await repository.load(id, options)
    const { version } = loaded as { readonly version: number }
    const isPlain = Object.getPrototypeOf(loaded) === Object.prototype
    const state = isPlain ? (loaded as { readonly state: unknown }).state : loaded
    const changes: unknown[] = []
    for await (const { event, before, after } of repository.history(id, path, options)) {
      changes.push({ version: event.version, type: event.type, time: event.time, before, after })
      if (changes.length > ITEM_COUNT_MAX) changes.shift()
    }
    return { facts: { stream, version, path }, items: [{ state }, ...changes.reverse()] }
  },
})

const diffState = tool({
  name: 'diff_state',
  title: 'Difference of two states',
  description: 'What is different in the state of an aggregate between two points.',
  input: { stream: z.string(), from: point, to: point },
  run: async ({ stream, from, to }, context) => {
    const { aggregate, id } = aggregateOf(context, stream)
    const diff = await context.store
      .aggregate(aggregate)
      .diff(id, streamPoint(from), streamPoint(to), { signal: context.signal })
    return { facts: { stream, from: diff.from, to: diff.to }, items: diff.changes }
  },
})

/** Looks at the log and at what follows from it. */
export const exploreTools: readonly Tool[] = [
  ...[health, listStreams, readStream, readAll, listEventTypes, getSchema, query],
  ...[traceCorrelation, explainState, diffState],
]
