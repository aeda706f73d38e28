import { z } from '@hono/zod-openapi'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { json } from '../parts.ts'
import * as shapes from '../shapes.ts'

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
      schema: z.object({ dropped: z.int() }).openapi('DroppedSnapshots'),
    },
  },
  errors: [501],
  handle: async ({ params }, { parts }) =>
    json({ dropped: await parts.store.snapshots.drop(params.stream) }),
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

/** Kept states and registered schemas. */
export const keepingEndpoints: readonly Endpoint[] = [snapshots, drop, schemas]
