import { type Clock, isEventualiError } from '../../kernel/index.ts'
import { ConnectionError, OperationTimeoutError, OutcomeUnknownError } from '../../model/index.ts'
import { type CallKind, refusedBy, unreached } from './failures.ts'
import type { HttpStoreOptions, TokenSource } from './options.ts'

/** What the server is given beyond a call's own bound, so that it is the one to say so. */
const GRACE_MS = 2000
/** An answer to a call is held in memory; a page has far fewer. */
const ANSWER_BYTES_MAX: number = 256 * 1024 * 1024

/** Bounds of one request. */
export interface RequestBounds {
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number | undefined
}

/** Sends calls to a server and reads its answers. */
export class Connection {
  readonly clock: Clock
  /** The log that all calls mean; the server refuses them once it has another one. */
  incarnation: string | undefined
  readonly #base: URL
  readonly #token: TokenSource | undefined
  readonly #headers: Readonly<Record<string, string>>
  readonly #fetch: typeof globalThis.fetch
  readonly #timeoutMs: number

  constructor(base: URL, clock: Clock, options: HttpStoreOptions) {
    this.clock = clock
    this.#base = base
    this.#token = options.token
    this.#headers = options.headers ?? {}
    this.#fetch = options.fetch ?? globalThis.fetch
    this.#timeoutMs = options.timeoutMs ?? 30_000
  }

  /** One call: a body of JSON there and back. `what` names it in errors. */
  async call(
    path: string,
    body: string | undefined,
    kind: CallKind,
    what: string,
    { signal, timeoutMs = this.#timeoutMs }: RequestBounds = {},
  ): Promise<unknown> {
    signal?.throwIfAborted()
    const abort = new AbortController()
    const state = { isLate: false }
    const stop = this.clock.timer(timeoutMs + GRACE_MS, () => {
      state.isLate = true
      abort.abort()
    })
    const onAbort = () => abort.abort()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      const response = await this.#send(path, body, abort.signal)
      const answer = await this.#read(response)
      if (response.ok) return answer
      throw refusedBy(response.status, answer, kind, what)
    } catch (error) {
      if (abort.signal.aborted) throw cutShort(kind, what, signal, state.isLate, timeoutMs)
      if (error instanceof TokenFailure) throw error.cause
      throw isEventualiError(error) ? error : unreached(error, kind, what)
    } finally {
      stop()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** An answer that does not end by itself; its body is what the server has to tell. */
  async open(path: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#send(path, undefined, signal)
    if (!response.ok) throw refusedBy(response.status, await this.#read(response), 'read', path)
    if (response.body === null) throw new ConnectionError('the server sent no body')
    return response.body
  }

  async #send(path: string, body: string | undefined, signal: AbortSignal): Promise<Response> {
    const response = await this.#sendOnce(path, body, signal)
    // A token may have run out; whoever makes them makes another one, once.
    if (response.status !== 401 || typeof this.#token !== 'function') return response
    await response.body?.cancel()
    return this.#sendOnce(path, body, signal)
  }

  async #sendOnce(path: string, body: string | undefined, signal: AbortSignal): Promise<Response> {
    const token = await this.#tokenNow()
    const headers: Record<string, string> = { ...this.#headers, accept: 'application/json' }
    if (token !== undefined) headers.authorization = `Bearer ${token}`
    if (this.incarnation !== undefined) headers['eventuali-incarnation'] = this.incarnation
    if (body !== undefined) headers['content-type'] = 'application/json'
    const url = new URL(path, this.#base)
    const method = body === undefined ? 'GET' : 'POST'
    // A redirect would take the token along to wherever it points.
    const init: RequestInit = { method, headers, signal, redirect: 'error' }
    return this.#fetch(url, body === undefined ? init : { ...init, body })
  }

  async #tokenNow(): Promise<string | undefined> {
    if (typeof this.#token !== 'function') return this.#token
    try {
      return await this.#token()
    } catch (cause) {
      throw new TokenFailure('no token', { cause })
    }
  }

  async #read(response: Response): Promise<unknown> {
    const length = Number(response.headers.get('content-length') ?? 0)
    if (length > ANSWER_BYTES_MAX) throw new ConnectionError('the answer is too large')
    const text = await response.text()
    if (text === '') return undefined
    try {
      return JSON.parse(text)
    } catch (cause) {
      // Something between here and the server answers in its own words.
      if (!response.ok) return undefined
      throw new ConnectionError('the answer is no JSON, is it an Eventuali server?', { cause })
    }
  }
}

/** What the caller's own source of tokens has thrown. */
class TokenFailure extends Error {}

/** The error of a call that was ended from this side. */
function cutShort(
  kind: CallKind,
  what: string,
  signal: AbortSignal | undefined,
  isLate: boolean,
  timeoutMs: number,
): unknown {
  if (kind === 'write') return new OutcomeUnknownError(what, { cause: signal?.reason })
  return isLate ? new OperationTimeoutError(what, timeoutMs) : signal?.reason
}
