import type { Clock, Random } from '../kernel/index.ts'
import {
  assertStreamName,
  categoryOf,
  InvalidArgumentError,
  type RecordedEvent,
} from '../model/index.ts'
import type { EventStore, StoreTransaction } from '../ports/index.ts'
import type { LiveProjection, ProjectionDefinition } from '../projections/index.ts'
import type { PortOrStore } from './port-or-store.ts'

/** Where a replay begins. */
export type ReplayFrom =
  /** Positions above this one; 0 is the beginning of the log. */
  | { readonly position: number }
  /** Events not before this moment, by their own time unless `by` says otherwise. */
  | { readonly time: Date; readonly by?: 'time' | 'recordedAt' | undefined }
  /** One stream, from this version on. */
  | { readonly stream: string; readonly version?: number | undefined }

/** Which events are replayed. Filters are joined by AND; values of one by OR, tags by AND. */
export interface ReplayFilter {
  readonly types?: readonly string[] | undefined
  /** Not together with `from: { stream }`. */
  readonly categories?: readonly string[] | undefined
  readonly tags?: readonly string[] | undefined
  /** Events of archived streams too; always so into another store and from one stream. */
  readonly includeArchived?: boolean | undefined
}

/** What a handler gets beside the events. */
export interface ReplayContext {
  /** Aborted when the replay is to stop. */
  readonly signal: AbortSignal | undefined
  /** Position of the (last) event at hand. */
  readonly position: number
  /** The transaction that the checkpoint is written in, when the handler asked for one. */
  readonly tx?: StoreTransaction | undefined
}

/** Gets many events at once. */
export interface ReplayBatchHandler {
  readonly batch: (events: readonly RecordedEvent[], context: ReplayContext) => unknown
  /** Events in one call, at most; 1,000 when left out. */
  readonly maxBatch?: number | undefined
  /**
   * Each call runs in a transaction of the replayed store (`context.tx`), together with the
   * checkpoint: what the handler writes there takes effect exactly once.
   */
  readonly transactional?: boolean | undefined
}

/** Another store. Ids, order, times, metadata and tags are kept. */
export interface ReplayStoreTarget {
  readonly store: PortOrStore<EventStore>
  /**
   * `keep` (default): every event gets the version that it has in the source, and streams are
   * archived as they are there; ReplayTargetError where that cannot be. `renumber`: the target
   * counts by itself, so a part of a stream may be replayed; the store's own events (`$archived`,
   * …) are left out.
   */
  readonly versions?: 'keep' | 'renumber' | undefined
}

/**
 * A projection in memory, made for this replay from a definition; the result has it. What it
 * handles is what is read, unless the filter says otherwise. Its effects do not run. The stored
 * tables of a projection are made anew by `store.projections.rebuild`.
 */
export interface ReplayProjectionTarget<C = unknown> {
  readonly projection: ProjectionDefinition<C, unknown>
}

/** Where events go. */
export type ReplayInto =
  | ((event: RecordedEvent, context: ReplayContext) => unknown)
  | ReplayBatchHandler
  | ReplayStoreTarget
  | ReplayProjectionTarget

/** How far a replay has come. */
export interface ReplayProgress {
  /** Events handed over by this run. */
  readonly done: number
  /** Events of this run altogether, where that is known beforehand: of one unfiltered stream. */
  readonly total?: number | undefined
  readonly position: number
  /** Milliseconds left, by the speed so far; undefined until there is one. */
  readonly etaMs: number | undefined
}

/** Options of a replay. */
export interface ReplayOptions {
  /** The beginning of the log when left out. */
  readonly from?: ReplayFrom | undefined
  readonly filter?: ReplayFilter | undefined
  /** The last position, inclusive; the safe position at the start when left out. */
  readonly upTo?: number | undefined
  /** May be left out of a dry run. */
  readonly into?: ReplayInto | undefined
  /** Events in a second, at most. */
  readonly ratePerSecond?: number | undefined
  /** Reads and counts, hands nothing over and changes nothing. */
  readonly dryRun?: boolean | undefined
  /** Called after each batch. */
  readonly onProgress?: ((progress: ReplayProgress) => void) | undefined
  /**
   * Keeps a durable checkpoint under this name: the next replay of the name goes on behind it,
   * after a stop, a crash, or to take what has come since. Kept in the store that is replayed, or
   * in the target store.
   */
  readonly resume?: { readonly name: string } | undefined
  /** Ends the replay after the batch in hand; the result says `stopped`. */
  readonly signal?: AbortSignal | undefined
  /** Milliseconds for one transaction; 30,000 when left out. */
  readonly timeoutMs?: number | undefined
  /** From a stored event to what a handler sees; as it is stored when left out. */
  readonly decode?: ((event: RecordedEvent) => RecordedEvent) | undefined
  /** For repeatable runs: the source of time. */
  readonly clock?: Clock | undefined
  /** For repeatable runs: the source of chance. */
  readonly random?: Random | undefined
}

/** What a dry run would hand over. */
export interface ReplayCounts {
  readonly types: Readonly<Record<string, number>>
  readonly categories: Readonly<Record<string, number>>
}

/** What a replay did. */
export interface ReplayResult {
  /** Events handed over (in a dry run: counted) by this run. */
  readonly events: number
  /** Of these, events that the target store had already. */
  readonly duplicates?: number | undefined
  /** Everything at or below it is done. */
  readonly position: number
  readonly seconds: number
  /** True when the signal ended it early. */
  readonly stopped?: boolean | undefined
  /** Of a dry run. */
  readonly counts?: ReplayCounts | undefined
}

