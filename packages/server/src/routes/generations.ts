import { z } from '@hono/zod-openapi'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { Failure } from '../failure.ts'
import { json } from '../parts.ts'
import * as shapes from '../shapes.ts'
import { projectionParams, projectionStatus, statusOf } from './projections.ts'

const tag = 'Projections'
const params = projectionParams
const changed = { 200: { description: 'Its status', schema: projectionStatus } }

const rebuild = endpoint({
  ...{ method: 'post', path: '/v1/projections/{projection}/rebuild', tag },
  summary: 'Build a projection anew, without downtime',
  description:
    'Begins it on this server and answers at once; the status tells how far it is and how it has ended. Readers see the old generation until the new one is complete and, where that is asked for, equal. The old one is kept, see `rollback`. One that is running already goes on.',
  role: 'admin',
  params,
  body: z.strictObject({
    compare: z.boolean().optional(),
    requireEqual: z.boolean().optional(),
    onError: z.enum(['fail', 'skip']).optional(),
  }),
  isBodyOptional: true,
  answers: {
    202: {
      description: 'Its status, with `rebuild`',
      schema: projectionStatus,
      headers: { Location: 'Where the status is' },
    },
  },
  errors: [409, 413, 415],
  handle: async ({ params: { projection }, body }, { parts, principal }) => {
    await statusOf(parts, projection)
    parts.rebuilds.start(projection, body, principal.name)
    // Relative to this path, whatever the server is mounted at.
    return json(await statusOf(parts, projection), 202, { location: '.' })
  },
})

const cancel = endpoint({
  ...{ method: 'delete', path: '/v1/projections/{projection}/rebuild', tag },
  summary: 'Give a rebuild up that this server runs',
  description: 'The old generation stays live. 404 when none is running.',
  role: 'admin',
  params,
  answers: changed,
  errors: [409],
  handle: async ({ params: { projection } }, { parts }) => {
    await statusOf(parts, projection)
    if (!(await parts.rebuilds.cancel(projection))) {
      throw new Failure('NOT_FOUND', `no rebuild of ${projection} is running here`)
    }
    return json(await statusOf(parts, projection))
  },
})

const switchTo = endpoint({
  ...{ method: 'post', path: '/v1/projections/{projection}/switch', tag },
  summary: 'Make a kept generation the live one, by its number',
  role: 'admin',
  params,
  body: z.strictObject({ generation: z.int().min(1) }),
  answers: changed,
  errors: [409, 413, 415],
  handle: async (
    { params: { projection }, body: { generation } },
    { parts, principal, signal },
  ) => {
    await statusOf(parts, projection)
    const options = { actor: principal.name, signal, timeoutMs: parts.limits.timeoutMs }
    await parts.store.projections.switchTo(projection, generation, options)
    return json(await statusOf(parts, projection))
  },
})

const rollback = endpoint({
  ...{ method: 'post', path: '/v1/projections/{projection}/rollback', tag },
  summary: 'Make the generation live again that was live before',
  role: 'admin',
  params,
  body: z.strictObject({}),
  isBodyOptional: true,
  answers: changed,
  errors: [409, 413, 415],
  handle: async ({ params: { projection } }, { parts, principal, signal }) => {
    await statusOf(parts, projection)
    const options = { actor: principal.name, signal, timeoutMs: parts.limits.timeoutMs }
    await parts.store.projections.rollback(projection, options)
    return json(await statusOf(parts, projection))
  },
})

const side = z.looseObject({ generation: z.int(), version: z.int(), position: z.int() })

const compare = endpoint({
  ...{ method: 'get', path: '/v1/projections/{projection}/comparison', tag },
  summary: 'What differs between the live generation and the one beside it',
  description: 'Waits up to five seconds for both to stand at one position.',
  role: 'read',
  params,
  answers: {
    200: {
      description: 'Counts, and the first differences',
      schema: z
        .looseObject({
          ...{ old: side, new: side, equal: z.boolean(), samePosition: z.boolean() },
          ...{ same: z.int(), onlyOld: z.int(), onlyNew: z.int(), different: z.int() },
          rows: z.array(shapes.anyJson),
        })
        .openapi('Comparison'),
    },
  },
  errors: [409],
  handle: async ({ params: { projection } }, { parts, signal }) => {
    await statusOf(parts, projection)
    return json(await parts.store.projections.compare(projection, { signal }))
  },
})

/** Generations of projections. */
export const generationEndpoints: readonly Endpoint[] = [
  ...[rebuild, cancel, switchTo, rollback, compare],
]
