import { z } from '@hono/zod-openapi'
import { nameLengthMax } from 'eventuali'

// What goes over the wire, for the checks and for the document. Each is written once.

const JSON_NOTE = 'Any JSON.'

/** A whole number in a query or path. */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER) {
  return z
    .string()
    .transform((text, context) => {
      const value = text.trim() === '' ? Number.NaN : Number(text)
      if (Number.isSafeInteger(value) && value >= least && value <= most) return value
      context.addIssue({
        code: 'custom',
        message: `must be a whole number from ${least} to ${most}`,
      })
      return z.NEVER
    })
    .openapi({ type: 'integer', minimum: least, maximum: most, format: 'int64' })
}

/** A moment, as RFC 3339 has it. */
export const moment = z
  .string()
  .transform((text, context) => {
    const time = /^\d{4}-\d\d-\d\d[Tt ]/.test(text) ? new Date(text) : new Date(Number.NaN)
    if (!Number.isNaN(time.getTime())) return time
    context.addIssue({ code: 'custom', message: 'must be a moment: 2026-01-31T10:15:00Z' })
    return z.NEVER
  })
  .openapi({ type: 'string', format: 'date-time' })

/** A yes or no in a query. */
export const flag = z
  .enum(['true', 'false'])
  .transform((text) => text === 'true')
  .openapi({ type: 'boolean' })

/** Texts in a query, each by a parameter of its own: `types=A&types=B`. */
export const texts = z
  .union([z.string().max(nameLengthMax), z.array(z.string().max(nameLengthMax)).max(20)])
  .transform((given) => (Array.isArray(given) ? given : [given]))
  .openapi({
    type: 'array',
    items: { type: 'string', maxLength: nameLengthMax },
    maxItems: 20,
  })

const name = z.string().min(1).max(nameLengthMax)
export const streamParams = z.object({
  stream: name.openapi({ description: 'Name of a stream: `order-42`.', example: 'order-42' }),
})
export const byTime = z.enum(['time', 'recordedAt'])
export const direction = z.enum(['forward', 'backward'])
export const cursor = z.string().max(2000).openapi({ description: 'From `next` of a page.' })

/** Any JSON value. */
export const anyJson = z.unknown().openapi({ description: JSON_NOTE })

const metadata = z
  .record(z.string(), anyJson)
  .openapi({ description: 'correlationId, causationId, actor, tenant, and what else there is.' })

/** An event on its way in. */
export const eventInput = z
  .strictObject({
    type: name.openapi({ example: 'OrderPlaced' }),
    data: z
      .unknown()
      .openapi({ description: JSON_NOTE, example: { total: 30 } })
      .optional(),
    id: name.optional().openapi({ description: 'Makes the append idempotent.' }),
    time: moment.optional(),
    metadata: metadata.optional(),
    tags: z.array(name).max(1000).optional(),
  })
  .openapi('EventInput')

export const expectedVersion = z
  .union([z.int().min(0), z.enum(['any', 'exists'])])
  .openapi({ description: 'Events that the caller has seen; 0: the stream must not exist.' })

/** A CloudEvent in structured mode; what is not named here is an extension. */
export const cloudEvent = z
  .looseObject({
    specversion: z.literal('1.0'),
    id: name,
    source: z.string().min(1),
    type: name,
    subject: z.string().min(1).optional(),
    time: moment.optional(),
    datacontenttype: z.string().optional(),
    dataschema: z.string().optional(),
    data: anyJson.optional(),
  })
  .openapi('CloudEvent')

/** An event as the log holds it. */
export const recordedEvent = z
  .object({
    id: z.string(),
    stream: z.string(),
    version: z.int(),
    position: z.int(),
    type: z.string(),
    data: anyJson,
    metadata,
    time: z.string().openapi({ format: 'date-time' }),
    recordedAt: z.string().openapi({ format: 'date-time' }),
    schemaVersion: z.int(),
    tags: z.array(z.string()),
  })
  .openapi('RecordedEvent')

export const eventPage = z
  .object({
    events: z.array(recordedEvent),
    next: z.string().optional().openapi({ description: 'A cursor, while there may be more.' }),
  })
  .openapi('EventPage')

export const appendResult = z
  .object({
    stream: z.string(),
    version: z.int(),
    position: z.int(),
    events: z.array(recordedEvent),
    duplicate: z.literal(true).optional(),
  })
  .openapi('AppendResult')

export const streamInfo = z
  .object({
    stream: z.string(),
    category: z.string(),
    version: z.int(),
    firstVersion: z.int(),
    count: z.int(),
    state: z.enum(['active', 'archived', 'deleted']),
    firstTime: z.string().optional(),
    lastTime: z.string().optional(),
  })
  .openapi('StreamInfo')

/** Problem Details (RFC 9457). */
export const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    code: z.string().openapi({ description: 'Stable; see the table of errors.' }),
    retryable: z.boolean(),
    fields: z.record(z.string(), anyJson),
  })
  .openapi('Problem')

/** Who said why, of what is done by hand. */
export const byHand = z.strictObject({ reason: z.string().min(1).max(1000).optional() })

/** Media types of events. */
export const mediaTypes = {
  json: 'application/json',
  cloudEvent: 'application/cloudevents+json',
  cloudEvents: 'application/cloudevents-batch+json',
} as const
