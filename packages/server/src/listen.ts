import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createAdaptorServer, getRequestListener } from '@hono/node-server'
import { type EventInput, InvalidArgumentError, type Store, systemClock } from 'eventuali'
import { createServer, type EventualiServer } from './app.ts'
import { isLoopback } from './gate.ts'
import type { ServerOptions } from './options.ts'

/** Options of `serve`. */
export interface ServeOptions extends ServerOptions {
  /** 0 for any that is free; 4400 when left out. */
  readonly port?: number | undefined
  /** Address to listen at; 127.0.0.1, this machine alone, when left out. */
  readonly host?: string | undefined
  /** Milliseconds that `close` waits for what is under way; 10,000. */
  readonly closeTimeoutMs?: number | undefined
  /** Sockets open at the same time; 10,000. */
  readonly connectionsMax?: number | undefined
}

/** A server that listens. */
export interface RunningServer {
  readonly url: string
  readonly port: number
  readonly server: EventualiServer
  /**
   * Takes no more connections, ends live feeds with a hint when to come back, waits for the
   * requests under way, within a bound, and leaves the store open.
   */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const PORT = 4400
const CLOSE_TIMEOUT_MS = 10_000
const CONNECTIONS_MAX = 10_000
/** Filters of a read stand in its url, encoded. */
const HEADER_BYTES_MAX: number = 128 * 1024
const HEADERS_TIMEOUT_MS = 10_000
const BODY_TIMEOUT_MS = 120_000
/** Longer than clients keep an idle connection, so that they are the ones to close it. */
const KEEP_ALIVE_MS = 65_000

/**
 * Serves a store over HTTP. Without `auth` everybody on this machine may do everything, and it
 * listens nowhere else: `auth`, or `anonymous` said explicitly, is needed for any other address.
 *
 * Throws InvalidArgumentError, and what Node throws for an address that is taken.
 *
 * @example
 * ```ts
 * import { serve } from '@eventuali/server'
 * import { openStore } from 'eventuali'
 *
 * const store = await openStore('memory:')
 * const running = await serve(store, { port: 0 })
 * const client = await openStore(running.url)
 * await client.append('order-1', { type: 'OrderPlaced', data: { total: 30 } })
 * await client.close()
 * await running.close()
 * await store.close()
 * ```
 */
export async function serve<E extends EventInput>(
  store: Store<E>,
  options: ServeOptions = {},
): Promise<RunningServer> {
  const { host = '127.0.0.1', port = PORT, closeTimeoutMs = CLOSE_TIMEOUT_MS } = options
  const isLocal = isLoopback(host)
  if (options.auth === undefined && !isLocal) {
    throw new InvalidArgumentError(
      'auth',
      `must say who is let in, when it listens at ${host}; give auth.keys, auth.jwt or auth.anonymous`,
    )
  }
  const auth = options.auth ?? { anonymous: 'admin' as const }
  const server = createServer(store, { ...options, auth })
  const node = createAdaptorServer({
    fetch: (request, env) => server.fetch(request, env),
    serverOptions: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: BODY_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: HEADER_BYTES_MAX,
    },
  }) as Server
  node.maxConnections = options.connectionsMax ?? CONNECTIONS_MAX
  const sockets = new Sockets(node)
  node.listen(port, host)
  await once(node, 'listening')
  const { port: bound } = node.address() as AddressInfo
  const shown = host.includes(':') ? `[${host}]` : host
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= end(node, sockets, server, closeTimeoutMs, options)
    return closed
  }
  return {
    url: `http://${shown}:${bound}`,
    port: bound,
    server,
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** A request whose body something in front of the server may have read. */
interface ReadRequest extends IncomingMessage {
  readonly body?: unknown
  /** Taken in the place of what can be read no more. */
  rawBody?: Buffer
}

function bytesOf(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}

/**
 * A server as a handler of Node's requests: for `node:http`, for Express, or for Fastify on its raw
 * request. A body that a parser of Express has read before is taken from `request.body`.
 *
 * @example
 * ```ts
 * import { createServer as createHttpServer } from 'node:http'
 * import { createServer, nodeHandler } from '@eventuali/server'
 * import { openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * const server = createServer(store, { auth: { anonymous: 'read' } })
 * const http = createHttpServer(nodeHandler(server)).listen(0)
 * http.close()
 * await server.close()
 * ```
 */
export function nodeHandler(
  server: EventualiServer,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const listener = getRequestListener((request, env) => server.fetch(request, env))
  return async (request: ReadRequest, response) => {
    if (request.readableEnded && request.body !== undefined)
      request.rawBody ??= bytesOf(request.body)
    await listener(request, response)
  }
}

async function end(
  node: Server,
  sockets: Sockets,
  server: EventualiServer,
  timeoutMs: number,
  { clock = systemClock }: ServerOptions,
): Promise<void> {
  const done = new Promise<void>((resolve) => node.close(() => resolve()))
  sockets.drain()
  await server.close()
  const late = Promise.withResolvers<void>()
  const stop = clock.timer(timeoutMs, () => {
    node.closeAllConnections()
    late.resolve()
  })
  await Promise.race([done, late.promise])
  stop()
  await done
}

/**
 * Which sockets have a request that is not answered. Node's own list counts those as busy that have
 * never sent anything, and clients open such ones ahead.
 */
class Sockets {
  readonly #requests = new Map<Socket, number>()
  #isDraining = false

  constructor(node: Server) {
    node.on('connection', (socket: Socket) => {
      this.#requests.set(socket, 0)
      socket.once('close', () => this.#requests.delete(socket))
    })
    node.on('request', ({ socket }, response) => {
      this.#requests.set(socket, (this.#requests.get(socket) ?? 0) + 1)
      response.once('close', () => {
        const left = (this.#requests.get(socket) ?? 1) - 1
        if (!this.#requests.has(socket)) return
        this.#requests.set(socket, left)
        if (this.#isDraining && left === 0) socket.destroySoon()
      })
    })
  }

  /** Ends the idle ones now, and the others once they are. */
  drain(): void {
    this.#isDraining = true
    for (const [socket, count] of this.#requests) if (count === 0) socket.destroy()
  }
}
