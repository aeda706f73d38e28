import {
  type AggregateDefinition,
  type EventInput,
  evolveOne,
  InvalidArgumentError,
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

function checkedVersion(version: number | undefined): number | undefined {
  if (version === undefined || (Number.isSafeInteger(version) && version >= 0)) return version
  throw new InvalidArgumentError('version', 'is not a whole number from 0 on')
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
  const to = checkedVersion(options.version)
  const asOf = momentOf(options)
  let state = definition.initial()
  let version = 0
  if (to === 0) return { state, version }
  const query = { stream, from: 1, to, direction: 'forward', asOf } as const
  for await (const page of access.readStream(query, options)) {
    const [first] = page
    // A deletion's tombstone stands in for all that went before it.
    if (version === 0 && first?.version !== 1 && first?.type !== systemEventTypes.deleted) {
      await assertWhole(access, stream, options)
    }
    for (const event of definition.registry.upcast(page)) {
      state = evolveOne(definition, state, event)
    }
    version = page.at(-1)?.version ?? version
  }
  // Nothing up to there: it may have been removed.
  if (version === 0 && (to !== undefined || asOf !== undefined)) {
    await assertWhole(access, stream, options)
  }
  return { state, version }
}
