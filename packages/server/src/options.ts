import {
  type AggregateClass,
  type AggregateDefinition,
  type Clock,
  type EventInput,
  InvalidArgumentError,
  type ProjectionDefinition,
  type Random,
  systemClock,
  systemRandom,
} from 'eventuali'
import type { AuthOptions } from './access.ts'
import type { McpOptions } from './mcp/index.ts'

/** An aggregate whose state and commands are served, whatever its types. */
export type ServedAggregate =
  // biome-ignore lint/suspicious/noExplicitAny: a list holds aggregates of any state and commands.
  AggregateDefinition<any, any, any> | AggregateClass<any>

/** A projection whose documents are served. */
export type ServedProjection = ProjectionDefinition

/** How much one server gives at most. All have defaults that suit a small machine. */
export interface ServerLimits {
  /** Bytes of a request's body; 40 MiB, so that the largest event passes. */
  readonly bodyBytesMax?: number | undefined
  /** Events, documents or names in one page; 1,000. */
  readonly pageCountMax?: number | undefined
  /** Bytes of JSON after which a page of events ends early; 8 MiB. */
  readonly pageBytesMax?: number | undefined
  /** Requests of one caller in a second, and how many at once; `false` for no limit. */
  readonly rate?: { readonly perSecond: number; readonly burst: number } | false | undefined
  /** Requests that are answered at the same time, live feeds not counted; 1,000. */
  readonly requestsMax?: number | undefined
  /** Live feeds open at the same time; 5,000. */
  readonly feedsMax?: number | undefined
  /** Milliseconds that a request may take; 30,000. A call of a client may ask for less. */
  readonly timeoutMs?: number | undefined
  /** Transactions of clients that are open at the same time; 16. */
  readonly transactionsMax?: number | undefined
  /** Milliseconds without a call after which a client's transaction is rolled back; 5,000. */
  readonly transactionIdleMs?: number | undefined
  /** Milliseconds between two signs of life of a quiet feed; 15,000. */
  readonly heartbeatMs?: number | undefined
  /** Milliseconds after which a feed that takes nothing is cut off; 60,000. */
  readonly stallMs?: number | undefined
}

/**
 * A request that was answered, for a log: without its path, query and body, in which names and data
 * of people may stand.
 */
export interface AnsweredRequest {
  /** The answer has it as `x-request-id`. */
  readonly id: string
  readonly method: string
  /** As the document has it, `/v1/streams/{stream}/events`; `none` where nothing is served. */
  readonly route: string
  readonly status: number
  /** Milliseconds until the answer began; a live feed goes on then. */
  readonly durationMs: number
  /** Who has asked; undefined where nobody was let in, or nobody had to be. */
  readonly principal: string | undefined
}

/** Options of `createServer`. */
export interface ServerOptions {
  /** Who is let in. Without it nobody is. */
  readonly auth?: AuthOptions | undefined
  /**
   * Names that the server answers to (`api.example.com`, with the port where it is another than
   * the scheme's), against DNS rebinding. Loopback names when left out; `any` where something in
   * front of it checks them.
   */
  readonly hosts?: readonly string[] | 'any' | undefined
  /** Origins of web pages that may ask, beside those of the server itself. */
  readonly origins?: readonly string[] | undefined
  readonly aggregates?: readonly ServedAggregate[] | undefined
  readonly projections?: readonly ServedProjection[] | undefined
  readonly limits?: ServerLimits | undefined
  /** Answers models at `/mcp` (Model Context Protocol, Streamable HTTP). Left out: it does not. */
  readonly mcp?: McpOptions | undefined
  /** `source` of the CloudEvents that go out; `/` and the stream's category when left out. */
  readonly cloudEventSource?: string | undefined
  /** Told of what the server itself did wrong; written to standard error when left out. */
  readonly onError?: ((error: unknown, request: string) => void) | undefined
  /** Told of each request once it is answered, for a log. */
  readonly onRequest?: ((request: AnsweredRequest) => void) | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
}

const MIB = 1024 * 1024

/** The limits as they hold. */
export type Limits = {
  readonly [K in keyof ServerLimits]-?: Exclude<ServerLimits[K], undefined>
}

const defaults: Limits = {
  bodyBytesMax: 40 * MIB,
  pageCountMax: 1000,
  pageBytesMax: 8 * MIB,
  rate: { perSecond: 2000, burst: 4000 },
  requestsMax: 1000,
  feedsMax: 5000,
  timeoutMs: 30_000,
  transactionsMax: 16,
  transactionIdleMs: 5000,
  heartbeatMs: 15_000,
  stallMs: 60_000,
}

/** Throws InvalidArgumentError for a limit that is none. */
export function limitsOf(given: ServerLimits = {}): Limits {
  const limits: Record<string, unknown> = { ...defaults }
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue
    if (!Object.hasOwn(defaults, name)) {
      throw new InvalidArgumentError(`limits.${name}`, 'is no limit of a server')
    }
    const parts = name === 'rate' && value !== false ? Object.values(value as object) : [value]
    const isNone = name === 'rate' && value === false
    if (!isNone && parts.some((part) => !Number.isSafeInteger(part) || part < 1)) {
      throw new InvalidArgumentError(`limits.${name}`, 'must be a whole number from 1 on')
    }
    limits[name] = value
  }
  return limits as Limits
}

/** The time and the chance of a server. */
export function sourcesOf({ clock = systemClock, random = systemRandom }: ServerOptions): {
  readonly clock: Clock
  readonly random: Random
} {
  return { clock, random }
}

/** What stores append, whatever their types. */
export type AnyEvent = EventInput
