import type { HttpBindings } from '@hono/node-server'
import type { Clock, Random, Store } from 'eventuali'
import type { Access, Principal } from './access.ts'
import type { Turns } from './feed-pages.ts'
import type { Places } from './gate.ts'
import type { Metrics } from './metrics.ts'
import type { Limits, ServerOptions } from './options.ts'
import type { Rebuilds } from './rebuilds.ts'
import type { Tail } from './tail.ts'
import type { Transactions } from './transactions.ts'

/** What all endpoints of one server work with. */
export interface ServerParts {
  readonly store: Store
  readonly options: ServerOptions
  readonly limits: Limits
  readonly clock: Clock
  readonly random: Random
  readonly access: Access
  readonly metrics: Metrics
  readonly tail: Tail
  readonly transactions: Transactions
  readonly rebuilds: Rebuilds
  readonly feeds: Places
  /** What feeds read of the log that is no longer held. */
  readonly turns: Turns
  readonly requests: Places
  /** Aborted when the server closes. */
  readonly closing: AbortSignal
}

/** What one request is handled with. */
export interface RequestContext {
  readonly parts: ServerParts
  readonly request: Request
  readonly principal: Principal
  /** Names the request in answers and logs. */
  readonly id: string
  /** Aborted when the caller has gone. */
  readonly signal: AbortSignal
  /** The sockets underneath, where Node serves it. */
  readonly node: Partial<HttpBindings> | undefined
}

/** The environment of the Hono app. */
export interface ServerEnv {
  readonly Bindings: Partial<HttpBindings>
  readonly Variables: { requestId: string; route: string; principal?: string }
}

/** An answer of JSON. */
export function json(
  value: unknown,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { 'content-type': 'application/json', ...headers },
  })
}
