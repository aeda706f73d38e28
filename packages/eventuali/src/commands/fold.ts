import {
  type AggregateDefinition,
  type EventInput,
  evolveOne,
  InvalidArgumentError,
  type RecordedEvent,
  StreamTruncatedError,
  systemEventTypes,
} from '../model/index.ts'
import type { CallOptions, MomentQuery, StreamAccess } from '../ports/index.ts'

/** A state and the version of the stream it was folded from. */
export interface Loaded<S> {
  readonly state: S
  /** 0 for a stream that never was. */
  readonly version: number
}

/** Which state to load; the newest when nothing is said. */
export interface LoadOptions extends CallOptions {
  /** The state after this version (or the newest, when the stream is not that far). */
  readonly version?: number | undefined
  /** The state at this moment, inclusive. */
  readonly at?: Date | undefined
  /** The state when the log went up to this position, inclusive. */
  readonly position?: number | undefined
  /** Which of an event's two times `at` goes by; the event's own when left out. */
  readonly by?: 'time' | 'recordedAt' | undefined
}

function momentOf(options: LoadOptions): MomentQuery | undefined {
  const { at, by = 'time' } = options
  if (at === undefined) return undefined
  const moment = at instanceof Date ? at.getTime() : Number.NaN
  if (Number.isNaN(moment)) throw new InvalidArgumentError('at', 'is not a valid Date')
  if (by !== 'time' && by !== 'recordedAt') {
    throw new InvalidArgumentError('by', "is not 'time' or 'recordedAt'")
  }
  return { at: moment, by }
}

function checkedCount(name: string, count: number | undefined): number | undefined {
  if (count === undefined || (Number.isSafeInteger(count) && count >= 0)) return count
  throw new InvalidArgumentError(name, 'is not a whole number from 0 on')
}

async function assertWhole(
  access: StreamAccess,
  stream: string,
  options: LoadOptions,
): Promise<void> {
  const info = await access.stream(stream, options)
  if (info !== undefined && info.firstVersion > 1) {
    throw new StreamTruncatedError(stream, info.firstVersion)
  }
}

/**
 * Pages of the stored events that a state needs, from the first version on. Throws
 * StreamTruncatedError when some of them were removed.
 */
export async function* neededPages(
  access: StreamAccess,
  stream: string,
  options: LoadOptions,
): AsyncGenerator<readonly RecordedEvent[], void, void> {
  const to = checkedCount('version', options.version)
  const position = checkedCount('position', options.position)
  const asOf = momentOf(options)
  if (to === 0) return
  let isEmpty = true
  const query = { stream, from: 1, to, direction: 'forward', asOf } as const
  for await (const page of access.readStream(query, options)) {
    const [first] = page
    // A deletion's tombstone stands in for all that went before it.
    if (isEmpty && first?.version !== 1 && first?.type !== systemEventTypes.deleted) {
      await assertWhole(access, stream, options)
    }
    const last = page.at(-1)
    if (position !== undefined && last !== undefined && last.position > position) {
      const known = page.filter((event) => event.position <= position)
      if (known.length === 0) break
      yield known
      return
    }
    isEmpty = false
    yield page
  }
  // Nothing up to there: it may have been removed.
  const isBounded = to !== undefined || position !== undefined || asOf !== undefined
  if (isEmpty && isBounded) await assertWhole(access, stream, options)
}

/**
 * Folds a stream from its first version. A deleted stream gives the initial state at its version,
 * a recreated one is folded from after its deletion. Throws StreamTruncatedError when events that
 * the state needs were removed, UnknownEventTypeError for a type without a handler.
 */
export async function foldStream<S>(
  access: StreamAccess,
  definition: AggregateDefinition<S, unknown, EventInput>,
  stream: string,
  options: LoadOptions = {},
): Promise<Loaded<S>> {
  let state = definition.initial()
  let version = 0
  for await (const page of neededPages(access, stream, options)) {
    for (const event of definition.registry.upcast(page)) {
      state = evolveOne(definition, state, event)
    }
    version = page.at(-1)?.version ?? version
  }
  return { state, version }
}
