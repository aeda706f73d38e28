import { z } from '@hono/zod-openapi'
import { type AppendResult, type EventInput, uuidV5 } from 'eventuali'
import { eventFromCloud } from '../cloud-events.ts'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { Failure } from '../failure.ts'
import { json, type RequestContext } from '../parts.ts'
import { assertSameLog, etagOf, expectedOf, idempotencyKeyOf } from '../positions.ts'
import * as shapes from '../shapes.ts'

const EVENTS_MAX = 10_000
const STREAMS_MAX = 1000

type GivenEvent = z.output<typeof shapes.eventInput>

function eventOf({ data = null, ...event }: GivenEvent): EventInput {
  return { ...event, data } as EventInput
}

/** With a key, each event has an id that follows from it: the same request again is a duplicate. */
function keyed(
  events: readonly EventInput[],
  stream: string,
  { request, principal }: RequestContext,
): readonly EventInput[] {
  const key = idempotencyKeyOf(request.headers)
  const actor = principal.name
  return events.map((event, index) => ({
    ...event,
    ...(key === undefined || event.id !== undefined
      ? {}
      : { id: uuidV5('idempotency-key', key, stream, index) }),
    ...(actor === 'anonymous' || event.metadata?.actor !== undefined
      ? {}
      : { metadata: { actor, ...event.metadata } }),
  }))
}

function appended(result: AppendResult, { parts }: RequestContext): Response {
  const headers = { etag: etagOf(parts.store.incarnation, result.version) }
  return json(result, result.duplicate === true ? 200 : 201, headers)
}

const appendToStream = endpoint({
  method: 'post',
  path: '/v1/streams/{stream}/events',
  tag: 'Streams',
  summary: 'Append events to a stream',
  description:
    'One event or many, all or none, durable before it answers. `If-Match` with the ETag of the stream (or its version in quotes) appends only when nobody else has; `If-None-Match: *` when there is no such stream yet. With `Idempotency-Key` the same request again changes nothing and answers 200. CloudEvents go to the stream in the path.',
  role: 'write',
  params: shapes.streamParams,
  query: z.strictObject({ recreate: shapes.flag.optional() }),
  body: z.union([shapes.eventInput, z.array(shapes.eventInput).min(1).max(EVENTS_MAX)]),
  otherBodies: {
    [shapes.mediaTypes.cloudEvent]: shapes.cloudEvent,
    [shapes.mediaTypes.cloudEvents]: z.array(shapes.cloudEvent).min(1).max(EVENTS_MAX),
  },
  headers: {
    'If-Match': 'ETag of the stream as the caller has seen it, or *',
    'If-None-Match': '*: the stream must not exist',
    'Idempotency-Key': 'Up to 200 characters; the same ones for the same append',
  },
  answers: {
    201: { description: 'Stored', schema: shapes.appendResult, headers: { ETag: 'Of the stream' } },
    200: { description: 'Stored before, with the same ids', schema: shapes.appendResult },
  },
  errors: [409, 412, 413, 415],
  handle: async ({ params, query, body, mediaType }, context) => {
    const { store, limits } = context.parts
    const given = Array.isArray(body) ? body : [body]
    const isOwn = mediaType === shapes.mediaTypes.json
    const events = isOwn ? given.map(eventOf) : given.map((one) => eventFromCloud(one))
    const { stream } = params
    const result = await store.append(stream, keyed(events, stream, context), {
      expectedVersion: expectedOf(context.request.headers, store.incarnation),
      recreate: query.recreate,
      timeoutMs: limits.timeoutMs,
    })
    return appended(result, context)
  },
})

const item = z.strictObject({
  types: z.array(z.string().min(1)).min(1).max(1000),
  tags: z.array(z.string().min(1)).max(100).optional(),
})

const multiAppend = z
  .strictObject({
    entries: z
      .array(
        z.strictObject({
          stream: z.string().min(1),
          events: z.array(shapes.eventInput).min(1).max(EVENTS_MAX),
          expectedVersion: shapes.expectedVersion.optional(),
          recreate: z.boolean().optional(),
        }),
      )
      .min(1)
      .max(STREAMS_MAX),
    condition: z
      .strictObject({
        query: z.array(item).min(1).max(100),
        position: z.int().min(0),
        incarnation: z.string().optional(),
      })
      .optional()
      .openapi({
        description:
          'Fails (409) when an event that any item matches has arrived after the position.',
      }),
  })
  .openapi('MultiAppend')

const appendToMany = endpoint({
  method: 'post',
  path: '/v1/append',
  tag: 'Streams',
  summary: 'Append to several streams in one transaction',
  description:
    'Each stream is named once; all of it is stored or nothing. A batch of CloudEvents goes to the streams that their `subject` names, or their `source` where there is none.',
  role: 'write',
  body: multiAppend,
  otherBodies: {
    [shapes.mediaTypes.cloudEvents]: z.array(shapes.cloudEvent).min(1).max(EVENTS_MAX),
  },
  headers: { 'Idempotency-Key': 'Up to 200 characters; the same ones for the same append' },
  answers: {
    201: {
      description: 'Stored',
      schema: z.object({ results: z.array(shapes.appendResult) }).openapi('AppendResults'),
    },
    200: { description: 'Stored before, with the same ids' },
  },
  errors: [409, 413, 415],
  handle: async ({ body, mediaType }, context) => {
    const { store, limits } = context.parts
    const isOwn = mediaType === shapes.mediaTypes.json
    const request = isOwn
      ? body
      : fromCloudEvents(body as unknown as z.output<typeof shapes.cloudEvent>[])
    const { entries, condition } = request as z.output<typeof multiAppend>
    if (condition?.incarnation !== undefined) {
      assertSameLog({ incarnation: condition.incarnation }, store.incarnation)
    }
    const results = await store.appendAll(
      entries.map(({ events, ...entry }) => ({
        ...entry,
        events: keyed(
          isOwn ? events.map(eventOf) : (events as unknown as readonly EventInput[]),
          entry.stream,
          context,
        ),
      })),
      {
        timeoutMs: limits.timeoutMs,
        condition: condition && {
          position: condition.position,
          query: condition.query.map(({ types, tags = [] }) => ({ types, tags })),
        },
      },
    )
    const isKnown = results.every(({ duplicate }) => duplicate === true)
    return json({ results }, isKnown ? 200 : 201)
  },
})

/** Events by the streams that they name, in their order. */
function fromCloudEvents(events: readonly z.output<typeof shapes.cloudEvent>[]): {
  readonly entries: readonly { readonly stream: string; readonly events: readonly EventInput[] }[]
} {
  const streams = new Map<string, EventInput[]>()
  for (const cloud of events) {
    const stream = cloud.subject ?? cloud.source
    const held = streams.get(stream)
    if (held === undefined) streams.set(stream, [eventFromCloud(cloud)])
    else held.push(eventFromCloud(cloud))
  }
  if (streams.size > STREAMS_MAX) {
    throw new Failure('REQUEST_INVALID', `the batch names more than ${STREAMS_MAX} streams`)
  }
  return { entries: [...streams].map(([stream, list]) => ({ stream, events: list })) }
}

/** Writing to the log. */
export const appendEndpoints: readonly Endpoint[] = [appendToStream, appendToMany]
