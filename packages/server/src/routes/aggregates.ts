import { z } from '@hono/zod-openapi'
import type { ExecuteOptions, ExecuteResult, Loaded } from 'eventuali'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { Failure } from '../failure.ts'
import type { ServedAggregate } from '../options.ts'
import { json, type ServerParts } from '../parts.ts'
import { etagOf, expectedOf, idempotencyKeyOf } from '../positions.ts'
import * as shapes from '../shapes.ts'

const HANDLER = /^on[A-Z]/

/** The name that an aggregate's streams begin with. */
function nameOf(aggregate: ServedAggregate): string {
  return typeof aggregate === 'function' ? aggregate.aggregateName : aggregate.name
}

/** The commands that may be called by name. */
function commandsOf(aggregate: ServedAggregate): readonly string[] {
  if (typeof aggregate !== 'function') return Object.keys(aggregate.commands as object).sort()
  const names = new Set<string>()
  let at: object | null = aggregate.prototype
  // Up to the library's own class, whose members are no commands.
  while (at !== null && Object.getPrototypeOf(Object.getPrototypeOf(at)) !== null) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      const isMethod = typeof value === 'function' && name !== 'constructor'
      if (isMethod && !HANDLER.test(name)) names.add(name)
    }
    at = Object.getPrototypeOf(at)
  }
  return [...names].sort()
}

/** What is done with an aggregate, whatever its types. */
interface AnyRepository {
  load(id: string, options: object): Promise<unknown>
  execute(
    id: string,
    command: string,
    input: unknown,
    options: ExecuteOptions,
  ): Promise<ExecuteResult>
}

/** The aggregate of a name. Throws Failure NOT_FOUND. */
export function aggregateOf({ options }: ServerParts, name: string): ServedAggregate {
  const aggregate = (options.aggregates ?? []).find((one) => nameOf(one) === name)
  if (aggregate !== undefined) return aggregate
  throw new Failure('NOT_FOUND', `no aggregate ${JSON.stringify(name)} is served here`)
}

function repositoryOf(parts: ServerParts, name: string) {
  const aggregate = aggregateOf(parts, name)
  const repository = parts.store.aggregate(aggregate as never) as unknown as AnyRepository
  return { aggregate, repository, isClass: typeof aggregate === 'function' }
}

export const aggregateParams = z.object({
  aggregate: z.string().min(1).max(255).openapi({ example: 'order' }),
  id: z.string().min(1).max(200).openapi({ example: '42' }),
})

const listAggregates = endpoint({
  method: 'get',
  path: '/v1/aggregates',
  tag: 'Aggregates',
  summary: 'The aggregates that are served, and their commands',
  role: 'read',
  answers: {
    200: {
      description: 'Names',
      schema: z
        .object({
          aggregates: z.array(z.object({ name: z.string(), commands: z.array(z.string()) })),
        })
        .openapi('Aggregates'),
    },
  },
  handle: async (_input, { parts }) => {
    const aggregates = (parts.options.aggregates ?? []).map((aggregate) => ({
      name: nameOf(aggregate),
      commands: commandsOf(aggregate),
    }))
    return json({ aggregates })
  },
})

const showAggregate = endpoint({
  method: 'get',
  path: '/v1/aggregates/{aggregate}/{id}',
  tag: 'Aggregates',
  summary: 'The state of an aggregate, now or as it was',
  description:
    'Folded from its stream. Of an aggregate that is a class, the public fields are its state.',
  role: 'read',
  params: aggregateParams,
  query: z.strictObject({
    version: shapes.wholeNumber(1).optional(),
    position: shapes.wholeNumber(0).optional(),
    at: shapes.moment.optional(),
    by: shapes.byTime.optional(),
  }),
  answers: {
    200: {
      description: 'State and version',
      schema: z
        .object({ stream: z.string(), version: z.int(), state: shapes.anyJson })
        .openapi('AggregateState'),
      headers: { ETag: 'For If-Match of a command' },
    },
  },
  errors: [409, 410],
  handle: async ({ params, query }, { parts, signal }) => {
    const { store, limits } = parts
    const { repository, isClass } = repositoryOf(parts, params.aggregate)
    const bounds = { signal, timeoutMs: limits.timeoutMs }
    const loaded = await repository.load(params.id, { ...query, ...bounds })
    const { version } = loaded as { readonly version: number }
    const state = isClass ? loaded : (loaded as Loaded<unknown>).state
    const stream = `${params.aggregate}-${params.id}`
    if (version === 0) throw new Failure('NOT_FOUND', `there is no ${stream}`)
    return json({ stream, version, state }, 200, { etag: etagOf(store.incarnation, version) })
  },
})

const execute = endpoint({
  method: 'post',
  path: '/v1/aggregates/{aggregate}/{id}/commands/{command}',
  tag: 'Aggregates',
  summary: 'Run a command',
  description:
    'Loads, decides and appends, again on a conflict (not with `If-Match`). With an `Idempotency-Key` the same command again gives the first result.',
  role: 'write',
  params: aggregateParams.extend({
    command: z.string().min(1).max(255).openapi({ example: 'place' }),
  }),
  body: z.strictObject({ input: shapes.anyJson.optional() }),
  isBodyOptional: true,
  headers: {
    'If-Match': 'ETag of the aggregate as the caller has seen it',
    'If-None-Match': '*: it must not exist',
    'Idempotency-Key': 'Up to 200 characters; the same ones for the same command',
  },
  answers: {
    200: {
      description: 'What the command gave',
      schema: z
        .object({
          stream: z.string(),
          version: z.int(),
          position: z.int().optional(),
          events: z.array(shapes.recordedEvent),
          duplicate: z.literal(true).optional(),
        })
        .openapi('CommandResult'),
      headers: { ETag: 'Of the aggregate' },
    },
  },
  errors: [409, 410, 412, 413, 415],
  handle: async ({ params, body }, { parts, request, principal }) => {
    const { store, limits } = parts
    const { aggregate, repository } = repositoryOf(parts, params.aggregate)
    if (!commandsOf(aggregate).includes(params.command)) {
      throw new Failure('NOT_FOUND', `${params.aggregate} has no command ${params.command}`)
    }
    const result = await repository.execute(params.id, params.command, body.input, {
      commandId: idempotencyKeyOf(request.headers),
      expectedVersion: expectedOf(request.headers, store.incarnation),
      metadata: principal.name === 'anonymous' ? undefined : { actor: principal.name },
      timeoutMs: limits.timeoutMs,
    })
    return json(result, 200, { etag: etagOf(store.incarnation, result.version) })
  },
})

/** States and commands. */
export const aggregateEndpoints: readonly Endpoint[] = [listAggregates, showAggregate, execute]
