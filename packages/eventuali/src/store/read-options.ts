import {
  assertFreshness,
  assertStreamName,
  type Freshness,
  InvalidArgumentError,
} from '../model/index.ts'
import type { Direction, LogQuery, StreamQuery } from '../ports/index.ts'

/** Bounds of one call. */
export interface BoundedCall {
  /** Ends the call early; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Milliseconds until the call must have ended, one way or the other. */
  readonly timeoutMs?: number | undefined
}

/** Bounds of one read that a replica may serve. */
export interface BoundedRead extends BoundedCall {
  /** How fresh it has to be; see `openStore` with `replicas`. */
  readonly fresh?: Freshness | undefined
}

/** Throws InvalidArgumentError unless options are an object with a real signal and freshness. */
export function assertCall(options: BoundedRead): void {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError('options', 'must be an object')
  }
  const { signal, fresh } = options
  assertFreshness(fresh)
  if (signal === undefined) return
  if (typeof signal?.throwIfAborted === 'function' && typeof signal.aborted === 'boolean') return
  throw new InvalidArgumentError('signal', 'must be an AbortSignal')
}

/** Which of an event's two times a moment goes by: its own, or the store's. */
export interface TimeBasis {
  readonly by?: 'time' | 'recordedAt' | undefined
}

/** Options of `readStream`. */
export interface ReadStreamOptions extends BoundedRead, TimeBasis {
  /** First version, inclusive. Reading a truncated version is a StreamTruncatedError. */
  readonly from?: number | undefined
  /** Last version, inclusive. */
  readonly to?: number | undefined
  readonly limit?: number | undefined
  readonly direction?: Direction | undefined
  /** Only what had happened by then (inclusive). */
  readonly asOf?: Date | undefined
  /** Checks the data against the schema that the store knows; ValidationError where it fails. */
  readonly validate?: boolean | undefined
}

/** Options of `readAll`. Filters are joined by AND; the values of one filter by OR, tags by AND. */
export interface ReadAllOptions<Type extends string = string> extends BoundedRead, TimeBasis {
  /** Positions above this one only. */
  readonly after?: number | undefined
  /** Positions below this one only. */
  readonly before?: number | undefined
  /** Not before this moment. */
  readonly since?: Date | undefined
  /** Before this moment. */
  readonly until?: Date | undefined
  readonly types?: readonly Type[] | undefined
  readonly categories?: readonly string[] | undefined
  readonly tags?: readonly string[] | undefined
  readonly limit?: number | undefined
  readonly direction?: Direction | undefined
  /** `safe` (default) stops where no event can appear any more; `newest` at the last commit. */
  readonly upTo?: 'safe' | 'newest' | undefined
  readonly includeArchived?: boolean | undefined
  readonly validate?: boolean | undefined
}

function integer(name: string, value: unknown, least: number): number | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least) {
    throw new InvalidArgumentError(name, `must be an integer of ${least} or more`)
  }
  return value
}

/** Milliseconds of a Date that is one. */
export function moment(name: string, value: unknown): number | undefined {
  if (value === undefined) return undefined
  if (!(value instanceof Date) || Number.isNaN(value.getTime())) {
    throw new InvalidArgumentError(name, 'must be a valid Date')
  }
  return value.getTime()
}

function oneOf<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  if (value === undefined) return choices[0] as T
  if (!choices.includes(value as T)) {
    throw new InvalidArgumentError(name, `must be one of ${choices.join(', ')}`)
  }
  return value as T
}

function texts(name: string, value: unknown): readonly string[] | undefined {
  if (value === undefined) return undefined
  // A copy: what is checked here is what is read with, whatever the caller does to his list.
  const items: readonly unknown[] | undefined = Array.isArray(value) ? Array.from(value) : undefined
  if (items?.every((item) => typeof item === 'string')) return items as readonly string[]
  throw new InvalidArgumentError(name, 'must be an array of strings')
}

/** Checks the options of a read of one stream. Throws InvalidArgumentError, InvalidNameError. */
export function streamQuery(stream: string, options: ReadStreamOptions): StreamQuery {
  assertStreamName(stream)
  const at = moment('asOf', options.asOf)
  const by = oneOf('by', options.by, ['time', 'recordedAt'])
  return {
    stream,
    from: integer('from', options.from, 1),
    to: integer('to', options.to, 0),
    limit: integer('limit', options.limit, 0),
    direction: oneOf('direction', options.direction, ['forward', 'backward']),
    asOf: at === undefined ? undefined : { at, by },
  }
}

/** Checks the options of a read of the log; the bound comes from the store's positions. */
export function logQuery(
  options: ReadAllOptions,
): (bound: { readonly safe: number; readonly newest: number }) => LogQuery {
  const upTo = oneOf('upTo', options.upTo, ['safe', 'newest'])
  const query = {
    after: integer('after', options.after, 0),
    before: integer('before', options.before, 0),
    since: moment('since', options.since),
    until: moment('until', options.until),
    by: oneOf('by', options.by, ['time', 'recordedAt']),
    types: texts('types', options.types),
    categories: texts('categories', options.categories),
    tags: texts('tags', options.tags),
    limit: integer('limit', options.limit, 0),
    direction: oneOf('direction', options.direction, ['forward', 'backward']),
    includeArchived: options.includeArchived,
  } as const
  return (bound) => ({ ...query, upTo: bound[upTo] })
}

/** Options of `store.streams`. */
export interface StreamsOptions extends BoundedRead {
  readonly prefix?: string | undefined
  readonly category?: string | undefined
  readonly limit?: number | undefined
}

/** Throws InvalidArgumentError for what chooses no streams. */
export function assertStreams(options: StreamsOptions): void {
  const { limit } = options
  for (const name of ['prefix', 'category'] as const) {
    const value: unknown = options[name]
    if (value !== undefined && typeof value !== 'string') {
      throw new InvalidArgumentError(name, 'must be a string')
    }
    // No name holds half of a pair, and stores differ in what begins with one.
    if (value?.isWellFormed() === false) {
      throw new InvalidArgumentError(name, 'holds a lone surrogate')
    }
  }
  if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 0)) {
    throw new InvalidArgumentError('limit', 'must be an integer of 0 or more')
  }
}
