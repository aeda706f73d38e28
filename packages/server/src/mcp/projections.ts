import { projectLive, type RecordedEvent } from 'eventuali'
import { z } from 'zod'
import { ITEM_COUNT_MAX } from './answer.ts'
import { FIXTURE_TOOL, fixtureEvent } from './fixtures.ts'
import { projectionOf, type Tool, type ToolContext, ToolRefusal, tool } from './tool.ts'

const name = z.string().describe('Name of a projection of the configuration')
/** Events that a projection is run on in memory, at most. */
const FOLD_COUNT_MAX = 100_000

type Definition = ReturnType<typeof projectionOf>
type Documents = Readonly<Record<string, Readonly<Record<string, unknown>>>>

const shownError = (error: unknown): string | undefined =>
  error === undefined ? undefined : error instanceof Error ? error.message : String(error)

const listProjections = tool({
  name: 'list_projections',
  title: 'List projections',
  description: 'The projections of the configuration: mode, version, state, position, lag.',
  input: {},
  run: async (_args, { store, signal }) => ({
    facts: {},
    items: (await store.projections.status({ signal })).map(
      ({ error, build: _build, ...status }) => ({ ...status, error: shownError(error) }),
    ),
  }),
})

const projectionStatus = tool({
  name: 'projection_status',
  title: 'Status of a projection',
  description: 'How one projection is: generations, lag, pause, the build under way, its error.',
  input: { name },
  run: async ({ name: wanted }, context) => {
    const { types, mode, version, from } = projectionOf(context, wanted)
    const all = await context.store.projections.status({ signal: context.signal })
    const { error, ...status } = all.find((one) => one.name === wanted) ?? { error: undefined }
    return {
      facts: { handles: types, from, mode, version },
      items: [{ ...status, error: shownError(error) }],
    }
  },
})

const getProjectionState = tool({
  name: 'get_projection_state',
  title: 'Documents of a projection',
  description: 'Documents of a collection as readers see them: by key, or the first ones.',
  input: {
    name,
    collection: z.string(),
    key: z.string().optional(),
    offset: z.number().int().min(0).optional(),
    limit: z.number().int().min(1).max(ITEM_COUNT_MAX).optional(),
  },
  run: async ({ name: wanted, collection, key, offset = 0, limit = 50 }, context) => {
    const projection = projectionOf(context, wanted)
    const reader = context.store.collection(projection, collectionOf(projection, collection))
    if (key !== undefined) {
      return { facts: { name: wanted, collection, key }, items: [(await reader.get(key)) ?? null] }
    }
    const entries = await reader.entries({ offset, limit: limit + 1 })
    let shown = offset
    return {
      facts: { name: wanted, collection, count: await reader.count() },
      items: entries.slice(0, limit),
      more: entries.length > limit,
      nextOf: (last) => {
        shown = offset + entries.indexOf(last as (typeof entries)[number]) + 1
        return { name: wanted, collection, offset: shown, limit }
      },
    }
  },
})

function collectionOf({ name: of, collections }: Definition, collection: string): never {
  if (Object.hasOwn(collections, collection)) return collection as never
  const known = Object.keys(collections).join(', ') || 'none'
  throw new ToolRefusal(`projection ${of} has no collection ${collection} (there are: ${known})`)
}

async function documentsOf(
  projection: Definition,
  live: Awaited<ReturnType<typeof projectLive>>,
): Promise<Documents> {
  const all: Record<string, Record<string, unknown>> = {}
  for (const collection of Object.keys(projection.collections)) {
    const entries = await live.collection(collection as never).entries({ limit: 1000 })
    all[collection] = Object.fromEntries(
      (entries as readonly { key: string; document: unknown }[]).map(({ key, document }) => [
        key,
        structuredClone(document),
      ]),
    )
  }
  return all
}

