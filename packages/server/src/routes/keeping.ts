import { z } from '@hono/zod-openapi'
import { defineEvents, event, type SchemaSource } from 'eventuali'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { Failure } from '../failure.ts'
import { json } from '../parts.ts'
import * as shapes from '../shapes.ts'
import { aggregateOf, aggregateParams } from './aggregates.ts'

const snapshot = z
  .looseObject({ stream: z.string(), version: z.int(), position: z.int(), takenAt: z.string() })
  .openapi('Snapshot')

const snapshots = endpoint({
  method: 'get',
  path: '/v1/streams/{stream}/snapshots',
  tag: 'Snapshots',
  summary: 'The kept states of a stream',
  description: 'Without the states. 501 where the program keeps none.',
  role: 'read',
  params: shapes.streamParams,
  answers: {
    200: {
      description: 'The one that loads try first in front',
      schema: z.object({ snapshots: z.array(snapshot) }).openapi('Snapshots'),
    },
  },
  errors: [501],
  handle: async ({ params }, { parts, signal }) => {
    const { timeoutMs } = parts.limits
    const found = await parts.store.snapshots.list(params.stream, { signal, timeoutMs })
    return json({ snapshots: found })
  },
})

const dropped = z.object({ dropped: z.int() }).openapi('DroppedSnapshots')

const drop = endpoint({
  method: 'delete',
  path: '/v1/streams/{stream}/snapshots',
  tag: 'Snapshots',
  summary: 'Drop the kept states of a stream',
  description: 'Loads take longer then, and nothing else changes.',
  role: 'admin',
  params: shapes.streamParams,
  answers: {
    200: {
      description: 'How many there were',
      schema: dropped,
    },
  },
  errors: [501],
  handle: async ({ params }, { parts }) =>
    json({ dropped: await parts.store.snapshots.drop(params.stream) }),
})

const page = endpoint({
  method: 'get',
  path: '/v1/snapshots',
  tag: 'Snapshots',
  summary: 'The kept states of all streams',
  role: 'read',
  query: z.strictObject({
    prefix: z.string().max(255).optional(),
    after: z.string().max(255).optional(),
    limit: shapes.wholeNumber(1).optional(),
  }),
  answers: {
    200: {
      description: 'By stream; go on with the last stream as `after`',
      schema: z.object({ snapshots: z.array(snapshot) }),
    },
  },
  errors: [501],
  handle: async ({ query }, { parts, signal }) => {
    const { timeoutMs, pageCountMax } = parts.limits
    const asked = { ...query, limit: Math.min(query.limit ?? 100, pageCountMax) }
    return json({ snapshots: await parts.store.snapshots.page(asked, { signal, timeoutMs }) })
  },
})

const take = endpoint({
  method: 'post',
  path: '/v1/aggregates/{aggregate}/{id}/snapshots',
  tag: 'Snapshots',
  summary: 'Keep the state of an aggregate now',
  description: 'Whatever the rules say. 404 when there is nothing to keep.',
  role: 'admin',
  params: aggregateParams,
  body: z.strictObject({}),
  isBodyOptional: true,
  answers: { 201: { description: 'What is kept', schema: snapshot } },
  errors: [409, 410, 413, 415, 501],
  handle: async ({ params: { aggregate: name, id } }, { parts }) => {
    const { snapshots } = parts.store
    const kept = await snapshots.take(aggregateOf(parts, name) as never, id)
    if (kept !== undefined) return json(kept, 201)
    const { problem } = snapshots.stats
    const why = problem instanceof Error ? problem.message : 'it has no events, or keeps no states'
    throw new Failure('NOT_FOUND', `nothing is kept of ${name}-${id}: ${why}`)
  },
})

const prune = endpoint({
  method: 'delete',
  path: '/v1/snapshots',
  tag: 'Snapshots',
  summary: 'Drop the kept states of all streams',
  description: 'Loads take longer until they are kept anew, and nothing else changes.',
  role: 'admin',
  query: z.strictObject({ all: z.literal('true').openapi({ description: 'That it is meant.' }) }),
  answers: { 200: { description: 'How many there were', schema: dropped } },
  errors: [501],
  handle: async (_input, { parts }) => json({ dropped: await parts.store.snapshots.drop() }),
})

const registered = z
  .looseObject({
    type: z.string(),
    version: z.int(),
    schema: shapes.anyJson.optional(),
    hash: z.string(),
    registeredAt: z.string(),
    position: z.int(),
  })
  .openapi('RegisteredSchema')

const schemas = endpoint({
  method: 'get',
  path: '/v1/schemas',
  tag: 'Schemas',
  summary: 'The schemas that programs have registered',
  role: 'read',
  query: z.strictObject({ type: z.string().min(1).max(255).optional() }),
  answers: {
    200: {
      description: 'By type, in the order in which they came',
      schema: z.object({ schemas: z.array(registered) }).openapi('Schemas'),
    },
  },
  handle: async ({ query: { type } }, { parts, signal }) => {
    const { timeoutMs } = parts.limits
    const asked = type === undefined ? {} : { type }
    const found = await parts.store.schemas.registered({ ...asked, signal, timeoutMs })
    return json({ schemas: found })
  },
})

/** A schema that somebody has written: what a validator of the library would say of itself. */
function sourceOf({ type, version, schema }: z.output<typeof written>): SchemaSource {
  const jsonSchema = { input: () => schema, output: () => schema }
  const props = { version: 1, vendor: 'json-schema', validate: (value: unknown) => ({ value }) }
  const validator = { '~standard': { ...props, jsonSchema } }
  try {
    return defineEvents({ [type]: event(validator as never, { version }) }) as never
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'it is none'
    throw new Failure('REQUEST_INVALID', `${JSON.stringify(type)} is no type: ${why}`, { cause })
  }
}

const written = z
  .strictObject({
    type: z.string().min(1).max(255).openapi({ example: 'OrderPlaced' }),
    version: z.int().min(1).max(1_000_000),
    schema: z.record(z.string(), shapes.anyJson),
  })
  .openapi('WrittenSchema')

const register = endpoint({
  method: 'post',
  path: '/v1/schemas',
  tag: 'Schemas',
  summary: 'Register schemas',
  description:
    'JSON Schemas of types that programs in other languages write; without any, those of the aggregates that are served. It remembers them and judges nothing: `eventuali schema check` compares them with definitions.',
  role: 'admin',
  body: z.strictObject({ schemas: z.array(written).min(1).max(100).optional() }),
  isBodyOptional: true,
  answers: {
    200: {
      description: 'How many were not known yet',
      schema: z.object({ registered: z.int() }).openapi('RegisteredCount'),
    },
  },
  errors: [409, 413, 415],
  handle: async ({ body: { schemas: given } }, { parts, signal }) => {
    const { store, options, limits } = parts
    const served = (options.aggregates ?? []) as readonly unknown[] as readonly SchemaSource[]
    const sources = given?.map(sourceOf) ?? served
    const bounds = { signal, timeoutMs: limits.timeoutMs }
    let count = 0
    // One by one: several versions of a type may be among them.
    for (const source of sources) count += await store.schemas.register([source], bounds)
    return json({ registered: count })
  },
})

/** Kept states and registered schemas. */
export const keepingEndpoints: readonly Endpoint[] = [
  ...[snapshots, drop, page, prune, take, schemas, register],
]
