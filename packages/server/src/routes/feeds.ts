import { z } from '@hono/zod-openapi'
import { StreamTruncatedError } from 'eventuali'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { beyond, Feed, type FeedSource } from '../feed.ts'
import { logFeed, streamFeed } from '../feed-sources.ts'
import type { RequestContext } from '../parts.ts'
import { feedPlace } from '../positions.ts'
import * as shapes from '../shapes.ts'

const format = z
  .enum(['event', 'cloudevent'])
  .openapi({ description: 'What `data` is: an event as the log has it, or a CloudEvent.' })

const answers = {
  200: {
    description:
      'Server-Sent Events: `data` is an event, `id` goes back as Last-Event-ID. `event: closing` comes before the server ends, `event: problem` when the feed cannot go on.',
    mediaTypes: ['text/event-stream'],
    schema: z.string(),
  },
}
const headers = {
  'Last-Event-ID': 'The id of the last event that was handled; wins over `lastEventId` and `after`',
}
const lastEventId = z.string().max(200).optional().openapi({
  description:
    'As `Last-Event-ID`, for the first connection of an `EventSource`, which cannot set headers; wins over `after`.',
})

/**
 * Where the feed begins: behind the last event that was seen, or where `after` says. The header
 * wins over the query: a browser that comes back by itself keeps the url and knows better by then.
 */
function startOf(
  query: { readonly after?: number | undefined; readonly lastEventId?: string | undefined },
  { parts, request }: RequestContext,
): number | undefined {
  const id = request.headers.get('last-event-id') || query.lastEventId
  if (id === undefined || id === '') return query.after
  return feedPlace(id, parts.store.incarnation)
}

async function serve(
  make: () => FeedSource,
  isCloud: boolean,
  context: RequestContext,
): Promise<Response> {
  const { feeds, tail } = context.parts
  const leave = feeds.take()
  try {
    const unfollow = await tail.follow()
    const release = () => {
      leave()
      unfollow()
    }
    return new Feed(make(), context, { isCloud }, release).response()
  } catch (error) {
    leave()
    throw error
  }
}

const logFeedEndpoint = endpoint({
  method: 'get',
  path: '/v1/feed',
  tag: 'Feeds',
  summary: 'The log as it grows',
  description:
    'From `after` or `Last-Event-ID` on, otherwise from now on. Every event in order, at least once; what is slow to read is read from the log, not from memory.',
  role: 'read',
  query: z.strictObject({
    after: shapes.wholeNumber(0).optional(),
    lastEventId,
    types: shapes.texts.optional(),
    categories: shapes.texts.optional(),
    tags: shapes.texts.optional(),
    format: format.optional(),
  }),
  headers,
  answers,
  errors: [409],
  handle: async ({ query }, context) => {
    const { store, limits } = context.parts
    const { after, lastEventId: seen, format: wanted, ...filter } = query
    const start = startOf({ after, lastEventId: seen }, context)
    const { safe, newest } = await store.positions({ timeoutMs: limits.timeoutMs })
    if (start !== undefined && start > newest) throw beyond(store.incarnation, start, newest)
    const from = start ?? safe
    return serve(() => logFeed(context.parts, from, filter), wanted === 'cloudevent', context)
  },
})

const streamFeedEndpoint = endpoint({
  method: 'get',
  path: '/v1/streams/{stream}/feed',
  tag: 'Feeds',
  summary: 'A stream as it grows',
  description: 'By version: `after` is the version of the last event that was handled.',
  role: 'read',
  params: shapes.streamParams,
  query: z.strictObject({
    after: shapes.wholeNumber(0).optional(),
    lastEventId,
    format: format.optional(),
  }),
  headers,
  answers,
  errors: [409, 410],
  handle: async ({ params, query }, context) => {
    const { store, limits } = context.parts
    const start = startOf(query, context)
    const info = await store.stream(params.stream, { timeoutMs: limits.timeoutMs })
    const version = info?.version ?? 0
    if (start !== undefined && start > version) throw beyond(store.incarnation, start, version)
    const from = start ?? version
    if (info !== undefined && from + 1 < info.firstVersion) {
      throw new StreamTruncatedError(params.stream, info.firstVersion)
    }
    const isCloud = query.format === 'cloudevent'
    return serve(() => streamFeed(context.parts, params.stream, from), isCloud, context)
  },
})

/** Live feeds. */
export const feedEndpoints: readonly Endpoint[] = [logFeedEndpoint, streamFeedEndpoint]
