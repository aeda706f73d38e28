import { z } from '@hono/zod-openapi'
import { CollectionReader, isEventualiError, type ProjectionStatus } from 'eventuali'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { Failure } from '../failure.ts'
import { json, type ServerParts } from '../parts.ts'
import * as shapes from '../shapes.ts'

/** The words of an error, for a status page; its stack is nobody's business. */
function shownStatus({ error, ...status }: ProjectionStatus): object {
  if (error === undefined) return status
  const code = isEventualiError(error) ? error.code : undefined
  return { ...status, error: { code, message: error instanceof Error ? error.message : 'failed' } }
}

/** The status of a projection, with the rebuild that this server runs or has run. */
export async function statusOf(
  { store, limits, rebuilds }: ServerParts,
  name: string,
): Promise<unknown> {
  const all = await store.projections.status({ timeoutMs: limits.timeoutMs })
  const found = all.find((one) => one.name === name)
  const rebuild = rebuilds.status(name)
  if (found !== undefined) return { ...shownStatus(found), ...(rebuild && { rebuild }) }
  throw new Failure('NOT_FOUND', `no projection ${JSON.stringify(name)} is known here`)
}

function readerOf({ store, options }: ServerParts, projection: string, collection: string) {
  const found = (options.projections ?? []).find(({ name }) => name === projection)
  if (found === undefined || !Object.hasOwn(found.collections, collection)) {
    throw new Failure('NOT_FOUND', `no collection ${projection}/${collection} is served here`)
  }
  return new CollectionReader<Record<string, unknown>>(store.port, projection, collection)
}

export const projectionParams = z.object({
  projection: z.string().min(1).max(255).openapi({ example: 'orders' }),
})
const collectionParams = projectionParams.extend({
  collection: z.string().min(1).max(255).openapi({ example: 'orders' }),
})

const rebuildStatus = z
  .looseObject({
    state: z.enum(['running', 'done', 'failed']),
    startedAt: z.string(),
    by: z.string(),
    done: z.int(),
    total: z.int(),
  })
  .openapi('RebuildStatus')

export const projectionStatus = z
  .looseObject({
    name: z.string(),
    version: z.int(),
    mode: z.string(),
    state: z.string(),
    position: z.int().optional(),
    lag: z.int().optional(),
    paused: z.boolean(),
    rebuild: rebuildStatus.optional(),
  })
  .openapi('ProjectionStatus')

const list = endpoint({
  method: 'get',
  path: '/v1/projections',
  tag: 'Projections',
  summary: 'How the projections of this program are',
  role: 'read',
  answers: {
    200: {
      description: 'One status each',
      schema: z.object({ projections: z.array(projectionStatus) }).openapi('Projections'),
    },
  },
  handle: async (_input, { parts }) => {
    const all = await parts.store.projections.status({ timeoutMs: parts.limits.timeoutMs })
    return json({ projections: all.map(shownStatus) })
  },
})

const show = endpoint({
  method: 'get',
  path: '/v1/projections/{projection}',
  tag: 'Projections',
  summary: 'How a projection is',
  role: 'read',
  params: projectionParams,
  answers: { 200: { description: 'Its status', schema: projectionStatus } },
  handle: async ({ params }, { parts }) => json(await statusOf(parts, params.projection)),
})

/** A query's JSON: conditions or an order, as `find` of the library takes them. */
function parsed(text: string | undefined, what: string): object | undefined {
  if (text === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value
  } catch {
    // Refused below: what is no JSON is no object either.
  }
  throw new Failure('REQUEST_INVALID', `${what} must be a JSON object`)
}

const document = z
  .object({ key: z.string(), document: shapes.anyJson, position: z.int() })
  .openapi('Document')

const find = endpoint({
  method: 'get',
  path: '/v1/projections/{projection}/collections/{collection}',
  tag: 'Projections',
  summary: 'Find documents',
  description:
    '`where` and `sort` are JSON, as `find` of the library takes them: `where={"total":{"gt":10}}`, `sort={"total":"desc"}`.',
  role: 'read',
  params: collectionParams,
  query: z.strictObject({
    where: z.string().max(4000).optional().openapi({ example: '{"total":{"gt":10}}' }),
    sort: z.string().max(1000).optional().openapi({ example: '{"total":"desc"}' }),
    limit: shapes.wholeNumber(1).optional(),
    offset: shapes.wholeNumber(0, 1_000_000).optional(),
  }),
  answers: {
    200: {
      description: 'The documents that meet the conditions',
      schema: z.object({ documents: z.array(document) }).openapi('Documents'),
    },
  },
  errors: [409],
  handle: async ({ params, query }, { parts, signal }) => {
    const reader = readerOf(parts, params.projection, params.collection)
    const { limits } = parts
    const documents = await reader.entries({
      where: parsed(query.where, 'where') as never,
      sort: parsed(query.sort, 'sort') as never,
      limit: Math.min(query.limit ?? 100, limits.pageCountMax),
      offset: query.offset,
      ...{ signal, timeoutMs: limits.timeoutMs },
    })
    return json({ documents })
  },
})

const get = endpoint({
  method: 'get',
  path: '/v1/projections/{projection}/collections/{collection}/{key}',
  tag: 'Projections',
  summary: 'One document',
  role: 'read',
  params: collectionParams.extend({
    key: z.string().min(1).max(2000).openapi({ example: 'order-42' }),
  }),
  answers: { 200: { description: 'The document', schema: shapes.anyJson } },
  errors: [409],
  handle: async ({ params }, { parts, signal }) => {
    const reader = readerOf(parts, params.projection, params.collection)
    const found = await reader.get(params.key, { signal, timeoutMs: parts.limits.timeoutMs })
    if (found !== undefined) return json(found)
    throw new Failure('NOT_FOUND', `there is no document ${JSON.stringify(params.key)}`)
  },
})

function control(what: 'pause' | 'resume', summary: string): Endpoint {
  return endpoint({
    method: 'post',
    path: `/v1/projections/{projection}/${what}`,
    tag: 'Projections',
    summary,
    role: 'admin',
    params: projectionParams,
    body: z.strictObject({}),
    isBodyOptional: true,
    answers: { 200: { description: 'Its status', schema: projectionStatus } },
    errors: [409, 413, 415],
    handle: async ({ params }, { parts, principal }) => {
      const { projection } = params
      await statusOf(parts, projection)
      await parts.store.projections[what](projection, { actor: principal.name })
      return json(await statusOf(parts, projection))
    },
  })
}

/** Read models. */
export const projectionEndpoints: readonly Endpoint[] = [
  list,
  show,
  find,
  get,
  control('pause', 'Hold an asynchronous projection in all processes'),
  control('resume', 'Let a projection go on'),
]
