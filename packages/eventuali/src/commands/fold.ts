import { isEventualiError } from '../kernel/index.ts'
import {
  type AggregateDefinition,
  type EventInput,
  evolveOne,
  freshAt,
  InvalidArgumentError,
  type RecordedEvent,
  StreamTruncatedError,
  systemEventTypes,
} from '../model/index.ts'
import type {
  AnyAggregate,
  FoundSnapshot,
  MomentQuery,
  ReadOptions,
  SnapshotSource,
  StreamAccess,
} from '../ports/index.ts'

/** A state and the version of the stream it was folded from. */
export interface Loaded<S> {
  readonly state: S
  /** 0 for a stream that never was. */
  readonly version: number
}

/** Which state to load; the newest when nothing is said. */
export interface LoadOptions extends ReadOptions {
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

function checkedBounds(options: LoadOptions): LoadOptions {
  checkedCount('version', options.version)
  checkedCount('position', options.position)
  return options
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

/** Where a fold begins, and how far it has come. */
interface Progress {
  state: unknown
  version: number
  position: number
  eventCount: number
  byteCount: number
}

/** The stored events after a kept state; undefined when the stream has another history. */
async function* pagesAfter(
  access: StreamAccess,
  stream: string,
  { version, position }: FoundSnapshot,
  options: LoadOptions,
): AsyncGenerator<readonly RecordedEvent[] | undefined, void, void> {
  // From the event that the state was kept at, which proves that they belong together.
  const query = { stream, from: version, to: options.version, direction: 'forward' } as const
  const mostPosition = options.position ?? Number.POSITIVE_INFINITY
  let isProven = false
  for await (const page of access.readStream(query, options)) {
    const [first] = page
    if (!isProven && first?.version === version) {
      if (first.position !== position) return yield undefined
    } else if (!isProven && !(await isCutAt(access, stream, version, options))) {
      return yield undefined
    }
    isProven = true
    const known = page.filter((event) => event.version > version && event.position <= mostPosition)
    if (known.length > 0) yield known
    if ((page.at(-1)?.position ?? 0) > mostPosition) return
  }
  if (!isProven && !(await isCutAt(access, stream, version, options))) yield undefined
}

/** Whether the event of this version was removed and the one behind it was not. */
async function isCutAt(
  access: StreamAccess,
  stream: string,
  version: number,
  options: LoadOptions,
): Promise<boolean> {
  const info = await access.stream(stream, options)
  if (info === undefined || info.version < version) return false
  return info.firstVersion === version + 1
}

async function foldFrom(
  access: StreamAccess,
  definition: AnyAggregate,
  stream: string,
  options: LoadOptions,
  snapshots: SnapshotSource | undefined,
  found: FoundSnapshot | undefined,
): Promise<Progress | undefined> {
  // Where the kept state is, a replica that serves the rest has to be as well.
  const { fresh } = options
  const isAsking = found !== undefined && fresh !== undefined
  const reading = isAsking ? { ...options, fresh: freshAt(fresh, found.position) } : options
  const begin = found ?? { state: definition.initial(), version: 0, position: 0 }
  const { state, version, position } = begin
  const progress: Progress = { state, version, position, eventCount: 0, byteCount: 0 }
  const pages =
    found === undefined
      ? neededPages(access, stream, options)
      : pagesAfter(access, stream, found, reading)
  for await (const page of pages) {
    if (page === undefined) return undefined
    for (const event of definition.registry.upcast(page)) {
      progress.state = evolveOne(definition, progress.state, event)
    }
    const last = page.at(-1)
    progress.version = last?.version ?? progress.version
    progress.position = last?.position ?? progress.position
    progress.eventCount += page.length
    if (snapshots?.countsBytes !== true) continue
    for (const { data } of page) progress.byteCount += JSON.stringify(data).length
  }
  return progress
}

/** Folds with the help of a kept state, where there is one, and tells of it. */
async function foldKept(
  access: StreamAccess,
  definition: AnyAggregate,
  stream: string,
  options: LoadOptions,
  snapshots: SnapshotSource,
): Promise<Progress> {
  const startedMs = snapshots.clock.monotonic()
  let found = await snapshots.find(access, definition, stream, options, options)
  let progress: Progress | undefined
  try {
    progress = await foldFrom(access, definition, stream, options, snapshots, found)
  } catch (error) {
    // The events are gone: a state that nobody has compared yet is all that is left.
    const isGone = isEventualiError(error, 'STREAM_TRUNCATED')
    if (!isGone || (await snapshots.trusted?.(definition, options)) !== true) throw error
    found = await snapshots.find(access, definition, stream, options, options)
    if (found === undefined) throw error
    progress = await foldFrom(access, definition, stream, options, snapshots, found)
  }
  const from = progress === undefined ? undefined : found
  if (progress === undefined) {
    snapshots.foreign(stream, found)
    progress = await foldFrom(access, definition, stream, options, snapshots, undefined)
  }
  const whole = progress as Progress
  if (options.version === undefined && options.position === undefined) {
    const elapsedMs = snapshots.clock.monotonic() - startedMs
    snapshots.loaded(definition, stream, { ...whole, elapsedMs, from })
  }
  return whole
}

/**
 * Folds a stream from its first version, or from a kept state. A deleted stream gives the initial
 * state at its version, a recreated one is folded from after its deletion. Throws
 * StreamTruncatedError when events that the state needs were removed, UnknownEventTypeError for a
 * type without a handler.
 */
export async function foldStream<S>(
  access: StreamAccess,
  definition: AggregateDefinition<S, unknown, EventInput>,
  stream: string,
  options: LoadOptions = {},
  snapshots?: SnapshotSource,
): Promise<Loaded<S>> {
  const erased = definition as unknown as AnyAggregate
  // A moment looks at the times of all events, which a kept state does not have.
  const { state, version } =
    snapshots === undefined || options.at !== undefined
      ? ((await foldFrom(access, erased, stream, options, undefined, undefined)) as Progress)
      : await foldKept(access, erased, stream, checkedBounds(options), snapshots)
  return { state: state as S, version }
}
