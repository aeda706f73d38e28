import { randomUUID } from 'node:crypto'
import { type EventInput, InvalidArgumentError, isEventualiError, type Store } from 'eventuali'
import { type Context, Hono } from 'hono'
import { accessOf, type Principal } from './access.ts'
import { documentOf } from './document.ts'
import { type Endpoint, run } from './endpoint.ts'
import { Failure } from './failure.ts'
import { Turns } from './feed-pages.ts'
import { attemptsLimit, hostCheck, originAllowed, Places, rateOf } from './gate.ts'
import { details, gauges, readiness } from './health.ts'
import { answerMcp } from './mcp-endpoint.ts'
import { Metrics } from './metrics.ts'
import { limitsOf, type ServerOptions, sourcesOf } from './options.ts'
import { json, type RequestContext, type ServerEnv, type ServerParts } from './parts.ts'
import { portRequest } from './port/index.ts'
import { problemResponse } from './problem.ts'
import { Rebuilds } from './rebuilds.ts'
import { referencePage } from './reference.ts'
import { includes, type Role } from './role.ts'
import { aggregateEndpoints } from './routes/aggregates.ts'
import { appendEndpoints } from './routes/appends.ts'
import { feedEndpoints } from './routes/feeds.ts'
import { generationEndpoints } from './routes/generations.ts'
import { keepingEndpoints } from './routes/keeping.ts'
import { letterEndpoints } from './routes/letters.ts'
import { logEndpoints } from './routes/log.ts'
import { projectionEndpoints } from './routes/projections.ts'
import { streamEndpoints } from './routes/streams.ts'
import { subscriptionEndpoints } from './routes/subscriptions.ts'
import { Tail } from './tail.ts'
import { Transactions } from './transactions.ts'

type ServerContext = Context<ServerEnv>

/** Of the API, in the document. */
const API_VERSION = '1.0.0'

/** All endpoints that the document has. */
const endpoints: readonly Endpoint[] = [
  ...appendEndpoints,
  ...streamEndpoints,
  ...logEndpoints,
  ...feedEndpoints,
  ...aggregateEndpoints,
  ...projectionEndpoints,
  ...generationEndpoints,
  ...subscriptionEndpoints,
  ...letterEndpoints,
  ...keepingEndpoints,
]

/** A server that is ready to answer; it listens nowhere by itself. */
export interface EventualiServer {
  /** The Hono app: mount it with `app.route('/events', server.app)`. */
  readonly app: Hono<ServerEnv>
  /** A request in, an answer out: for anything that speaks `fetch`. */
  readonly fetch: (request: Request, env?: object) => Response | Promise<Response>
  /** Ends live feeds with a hint when to come back, and clients' transactions. The store stays. */
  close(): Promise<void>
}

/**
 * Makes an HTTP server of a store: REST, live feeds, health, metrics, and what `openStore('http…')`
 * talks to. It answers requests that it is given and listens nowhere; see `serve` for that.
 * Nobody is let in until `auth` says who.
 *
 * Throws InvalidArgumentError.
 *
 * @example
 * ```ts
 * import { createServer } from '@eventuali/server'
 * import { openStore } from 'eventuali'
 *
 * const store = await openStore('memory:')
 * const server = createServer(store, { auth: { anonymous: 'write' } })
 * const answer = await server.app.request('/v1/streams/order-1/events', {
 *   method: 'POST',
 *   headers: { 'content-type': 'application/json' },
 *   body: JSON.stringify({ type: 'OrderPlaced', data: { total: 30 } }),
 * })
 * console.log(answer.status) // 201
 * await server.close()
 * await store.close()
 * ```
 */
export function createServer<E extends EventInput>(
  store: Store<E>,
  options: ServerOptions = {},
): EventualiServer {
  const limits = limitsOf(options.limits)
  const { clock, random } = sourcesOf(options)
  const closing = new AbortController()
  const erased = store as unknown as Store
  const parts: ServerParts = {
    ...{ store: erased, options, limits, clock, random },
    access: accessOf(options.auth),
    metrics: new Metrics(clock),
    tail: new Tail(erased, clock),
    transactions: new Transactions(erased.port, clock, limits),
    rebuilds: new Rebuilds(erased, clock, reportOf(options)),
    feeds: new Places('feeds', limits.feedsMax),
    turns: new Turns(),
    requests: new Places('requests', limits.requestsMax),
    closing: closing.signal,
  }
  const app = appOf(parts)
  return {
    app,
    fetch: (request, env) => app.fetch(request, env ?? {}),
    close: async () => {
      closing.abort()
      await parts.transactions.close()
      await parts.rebuilds.stop()
      parts.tail.stop()
    },
  }
}

