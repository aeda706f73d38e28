import { z } from '@hono/zod-openapi'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { collectEvents, eventsResponse } from '../pages.ts'
import { json } from '../parts.ts'
import { cursorOf, placeOf } from '../positions.ts'
import * as shapes from '../shapes.ts'

const filters = {
  types: shapes.texts.optional(),
  categories: shapes.texts.optional(),
  tags: shapes.texts.optional(),
}

const readLog = endpoint({
  method: 'get',
  path: '/v1/events',
  tag: 'Log',
  summary: 'The log, filtered',
  description:
    'By position, up to the one below which nothing can appear any more (`upTo=newest`: what is committed). Filters are joined by AND, the values of one by OR, tags by AND.',
  role: 'read',
  query: z.strictObject({
    ...filters,
    after: shapes.wholeNumber(0).optional(),
    before: shapes.wholeNumber(0).optional(),
    since: shapes.moment.optional(),
    until: shapes.moment.optional(),
    by: shapes.byTime.optional(),
    limit: shapes.wholeNumber(1).optional(),
    direction: shapes.direction.optional(),
    upTo: z.enum(['safe', 'newest']).optional(),
    includeArchived: shapes.flag.optional(),
    cursor: shapes.cursor.optional(),
  }),
  answers: {
    200: {
      description: 'A page',
      schema: shapes.eventPage,
      mediaTypes: ['application/json', shapes.mediaTypes.cloudEvents],
      headers: { Link: 'To the next page' },
    },
  },
  errors: [409],
  handle: async ({ query }, context) => {
    const { store, limits } = context.parts
    const { cursor, ...options } = query
    const limit = Math.min(query.limit ?? 100, limits.pageCountMax)
    const at =
      cursor === undefined ? undefined : Number(placeOf(cursor, store.incarnation, 'number').at)
    const isBackward = query.direction === 'backward'
    const place = at === undefined ? {} : isBackward ? { before: at } : { after: at }
    const { signal } = context
    const bounds = { signal, timeoutMs: limits.timeoutMs }
    const page = await collectEvents(
      (count) => store.readAll({ ...options, ...place, ...bounds, limit: count }),
      limit,
      context,
    )
    const next =
      page.isCut && page.last !== undefined
        ? cursorOf(store.incarnation, page.last.position)
        : undefined
    return eventsResponse(page, next, context)
  },
})

const positions = endpoint({
  method: 'get',
  path: '/v1/positions',
  tag: 'Log',
  summary: 'How far the log goes',
  role: 'read',
  answers: {
    200: {
      description: 'The safe position, the newest, and who holds the safe one back',
      schema: z
        .object({
          incarnation: z.string(),
          safe: z.int(),
          newest: z.int(),
          blocker: z
            .object({ position: z.int(), holders: z.array(z.string()), sinceMs: z.number() })
            .optional(),
        })
        .openapi('Positions'),
    },
  },
  handle: async (_input, { parts, signal }) => {
    const { store, limits } = parts
    const found = await store.positions({ signal, timeoutMs: limits.timeoutMs })
    return json({ incarnation: store.incarnation, ...found })
  },
})

/** Reading all of the log. */
export const logEndpoints: readonly Endpoint[] = [readLog, positions]
