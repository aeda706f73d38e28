import { z } from '@hono/zod-openapi'
import type { SubscriptionStatus } from 'eventuali'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { Failure } from '../failure.ts'
import { json, type ServerParts } from '../parts.ts'
import * as shapes from '../shapes.ts'

async function statusOf({ store }: ServerParts, name: string): Promise<SubscriptionStatus> {
  const found = await store.subscriptions.status(name)
  if (found !== undefined) return found
  throw new Failure('NOT_FOUND', `there is no subscription ${JSON.stringify(name)}`)
}

const status = z
  .looseObject({
    name: z.string(),
    position: z.int(),
    partitionBy: z.string(),
    paused: z.string().optional(),
    partitions: z.array(z.looseObject({ partition: z.int(), position: z.int() })),
  })
  .openapi('SubscriptionStatus')

const params = z.object({ subscription: z.string().min(1).max(200).openapi({ example: 'mailer' }) })

const list = endpoint({
  method: 'get',
  path: '/v1/subscriptions',
  tag: 'Subscriptions',
  summary: 'The durable subscriptions of all programs',
  description: 'Those of projections and processes too.',
  role: 'read',
  query: z.strictObject({
    limit: shapes.wholeNumber(1).optional(),
    after: z.string().max(200).optional(),
  }),
  answers: {
    200: {
      description: 'By name; go on with the last name as `after`',
      schema: z.object({ safe: z.int(), subscriptions: z.array(status) }).openapi('Subscriptions'),
    },
  },
  handle: async ({ query }, { parts, signal }) => {
    const { store, limits } = parts
    const { safe } = await store.positions({ signal, timeoutMs: limits.timeoutMs })
    const limit = Math.min(query.limit ?? 100, limits.pageCountMax)
    const { after = '' } = query
    const names = (await store.subscriptions.names()).filter((name) => name > after)
    const found = await Promise.all(
      names.slice(0, limit).map((name) => store.subscriptions.status(name)),
    )
    const subscriptions = found.filter((one) => one !== undefined)
    return json({
      safe,
      subscriptions: subscriptions.map((one) => ({
        ...one,
        lag: Math.max(0, safe - one.position),
      })),
    })
  },
})

const show = endpoint({
  method: 'get',
  path: '/v1/subscriptions/{subscription}',
  tag: 'Subscriptions',
  summary: 'Where a subscription stands',
  role: 'read',
  params,
  answers: { 200: { description: 'Its status', schema: status } },
  handle: async ({ params: { subscription } }, { parts }) =>
    json(await statusOf(parts, subscription)),
})

const pause = endpoint({
  method: 'post',
  path: '/v1/subscriptions/{subscription}/pause',
  tag: 'Subscriptions',
  summary: 'Hold the deliveries of all processes',
  role: 'admin',
  params,
  body: shapes.byHand,
  isBodyOptional: true,
  answers: { 200: { description: 'Its status', schema: status } },
  errors: [409, 413, 415],
  handle: async ({ params: { subscription }, body: { reason } }, { parts, principal }) => {
    const options = { actor: principal.name, ...(reason === undefined ? {} : { reason }) }
    await parts.store.subscriptions.pause(subscription, options)
    return json(await statusOf(parts, subscription))
  },
})

const resume = endpoint({
  method: 'post',
  path: '/v1/subscriptions/{subscription}/resume',
  tag: 'Subscriptions',
  summary: 'Let them go on, stopped partitions too',
  role: 'admin',
  params,
  body: z.strictObject({}),
  isBodyOptional: true,
  answers: { 200: { description: 'Its status', schema: status } },
  errors: [409, 413, 415],
  handle: async ({ params: { subscription } }, { parts, principal }) => {
    await parts.store.subscriptions.resume(subscription, { actor: principal.name })
    return json(await statusOf(parts, subscription))
  },
})

const reset = endpoint({
  method: 'post',
  path: '/v1/subscriptions/{subscription}/reset',
  tag: 'Subscriptions',
  summary: 'Send a subscription to another place of the log, forward or back',
  description:
    'All partitions go on behind `position`; 0 is the beginning. Events behind it are handed over again, or never. The answer to LOG_CHANGED after a restore.',
  role: 'admin',
  params,
  body: z.strictObject({ position: z.int().min(0) }),
  answers: { 200: { description: 'Its status', schema: status } },
  errors: [409, 413, 415],
  handle: async ({ params: { subscription }, body: { position } }, { parts, principal }) => {
    const { store, limits } = parts
    const { newest } = await store.positions({ timeoutMs: limits.timeoutMs })
    if (position > newest) {
      throw new Failure('REQUEST_INVALID', `position is beyond the newest event, at ${newest}`)
    }
    await store.subscriptions.reset(subscription, position, { actor: principal.name })
    return json(await statusOf(parts, subscription))
  },
})

/** Durable subscriptions. */
export const subscriptionEndpoints: readonly Endpoint[] = [list, show, pause, resume, reset]