function appOf(parts: ServerParts): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>()
  const gate = gateOf(parts)
  app.use(async (c, next) => {
    c.set('requestId', randomUUID())
    c.set('route', 'none')
    const startedMs = parts.clock.monotonic()
    await next()
    const durationMs = parts.clock.monotonic() - startedMs
    parts.metrics.request(c.req.method, c.get('route'), c.res.status, durationMs / 1000)
    c.res.headers.set('x-content-type-options', 'nosniff')
    c.res.headers.set('x-request-id', c.get('requestId'))
    gate.cors(c)
    logged(c, durationMs, parts)
  })
  app.onError((error, c) => failed(error, c, parts))
  app.use(async (c, next) => {
    gate.check(c)
    if (c.req.method === 'OPTIONS' && c.req.header('access-control-request-method')) {
      return new Response(null, { status: 204 })
    }
    return next()
  })
  publicPages(app, parts, gate)
  app.all('/v1/port/:rest{.*}', (c) => answerPort(c, gate))
  app.all('/v1/port', (c) => answerPort(c, gate))
  if (parts.options.mcp !== undefined) {
    app.all('/mcp', (c) => gate.admitted(c, '/mcp', 'read', answerMcp))
  }
  for (const endpoint of endpoints) {
    app.on(endpoint.method.toUpperCase(), honoPath(endpoint.path), (c) =>
      gate.admitted(c, endpoint.path, endpoint.role, (context) =>
        run(endpoint, c.req.param() as Record<string, string>, context),
      ),
    )
  }
  refuseOtherMethods(app)
  app.notFound((c) => {
    const error = new Failure('NOT_FOUND', `nothing is served at ${c.req.path}; see /reference`)
    return problemResponse(error, c.get('requestId'))
  })
  return app
}

function honoPath(path: string): string {
  return path.replace(/\{(\w+)\}/g, ':$1')
}

/** What there is, but not with this method: 405 with those that there are. */
function refuseOtherMethods(app: Hono<ServerEnv>): void {
  const methods = new Map<string, Set<string>>()
  for (const { method, path } of endpoints) {
    const held = methods.get(path) ?? new Set()
    held.add(method.toUpperCase())
    if (method === 'get') held.add('HEAD')
    methods.set(path, held)
  }
  for (const [path, allowed] of methods) {
    const allow = [...allowed].join(', ')
    app.all(honoPath(path), (c) => {
      c.set('route', path)
      throw new Failure('METHOD_NOT_ALLOWED', `use ${allow}`, { headers: { allow } })
    })
  }
}

interface Gate {
  /** Throws Failure HOST_REFUSED, ORIGIN_REFUSED. */
  check(c: ServerContext): void
  cors(c: ServerContext): void
  /** Lets a caller in who may, and has the request answered. */
  admitted(
    c: ServerContext,
    route: string,
    role: Role,
    answer: (context: RequestContext) => Promise<Response>,
  ): Promise<Response>
}

function gateOf(parts: ServerParts): Gate {
  const { options, clock, limits, access, requests } = parts
  const { origins = [] } = options
  if (!Array.isArray(origins)) throw new InvalidArgumentError('origins', 'must be a list')
  const checkHost = hostCheck(options.hosts)
  const rate = rateOf(clock, limits)
  const attempts = attemptsLimit(clock)
  const hostOf = (c: ServerContext) => c.req.header('host') ?? new URL(c.req.url).host
  const identify = async (c: ServerContext): Promise<Principal> => {
    try {
      return await access.identify(c.req.raw.headers)
    } catch (error) {
      // Keys are not to be guessed: whoever shows wrong ones is slowed down.
      if (isEventualiError(error, 'UNAUTHENTICATED')) attempts.take(addressOf(c))
      throw error
    }
  }
  return {
    check: (c) => {
      const host = hostOf(c)
      checkHost(host)
      const origin = c.req.header('origin')
      if (origin === undefined || originAllowed(origin, host, origins)) return
      throw new Failure('ORIGIN_REFUSED', `pages from ${origin} may not ask`)
    },
    cors: (c) => {
      const origin = c.req.header('origin')
      if (origin === undefined || !origins.includes(origin)) return
      const { headers } = c.res
      headers.set('access-control-allow-origin', origin)
      headers.append('vary', 'origin')
      headers.set('access-control-expose-headers', 'etag, link, location, retry-after')
      headers.set('access-control-allow-methods', 'GET, HEAD, POST, DELETE')
      const allowed =
        'authorization, content-type, if-match, if-none-match, idempotency-key, last-event-id, x-api-key'
      headers.set('access-control-allow-headers', allowed)
    },
    admitted: async (c, route, role, answer) => {
      c.set('route', route)
      if (parts.closing.aborted) {
        const headers = { connection: 'close' }
        throw new Failure('SERVER_CLOSING', 'the server is closing; ask the next one', { headers })
      }
      const leave = requests.take()
      try {
        const principal = await identify(c)
        c.set('principal', principal.name)
        rate?.take(principal.name === 'anonymous' ? addressOf(c) : principal.name)
        if (!includes(principal.role, role)) {
          throw new Failure('ACCESS_DENIED', `it needs the role ${role}, this is ${principal.role}`)
        }
        return await answer(contextOf(c, parts, principal))
      } finally {
        leave()
      }
    },
  }
}

