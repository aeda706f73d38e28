import { z } from '@hono/zod-openapi'
import { nameLengthMax, type StreamInfo } from 'eventuali'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { Failure } from '../failure.ts'
import { collectEvents, eventsResponse } from '../pages.ts'
import { json, type RequestContext } from '../parts.ts'
import { cursorOf, etagOf, expectedOf, placeOf } from '../positions.ts'
import * as shapes from '../shapes.ts'

async function streamOf(name: string, { parts, signal }: RequestContext): Promise<StreamInfo> {
  const info = await parts.store.stream(name, { signal, timeoutMs: parts.limits.timeoutMs })
  if (info !== undefined) return info
  throw new Failure('NOT_FOUND', `there is no stream ${JSON.stringify(name)}`)
}

const listStreams = endpoint({
  method: 'get',
  path: '/v1/streams',
  tag: 'Streams',
  summary: 'The streams that exist, by name',
  role: 'read',
  query: z.strictObject({
    prefix: z.string().max(nameLengthMax).optional(),
    category: z.string().max(nameLengthMax).optional(),
    limit: shapes.wholeNumber(1).optional(),
    cursor: shapes.cursor.optional(),
  }),
  answers: {
    200: {
      description: 'A page',
      schema: z
        .object({ streams: z.array(shapes.streamInfo), next: z.string().optional() })
        .openapi('StreamPage'),
    },
  },
  errors: [409],
  handle: async ({ query }, { parts, signal }) => {
    const { store, limits } = parts
    const { prefix, category } = query
    const limit = Math.min(query.limit ?? 100, limits.pageCountMax)
    const after =
      query.cursor === undefined
        ? undefined
        : String(placeOf(query.cursor, store.incarnation, 'string').at)
    const streams: StreamInfo[] = []
    const asked = { prefix: wellFormed(prefix), category: wellFormed(category), limit, after }
    const bounds = { signal, timeoutMs: limits.timeoutMs }
    for await (const page of store.port.streams(asked, bounds)) streams.push(...page)
    const last = streams.at(-1)
    const isCut = last !== undefined && streams.length >= limit
    return json({
      streams,
      ...(isCut ? { next: cursorOf(store.incarnation, last.stream) } : {}),
    })
  },
})

/** Names hold no half of a surrogate pair, and stores differ in what begins with one. */
function wellFormed(text: string | undefined): string | undefined {
  if (text === undefined || (text.isWellFormed() && !text.includes('\u0000'))) return text
  throw new Failure('REQUEST_INVALID', 'a prefix or category holds what no name does')
}

const showStream = endpoint({
  method: 'get',
  path: '/v1/streams/{stream}',
  tag: 'Streams',
  summary: 'What is known of one stream',
  role: 'read',
  params: shapes.streamParams,
  answers: {
    200: {
      description: 'Its version, count, state and times',
      schema: shapes.streamInfo,
      headers: { ETag: 'For If-Match of an append' },
    },
  },
  handle: async ({ params }, context) => {
    const info = await streamOf(params.stream, context)
    return json(info, 200, { etag: etagOf(context.parts.store.incarnation, info.version) })
  },
})

