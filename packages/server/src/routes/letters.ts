import { z } from '@hono/zod-openapi'
import type { DeadLetter } from 'eventuali'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { Failure } from '../failure.ts'
import { json, type ServerParts } from '../parts.ts'
import * as shapes from '../shapes.ts'

async function letterOf({ store }: ServerParts, id: string): Promise<DeadLetter> {
  const letter = await store.deadLetters.get(id)
  if (letter !== undefined) return letter
  throw new Failure('NOT_FOUND', `there is no dead letter ${JSON.stringify(id)}`)
}

const letter = z
  .looseObject({
    id: z.string(),
    subscription: z.string(),
    state: z.string(),
    position: z.int(),
    parkedAt: z.string(),
  })
  .openapi('DeadLetter')

const reason = z.string().trim().min(1).max(1000)
const params = z.object({ id: z.string().min(1).max(500) })

const list = endpoint({
  method: 'get',
  path: '/v1/dead-letters',
  tag: 'Dead letters',
  summary: 'Events that handlers could not cope with',
  role: 'read',
  query: z.strictObject({
    subscription: z.string().min(1).max(200).optional(),
    state: z.enum(['parked', 'requested', 'done', 'discarded', 'any']).optional(),
    after: z.string().min(1).max(500).optional(),
    limit: shapes.wholeNumber(1).optional(),
  }),
  answers: {
    200: {
      description: 'A page; go on with the id of its last letter as `after`',
      schema: z.object({ letters: z.array(letter) }).openapi('DeadLetters'),
    },
  },
  handle: async ({ query }, { parts }) => {
    const limit = Math.min(query.limit ?? 100, parts.limits.pageCountMax)
    return json({ letters: await parts.store.deadLetters.list({ ...query, limit }) })
  },
})

const show = endpoint({
  method: 'get',
  path: '/v1/dead-letters/{id}',
  tag: 'Dead letters',
  summary: 'One dead letter',
  role: 'read',
  params,
  answers: { 200: { description: 'The letter', schema: letter } },
  handle: async ({ params: { id } }, { parts }) => json(await letterOf(parts, id)),
})

const retry = endpoint({
  method: 'post',
  path: '/v1/dead-letters/{id}/retry',
  tag: 'Dead letters',
  summary: 'Have it handled again',
  description: 'Where order is kept, its key goes on from its first letter.',
  role: 'admin',
  params,
  body: z.strictObject({}),
  isBodyOptional: true,
  answers: { 200: { description: 'The letter as it is now', schema: letter } },
  errors: [409, 413, 415],
  handle: async ({ params: { id } }, { parts, principal }) => {
    await letterOf(parts, id)
    await parts.store.deadLetters.retry(id, { actor: principal.name })
    return json(await letterOf(parts, id))
  },
})

const discard = endpoint({
  method: 'post',
  path: '/v1/dead-letters/{id}/discard',
  tag: 'Dead letters',
  summary: 'Give it up',
  role: 'admin',
  params,
  body: z.strictObject({ reason }),
  answers: { 200: { description: 'The letter as it is now', schema: letter } },
  errors: [409, 413, 415],
  handle: async ({ params: { id }, body }, { parts, principal }) => {
    await letterOf(parts, id)
    const { reason } = body
    await parts.store.deadLetters.discard(id, { actor: principal.name, reason })
    return json(await letterOf(parts, id))
  },
})

/** Throws Failure when nothing of the name has ever run, or left letters: a slip of the pen. */
async function assertSubscription({ store }: ServerParts, name: string): Promise<void> {
  if ((await store.subscriptions.status(name)) !== undefined) return
  const some = await store.deadLetters.list({ subscription: name, state: 'any', limit: 1 })
  if (some.length > 0) return
  throw new Failure('NOT_FOUND', `there is no subscription ${JSON.stringify(name)}`)
}

const subscriptionName = z.string().min(1).max(200).openapi({ example: 'mailer' })
const subscriptionParams = z.object({ subscription: subscriptionName })
const key = z
  .string()
  .min(1)
  .max(1000)
  .optional()
  .openapi({ description: 'Only those of this key, as letters show it.', example: 'order-17' })

const retryAll = endpoint({
  method: 'post',
  path: '/v1/subscriptions/{subscription}/retry-dead-letters',
  tag: 'Dead letters',
  summary: 'Have all parked letters of a subscription handled again, or those of one key',
  role: 'admin',
  params: subscriptionParams,
  body: z.strictObject({ key }),
  isBodyOptional: true,
  answers: {
    200: {
      description: 'How many keys or letters go on',
      schema: z.object({ requested: z.int() }).openapi('RetriedLetters'),
    },
  },
  errors: [409, 413, 415],
  handle: async ({ params: { subscription }, body }, { parts, principal, signal }) => {
    await assertSubscription(parts, subscription)
    const selection = { ...body, actor: principal.name, signal }
    const requested = await parts.store.deadLetters.retryAll(subscription, selection)
    return json({ requested })
  },
})

const discardAll = endpoint({
  method: 'post',
  path: '/v1/subscriptions/{subscription}/discard-dead-letters',
  tag: 'Dead letters',
  summary: 'Give all parked letters of a subscription up, or those of one key',
  description:
    'For a reason that is kept. Page by page: when the caller goes, the rest stays parked.',
  role: 'admin',
  params: subscriptionParams,
  body: z.strictObject({ reason, key }),
  answers: {
    200: {
      description: 'How many letters were given up',
      schema: z.object({ discarded: z.int() }).openapi('DiscardedLetters'),
    },
  },
  errors: [409, 413, 415],
  handle: async ({ params: { subscription }, body }, { parts, principal, signal }) => {
    await assertSubscription(parts, subscription)
    const selection = { ...body, actor: principal.name, signal }
    const discarded = await parts.store.deadLetters.discardAll(subscription, selection)
    return json({ discarded })
  },
})

const prune = endpoint({
  method: 'post',
  path: '/v1/dead-letters/prune',
  tag: 'Dead letters',
  summary: 'Remove letters that were done or discarded before a time',
  description:
    'Of one subscription, or of all. Parked ones stay, however old. Page by page: when the caller goes, the rest stays.',
  role: 'admin',
  body: z.strictObject({ before: shapes.moment, subscription: subscriptionName.optional() }),
  answers: {
    200: {
      description: 'How many letters were removed',
      schema: z.object({ removed: z.int() }).openapi('PrunedLetters'),
    },
  },
  errors: [409, 413, 415],
  handle: async ({ body }, { parts, principal, signal }) => {
    if (body.subscription !== undefined) await assertSubscription(parts, body.subscription)
    const asked = { ...body, actor: principal.name, signal }
    const removed = await parts.store.deadLetters.prune(asked)
    return json({ removed })
  },
})

/** Dead letters. */
export const letterEndpoints: readonly Endpoint[] = [
  ...[list, show, retry, discard, retryAll, discardAll, prune],
]