function addressOf(c: ServerContext): string {
  return c.env?.incoming?.socket?.remoteAddress ?? 'unknown'
}

function contextOf(c: ServerContext, parts: ServerParts, principal: Principal): RequestContext {
  const request = c.req.raw
  return { parts, request, principal, id: c.get('requestId'), signal: request.signal, node: c.env }
}

function answerPort(c: ServerContext, gate: Gate): Promise<Response> {
  const [, rest = ''] = /\/v1\/port\/?(.*)$/.exec(c.req.path) ?? []
  return gate.admitted(c, '/v1/port', 'read', (context) => {
    const path = rest === '' ? [] : rest.split('/').map(decoded)
    return portRequest(c.req.method, path, context)
  })
}

/** Throws Failure REQUEST_MALFORMED for percent signs that encode nothing. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new Failure('REQUEST_MALFORMED', `${text} is not encoded as a url is`, { cause })
  }
}

/** Tells the program of an answer; what goes wrong there is no failure of the request. */
function logged(c: ServerContext, durationMs: number, { options }: ServerParts): void {
  const [id, route, principal] = [c.get('requestId'), c.get('route'), c.get('principal')]
  const { method } = c.req
  try {
    options.onRequest?.({ id, method, route, status: c.res.status, durationMs, principal })
  } catch (error) {
    reportOf(options)(error, `onRequest ${id}`)
  }
}

/** Who is told of what the server itself did wrong. */
function reportOf({ onError }: ServerOptions): NonNullable<ServerOptions['onError']> {
  return onError ?? ((thrown, request) => console.error(request, thrown))
}

function failed(error: unknown, c: ServerContext, { options }: ServerParts): Response {
  const id = c.get('requestId')
  const { headers } = c.req.raw
  const isConditional = headers.has('if-match') || headers.has('if-none-match')
  const isStale = isConditional && isEventualiError(error, 'VERSION_CONFLICT')
  const response = problemResponse(error, `urn:uuid:${id}`, isStale ? 412 : undefined)
  if (response.status >= 500 && response.status !== 503) {
    reportOf(options)(error, `${c.req.method} ${c.req.path} ${id}`)
  }
  return response
}

/** What is asked for before anybody is known: health, the document, metrics. */
function publicPages(app: Hono<ServerEnv>, parts: ServerParts, gate: Gate): void {
  const document = documentOf(endpoints, API_VERSION, parts.options.auth?.anonymous !== undefined)
  const page = referencePage(document)
  app.get('/openapi.json', (c) => {
    c.set('route', '/openapi.json')
    return json(document)
  })
  app.get('/reference', (c) => {
    c.set('route', '/reference')
    const type = 'text/html; charset=utf-8'
    const headers = { 'content-type': type, 'content-security-policy': page.policy }
    return new Response(page.html, { headers })
  })
  app.get('/health/live', (c) => {
    c.set('route', '/health/live')
    return json({ ok: true })
  })
  app.get('/health/ready', async (c) => {
    c.set('route', '/health/ready')
    const ok = await readiness(parts)
    return json({ ok }, ok ? 200 : 503)
  })
  app.get('/health/detail', (c) =>
    gate.admitted(c, '/health/detail', 'read', async () => {
      const found = await details(parts)
      return json(found, found.ok ? 200 : 503)
    }),
  )
  app.get('/metrics', (c) =>
    gate.admitted(c, '/metrics', 'read', async () => {
      const text = parts.metrics.text(await gauges(parts))
      const headers = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }
      return new Response(text, { headers })
    }),
  )
}