const readStream = endpoint({
  method: 'get',
  path: '/v1/streams/{stream}/events',
  tag: 'Streams',
  summary: 'The events of a stream',
  description:
    'By version. With `Accept: application/cloudevents-batch+json` as a batch of CloudEvents, and the next page in the Link header.',
  role: 'read',
  params: shapes.streamParams,
  query: z.strictObject({
    from: shapes.wholeNumber(1).optional(),
    to: shapes.wholeNumber(0).optional(),
    limit: shapes.wholeNumber(1).optional(),
    direction: shapes.direction.optional(),
    asOf: shapes.moment.optional(),
    by: shapes.byTime.optional(),
    cursor: shapes.cursor.optional(),
  }),
  answers: {
    200: {
      description: 'A page',
      schema: shapes.eventPage,
      mediaTypes: ['application/json', shapes.mediaTypes.cloudEvents],
      headers: { ETag: 'Of the stream, for If-Match of an append', Link: 'To the next page' },
    },
  },
  errors: [409, 410],
  handle: async ({ params, query }, context) => {
    const { store, limits } = context.parts
    const { cursor, ...options } = query
    const info = await streamOf(params.stream, context)
    const limit = Math.min(query.limit ?? 100, limits.pageCountMax)
    const at =
      cursor === undefined ? undefined : Number(placeOf(cursor, store.incarnation, 'number').at)
    const isBackward = query.direction === 'backward'
    const place = at === undefined ? {} : isBackward ? { to: at } : { from: at }
    const { signal } = context
    const bounds = { signal, timeoutMs: limits.timeoutMs }
    const page = await collectEvents(
      (count) => store.readStream(params.stream, { ...options, ...place, ...bounds, limit: count }),
      limit,
      context,
    )
    const version = page.last?.version
    const next =
      page.isCut && version !== undefined && !(isBackward && version <= info.firstVersion)
        ? cursorOf(store.incarnation, isBackward ? version - 1 : version + 1)
        : undefined
    return eventsResponse(page, next, context, { etag: etagOf(store.incarnation, info.version) })
  },
})

const lifecycleAnswers = {
  200: { description: 'Done, with the event that tells of it', schema: shapes.appendResult },
}

/** What a change of a stream's state is given: who, why, and on which version. */
async function lifecycle(
  stream: string,
  reason: string | undefined,
  context: RequestContext,
): Promise<{
  readonly actor: string
  readonly reason?: string
  readonly timeoutMs: number
  readonly expectedVersion?: number | 'exists'
}> {
  const { parts, principal, request } = context
  await streamOf(stream, context)
  const expectedVersion = expectedOf(request.headers, parts.store.incarnation)
  return {
    actor: principal.name,
    timeoutMs: parts.limits.timeoutMs,
    ...(reason === undefined ? {} : { reason }),
    ...(expectedVersion === undefined ? {} : { expectedVersion }),
  }
}

const headers = { 'If-Match': 'ETag of the stream as the caller has seen it' }

const archive = endpoint({
  method: 'post',
  path: '/v1/streams/{stream}/archive',
  tag: 'Streams',
  summary: 'Make a stream read-only, or undo it',
  role: 'admin',
  params: shapes.streamParams,
  body: shapes.byHand.extend({ undo: z.boolean().optional() }),
  isBodyOptional: true,
  headers,
  answers: lifecycleAnswers,
  errors: [409, 412, 413, 415],
  handle: async ({ params, body }, context) => {
    const options = await lifecycle(params.stream, body.reason, context)
    const undo = body.undo === true
    return json(await context.parts.store.archive(params.stream, { ...options, undo }))
  },
})

const truncate = endpoint({
  method: 'post',
  path: '/v1/streams/{stream}/truncate',
  tag: 'Streams',
  summary: 'Remove the versions below one',
  role: 'admin',
  params: shapes.streamParams,
  body: shapes.byHand.extend({ before: z.int().min(1) }),
  headers,
  answers: lifecycleAnswers,
  errors: [409, 412, 413, 415],
  handle: async ({ params, body }, context) => {
    const options = await lifecycle(params.stream, body.reason, context)
    const { before } = body
    return json(await context.parts.store.truncate(params.stream, { ...options, before }))
  },
})

const remove = endpoint({
  method: 'delete',
  path: '/v1/streams/{stream}',
  tag: 'Streams',
  summary: 'Remove all events of a stream',
  description: 'Only an append with `recreate=true` goes on with it.',
  role: 'admin',
  params: shapes.streamParams,
  query: z.strictObject({ reason: z.string().min(1).max(1000).optional() }),
  headers,
  answers: lifecycleAnswers,
  errors: [409, 412],
  handle: async ({ params, query }, context) => {
    const options = await lifecycle(params.stream, query.reason, context)
    return json(await context.parts.store.deleteStream(params.stream, options))
  },
})

/** Streams: what there is, and the end of them. */
export const streamEndpoints: readonly Endpoint[] = [
  listStreams,
  showStream,
  readStream,
  archive,
  truncate,
  remove,
]