const runProjectionOnFixture = tool({
  name: FIXTURE_TOOL,
  title: 'Try a projection on events',
  description:
    'Runs the code of a projection in memory on events that you give, and shows its documents. Nothing is stored. The resources eventuali://fixtures/TYPE hold stored events in this shape.',
  input: { name, events: z.array(fixtureEvent).min(1).max(500) },
  run: async ({ name: wanted, events }, context) => {
    const projection = projectionOf(context, wanted)
    const live = await projectLive(projection, recordedOf(projection, events))
    const documents = await documentsOf(projection, live)
    return { facts: { name: wanted, events: events.length }, items: itemsOf(documents) }
  },
})

function recordedOf(
  projection: Definition,
  events: readonly z.infer<typeof fixtureEvent>[],
): readonly RecordedEvent[] {
  return events.map((event, index) => {
    const { type, data, stream = 'fixture-1', metadata = {}, tags = [] } = event
    const time = event.time === undefined ? new Date(0) : new Date(event.time)
    const newest = projection.registry.get(type)?.schemaVersion ?? 1
    return {
      ...{ id: `fixture-${index + 1}`, stream, version: index + 1, position: index + 1 },
      ...{ type, data, metadata, tags, time, recordedAt: time },
      schemaVersion: event.schemaVersion ?? newest,
    }
  })
}

function itemsOf(documents: Documents): unknown[] {
  return Object.entries(documents).flatMap(([collection, byKey]) =>
    Object.entries(byKey).map(([key, document]) => ({ collection, key, document })),
  )
}

/** What of the log a projection handles, up to a position. */
function handled(projection: Definition, { store, signal }: ToolContext, upTo: number) {
  const { storedTypes, from } = projection
  return store.readAll({
    ...{ types: storedTypes, categories: from.categories, tags: from.tags, before: upTo + 1 },
    ...{ includeArchived: from.includeArchived === true, limit: FOLD_COUNT_MAX, signal },
  })
}

const stepProjection = tool({
  name: 'step_projection',
  title: 'What one event does to a projection',
  description: `Runs the code of a projection in memory up to an event of the log and shows which documents that event changes. For projections of up to ${FOLD_COUNT_MAX} handled events. Nothing is stored.`,
  input: { name, position: z.number().int().min(1).describe('Position of the event') },
  run: async ({ name: wanted, position }, context) => {
    const projection = projectionOf(context, wanted)
    const [event] = await context.store
      .readAll({ after: position - 1, before: position + 1, includeArchived: true })
      .toArray()
    if (event === undefined) throw new ToolRefusal(`there is no event at position ${position}`)
    const before = await projectLive(projection, handled(projection, context, position - 1))
    const old = await documentsOf(projection, before)
    await before.apply([event])
    const now = await documentsOf(projection, before)
    const isHandled = projection.storedTypes.includes(event.type)
    const { stream, version, type } = event
    return {
      facts: { name: wanted, event: { stream, version, type, position }, handled: isHandled },
      items: [{ event: event.data }, ...changes(old, now)],
    }
  },
})

function changes(old: Documents, now: Documents): unknown[] {
  const found: unknown[] = []
  for (const collection of Object.keys(now)) {
    const [before, after] = [old[collection] ?? {}, now[collection] ?? {}]
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      if (JSON.stringify(before[key]) === JSON.stringify(after[key])) continue
      found.push({ collection, key, before: before[key] ?? null, after: after[key] ?? null })
    }
  }
  return found
}

const compareProjections = tool({
  name: 'compare_projections',
  title: 'Compare two generations',
  description:
    'Compares the live tables of a projection with those of its other generation, row by row: counts and the first differences.',
  input: { name },
  run: async ({ name: wanted }, context) => {
    projectionOf(context, wanted)
    const { rows, ...report } = await context.store.projections.compare(wanted, {
      signal: context.signal,
    })
    return { facts: { ...report }, items: rows }
  },
})

/** Looks at projections, and runs their code beside the store. */
export const projectionTools: readonly Tool[] = [
  ...[listProjections, projectionStatus, getProjectionState, runProjectionOnFixture],
  ...[stepProjection, compareProjections],
]
