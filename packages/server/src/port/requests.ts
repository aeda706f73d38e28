import { z } from '@hono/zod-openapi'
import { eventBytesMax } from 'eventuali'

// What clients of the store's port send. Looser than the public endpoints: a store answers for odd
// names by finding nothing, and what it relies on is checked by assertAppendRequest.

const whole = z.int().min(0)
const text = z.string().max(10_000)
const texts = z.array(text).max(100_000)
const moment = z.number().min(-8.64e15).max(8.64e15)
const json = z.unknown()

const newEvent = z.strictObject({
  id: z.string(),
  idGiven: z.boolean(),
  type: z.string(),
  data: json,
  metadata: z.record(z.string(), json),
  time: z.number(),
  schemaVersion: z.number(),
  tags: z.array(z.string()).max(eventBytesMax),
})

const change = z.union([
  z.strictObject({ kind: z.enum(['archive', 'unarchive', 'delete']) }),
  z.strictObject({ kind: z.literal('truncate'), before: z.number() }),
])

const item = z.strictObject({ types: texts, tags: texts })

const append = z.strictObject({
  entries: z.array(
    z.strictObject({
      stream: z.string(),
      expectedVersion: z.union([z.number(), z.enum(['any', 'exists'])]),
      events: z.array(newEvent),
      recreate: z.boolean().optional(),
      change: change.optional(),
      ordinals: z.array(z.number()).optional(),
    }),
  ),
  condition: z.strictObject({ query: z.array(item), position: z.number() }).optional(),
  inline: z.array(z.object({ name: text, version: z.number() })).optional(),
})

const direction = z.enum(['forward', 'backward'])

const readStream = z.strictObject({
  stream: text,
  from: z.number().optional(),
  to: z.number().optional(),
  limit: whole.optional(),
  direction,
  asOf: z.strictObject({ at: moment, by: z.enum(['time', 'recordedAt']) }).optional(),
})

const readLog = z.strictObject({
  after: z.number().optional(),
  before: z.number().optional(),
  since: moment.optional(),
  until: moment.optional(),
  by: z.enum(['time', 'recordedAt']).optional(),
  types: texts.optional(),
  categories: texts.optional(),
  tags: texts.optional(),
  query: z.array(item).optional(),
  limit: whole.optional(),
  direction,
  includeArchived: z.boolean().optional(),
  upTo: z.number(),
  pageSize: z.int().min(1).optional(),
  isFollowing: z.boolean().optional(),
})

const keys = z.strictObject({ kind: text, keys: texts })
const tableKeys = z.strictObject({ table: text, keys: texts })
const filter = z.strictObject({
  path: z.array(text).max(100),
  operator: z.enum(['eq', 'ne', 'lt', 'lte', 'gt', 'gte', 'in', 'prefix', 'exists']),
  value: json,
})

const limited = z.int().min(0).max(100_000)

/** Inputs by the name of the call. */
export const requests = {
  append,
  'read-stream': readStream,
  'read-log': readLog,
  'event-by-id': z.strictObject({ stream: text, id: text }),
  stream: z.strictObject({ stream: text }),
  streams: z.strictObject({
    prefix: text.optional(),
    category: text.optional(),
    limit: whole.optional(),
    after: text.optional(),
  }),
  positions: z.strictObject({ publish: z.boolean().optional() }),
  settings: z.strictObject({}),
  faults: z.strictObject({}),
  'inline.list': z.strictObject({}),
  'records.get': keys,
  'records.list': z.strictObject({
    kind: text,
    prefix: text.optional(),
    after: text.optional(),
    state: text.optional(),
    dueUpTo: z.number().optional(),
    limit: limited,
  }),
  'models.get': tableKeys,
  'models.find': z.strictObject({
    table: text,
    query: z.strictObject({
      filters: z.array(filter).max(1000),
      sort: z.array(z.strictObject({ path: z.array(text).max(100), descending: z.boolean() })),
      limit: whole.optional(),
      offset: whole.optional(),
    }),
  }),
  'models.count': z.strictObject({ table: text, filters: z.array(filter).max(1000) }),
  'models.rows': z.strictObject({ table: text, after: text.optional(), limit: limited }),
  // Only in transactions.
  'records.lock': keys,
  'records.write': z.strictObject({
    changes: z
      .array(
        z.strictObject({
          kind: text,
          key: text,
          expected: z.union([whole, z.literal('any')]),
          value: json.optional(),
          state: text.optional(),
          due: z.number().optional(),
        }),
      )
      .max(100_000),
  }),
  'models.create': z.strictObject({
    name: text,
    shape: z.union([
      z.strictObject({
        kind: z.literal('documents'),
        indexes: z.array(
          z.strictObject({ path: z.array(text), type: z.enum(['text', 'number', 'boolean']) }),
        ),
      }),
      z.strictObject({ kind: z.literal('sql'), create: texts }),
    ]),
  }),
  'models.drop': z.strictObject({ table: text }),
  'models.publish': z.strictObject({ view: text, table: text }),
  'models.unpublish': z.strictObject({ view: text }),
  'models.put': z.strictObject({
    table: text,
    documents: z.array(z.strictObject({ key: text, value: json, position: whole })).max(100_000),
  }),
  'models.remove': tableKeys,
  'models.lock': tableKeys,
  'inline.register': z.strictObject({ name: text, version: z.number(), types: texts }),
  'inline.unregister': z.strictObject({ name: text }),
  'newest-position': z.strictObject({}),
  barrier: z.strictObject({}),
  recode: z.strictObject({
    codec: z.record(z.string(), json),
    after: whole,
    upTo: whole,
    countMax: z.int().min(1).max(100_000),
  }),
} as const

export type Requests = typeof requests
export type CallName = keyof Requests
export type InputOf<N extends CallName> = z.output<Requests[N]>

/** Bounds that come with a call. */
export const callOptions = z.strictObject({
  timeoutMs: z.number().positive().optional(),
  fresh: z
    .union([
      z.literal('primary'),
      z.strictObject({ position: whole.optional(), withinMs: z.number().min(0).nullish() }),
    ])
    .optional(),
})
