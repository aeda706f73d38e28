import type { Clock, Random } from '../../kernel/index.ts'
import { InvalidArgumentError, StoreUrlError } from '../../model/index.ts'

/** The bearer token or API key for each request; a function is asked again when it is refused. */
export type TokenSource = string | (() => string | Promise<string>)

/** Where the server is, and how to be let in. */
export interface HttpStoreOptions {
  /** `http://host:port`, with the path that the server is mounted under, if there is one. */
  readonly url: string
  /** An API key or a JWT, sent as a bearer token. Not needed where the server lets anyone in. */
  readonly token?: TokenSource | undefined
  /** Sent with each request beside the store's own. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** In the place of the global `fetch`: a proxy, a test's own server. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** Refuses what would write, whatever the token allows. */
  readonly readOnly?: boolean | undefined
  /** Calls under way at the same time, of reads and of writes each; 32. Others wait. */
  readonly concurrencyMax?: number | undefined
  /** Milliseconds that a call may take which names no bound; 30,000. */
  readonly timeoutMs?: number | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
}

const CONCURRENCY = 32
const CONCURRENCY_LIMIT = 1024

/** The base of all urls, ending in a slash. Throws StoreUrlError. */
export function baseOf(url: string): URL {
  if (typeof url !== 'string' || !URL.canParse(url)) {
    throw new StoreUrlError(String(url), 'cannot be read as a url')
  }
  const base = new URL(url)
  if (base.protocol !== 'http:' && base.protocol !== 'https:') {
    throw new StoreUrlError(url, 'is not one of http or https')
  }
  // It would end up in logs, and browsers' fetch refuses it.
  if (base.username !== '' || base.password !== '') {
    throw new StoreUrlError(base.origin, 'holds a name or password; hand a token in as an option')
  }
  if (base.search !== '' || base.hash !== '') {
    throw new StoreUrlError(url, 'has a query, which a server takes no notice of')
  }
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  return base
}

/** Throws InvalidArgumentError for what is no number of calls. */
export function concurrencyOf({ concurrencyMax = CONCURRENCY }: HttpStoreOptions): number {
  const fits = Number.isSafeInteger(concurrencyMax) && concurrencyMax >= 1
  if (fits && concurrencyMax <= CONCURRENCY_LIMIT) return concurrencyMax
  throw new InvalidArgumentError('concurrencyMax', `must be from 1 to ${CONCURRENCY_LIMIT}`)
}