/** What a replay into a projection did. */
export interface ProjectedResult<C> extends ReplayResult {
  /** The projection as of `position`. */
  readonly projection: LiveProjection<C>
}

/** Counts events by type and by category of their streams. */
export class ReplayTally {
  readonly #types = new Map<string, number>()
  readonly #categories = new Map<string, number>()

  add(events: readonly RecordedEvent[]): void {
    for (const { type, stream } of events) {
      const category = categoryOf(stream)
      this.#types.set(type, (this.#types.get(type) ?? 0) + 1)
      this.#categories.set(category, (this.#categories.get(category) ?? 0) + 1)
    }
  }

  counts(): ReplayCounts {
    const object = (counts: ReadonlyMap<string, number>) => Object.fromEntries([...counts].sort())
    return { types: object(this.#types), categories: object(this.#categories) }
  }
}

const RATE_LIMIT = 10_000_000
const BATCH_COUNT_DEFAULT = 1000
const BATCH_COUNT_LIMIT = 10_000
/** A limited rate is kept over a tenth of a second, so that it is no sequence of bursts. */
const BATCHES_PER_SECOND = 10
const NAME_LENGTH_MAX = 200

function refuse(argument: string, what: string): never {
  throw new InvalidArgumentError(argument, what)
}

function assertInteger(argument: string, value: unknown, least: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= least)) return
  refuse(argument, `must be an integer of ${least} or more`)
}

function assertObject(argument: string, value: unknown): void {
  if (typeof value !== 'object' || value === null) refuse(argument, 'must be an object')
}

function assertFrom(from: ReplayFrom, filter: ReplayFilter): void {
  assertObject('from', from)
  assertObject('filter', filter)
  const named = (['position', 'time', 'stream'] as const).filter((key) => key in from)
  if (named.length > 1) refuse('from', `has ${named.join(' and ')}; give one of them`)
  if ('stream' in from) {
    assertStreamName(from.stream)
    assertInteger('from.version', from.version, 1)
    if (filter.categories !== undefined) refuse('categories', 'cannot be joined with from.stream')
  } else if ('time' in from) {
    const { time, by = 'time' } = from
    if (!(time instanceof Date) || Number.isNaN(time.getTime())) {
      refuse('from.time', 'must be a valid Date')
    }
    if (by !== 'time' && by !== 'recordedAt') refuse('from.by', 'must be time or recordedAt')
  } else {
    assertInteger('from.position', from.position ?? null, 0)
  }
}

function assertTexts(argument: string, value: unknown): void {
  if (value === undefined) return
  if (Array.isArray(value) && Array.from(value).every((item) => typeof item === 'string')) return
  refuse(argument, 'must be an array of strings')
}

function assertFlag(argument: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') refuse(argument, 'must be true or false')
}

function assertInto(into: object): void {
  assertObject('into', into)
  if ('store' in into) {
    const { versions = 'keep' } = into as { readonly versions?: unknown }
    if (versions !== 'keep' && versions !== 'renumber') {
      refuse('into.versions', 'must be keep or renumber')
    }
  }
  if (!('projection' in into)) return
  const { kind } = (into.projection ?? {}) as { readonly kind?: unknown }
  if (kind !== 'projection') refuse('into.projection', 'must be what defineProjection returns')
}

/** Checks the options of a replay. Throws InvalidArgumentError, InvalidNameError. */
export function assertReplayOptions(options: ReplayOptions): void {
  assertObject('options', options)
  const { from = { position: 0 }, filter = {}, upTo, into, ratePerSecond, resume } = options
  assertFrom(from, filter)
  if (options.decode !== undefined && typeof options.decode !== 'function') {
    refuse('decode', 'must be a function')
  }
  for (const name of ['types', 'categories', 'tags'] as const) assertTexts(name, filter[name])
  assertFlag('includeArchived', filter.includeArchived)
  assertInteger('upTo', upTo, 0)
  if (into === undefined && options.dryRun !== true) {
    refuse(
      'into',
      'must be a handler, { batch }, { store } or { projection }; only a dry run goes without',
    )
  }
  if (into !== undefined && typeof into !== 'function') assertInto(into)
  const isRate = typeof ratePerSecond === 'number' && ratePerSecond > 0
  if (ratePerSecond !== undefined && !(isRate && ratePerSecond <= RATE_LIMIT)) {
    refuse('ratePerSecond', `must be a number above 0, at most ${RATE_LIMIT}`)
  }
  if (resume === undefined) return
  assertObject('resume', resume)
  if (typeof into === 'object' && 'projection' in into) {
    refuse('resume', 'has no use for a projection in memory, which begins anew each time')
  }
  const { name } = resume
  if (typeof name !== 'string' || name === '' || name.length > NAME_LENGTH_MAX) {
    refuse('resume.name', `must be a text of 1 to ${NAME_LENGTH_MAX} characters`)
  }
}

/** Events that are read and handed over at once. */
export function replayBatchCount({ into, ratePerSecond }: ReplayOptions): number {
  const given = typeof into === 'object' && 'batch' in into ? into.maxBatch : undefined
  const count = given ?? BATCH_COUNT_DEFAULT
  if (!Number.isSafeInteger(count) || count < 1 || count > BATCH_COUNT_LIMIT) {
    refuse('maxBatch', `must be an integer from 1 to ${BATCH_COUNT_LIMIT}`)
  }
  if (ratePerSecond === undefined) return count
  return Math.min(count, Math.max(1, Math.floor(ratePerSecond / BATCHES_PER_SECOND)))
}
