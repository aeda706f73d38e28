import { availableParallelism } from 'node:os'
import type { Clock, Random } from '../../kernel/index.ts'
import { InvalidArgumentError, type Json, type RecordedEvent } from '../../model/index.ts'
import type { PartitionBy } from '../../subscriptions/index.ts'
import type { ReplayFilter } from '../replay-options.ts'

/** What a handler, or a fold, gets beside the events. */
export interface PartitionContext {
  /** Counts from 0. */
  readonly partition: number
  readonly partitions: number
  /** What `data` of the options is. */
  readonly data: Json | undefined
  /** Aborted when the work is to stop. Never in a thread, which ends by itself. */
  readonly signal: AbortSignal | undefined
}

/** Gets the events of its partition, in log order, some at a time. */
export type PartitionHandler = (
  events: readonly RecordedEvent[],
  context: PartitionContext,
) => unknown

/** One state for each partition, made of its events in log order, and one of all of them. */
export interface PartitionFold<S = unknown> {
  readonly initial: (context: PartitionContext) => S
  /** May change the state that it gets, and gives the next one. */
  readonly evolve: (state: S, event: RecordedEvent) => S
  /** Joins the states of two partitions. Without it the result has one for each. */
  readonly merge?: ((one: S, other: S) => S) | undefined
}

/** A module that exports `handle` (a PartitionHandler) or `fold` (a PartitionFold). */
export interface PartitionModule {
  /** `new URL('./delays.ts', import.meta.url)`: each partition is a thread that imports it. */
  readonly module: URL
}

/** What is done with the events. */
export type PartitionWork<S = unknown> = PartitionHandler | PartitionFold<S> | PartitionModule

/** How far it has come. */
export interface ProcessProgress {
  /** Events handed to partitions by this run. */
  readonly done: number
  readonly position: number
  /** The last position that belongs to the run. */
  readonly upTo: number
  /** Milliseconds left, by the speed so far; undefined until there is one. */
  readonly etaMs: number | undefined
}

/** Options of `processAll`. */
export interface ProcessOptions<S = unknown> {
  /** A handler, a fold, or a module with one, which then runs in threads. */
  readonly work: PartitionWork<S>
  /** For handlers and folds; `data` in what they get. Sent to threads as a copy. */
  readonly data?: Json | undefined
  /** How many at a time: 8 when left out, in threads as many as the machine runs at once. */
  readonly partitions?: number | undefined
  /** By what the order of events is kept: `stream` when left out. */
  readonly by?: PartitionBy | undefined
  /** Positions above this one; 0, the beginning of the log, when left out. */
  readonly after?: number | undefined
  /** The last position, inclusive; the safe position at the start when left out. */
  readonly upTo?: number | undefined
  readonly filter?: ReplayFilter | undefined
  /**
   * Keeps a durable checkpoint under this name: after a stop or a crash the next run of the name
   * goes on behind it, and a later one takes what has come since. States of folds are kept with
   * it, so they must be what JSON can carry.
   */
  readonly resume?: { readonly name: string } | undefined
  /** Events between two checkpoints, about; 20,000 when left out. */
  readonly checkpointEvery?: number | undefined
  /** Events in one call of a handler, at most; 500 when left out. */
  readonly maxBatch?: number | undefined
  /** Called after each page that was handed out. */
  readonly onProgress?: ((progress: ProcessProgress) => void) | undefined
  /** Ends it behind the events that are under way; the result says `stopped`. */
  readonly signal?: AbortSignal | undefined
  /** From a stored event to what the work sees; as it is stored when left out. */
  readonly decode?: ((event: RecordedEvent) => RecordedEvent) | undefined
  /** For repeatable runs: the source of time. */
  readonly clock?: Clock | undefined
  /** For repeatable runs: the source of chance. */
  readonly random?: Random | undefined
}

/** What was done. */
export interface ProcessResult<S = unknown> {
  /** Events that this run has worked on. */
  readonly events: number
  /** The same for each partition. */
  readonly byPartition: readonly number[]
  /** Everything at or below it is done. */
  readonly position: number
  readonly seconds: number
  /** The states of a fold with `merge`, joined. */
  readonly state?: S | undefined
  /** The states of a fold, partition by partition. */
  readonly states?: readonly S[] | undefined
  /** True when the signal ended it early. */
  readonly stopped?: boolean | undefined
}

/** Options with what was left out. */
export interface ProcessSettings {
  readonly partitions: number
  readonly checkpointEvery: number
  readonly maxBatch: number
}

const HANDLER_PARTITIONS = 8
const PARTITION_COUNT_MAX = 256
const CHECKPOINT_EVERY = 20_000
const BATCH_COUNT = 500
const BATCH_COUNT_MAX = 10_000

function refuse(argument: string, what: string): never {
  throw new InvalidArgumentError(argument, what)
}

function counted(argument: string, value: unknown, most: number, otherwise: number): number {
  if (value === undefined) return otherwise
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= most) {
    return value as number
  }
  return refuse(argument, `must be an integer from 1 to ${most}`)
}

/** Whether it is a fold. */
export function isFold(work: unknown): work is PartitionFold {
  const fold = work as Partial<PartitionFold> | null | undefined
  return typeof fold === 'object' && typeof fold?.evolve === 'function'
}

function assertWork(work: unknown): void {
  if (typeof work === 'function') return
  if (typeof work !== 'object' || work === null) {
    refuse('work', 'must be a handler, { initial, evolve } or { module }')
  }
  if ('module' in work) {
    if (!(work.module instanceof URL)) {
      refuse('work.module', "must be a URL: new URL('./file.js', import.meta.url)")
    }
    return
  }
  assertFold('work', work)
}

/** Throws InvalidArgumentError unless it is a fold. */
export function assertFold(argument: string, fold: object): asserts fold is PartitionFold {
  const { initial, evolve, merge } = fold as Partial<PartitionFold>
  if (typeof initial !== 'function' || typeof evolve !== 'function') {
    refuse(argument, 'must be a handler, or a fold with the functions initial and evolve')
  }
  if (merge !== undefined && typeof merge !== 'function')
    refuse(`${argument}.merge`, 'is no function')
}

function assertBy(by: unknown): void {
  if (by === undefined || by === 'stream') return
  const given = (typeof by === 'object' && by !== null ? by : {}) as Record<string, unknown>
  const { tag, name, key } = given
  if (!('key' in given) && typeof tag === 'string' && tag !== '') return
  if (typeof name === 'string' && name !== '' && typeof key === 'function') return
  refuse('by', "must be 'stream', { tag } or { name, key }")
}

/** Checks the options, but for those that a replay has as well. Throws InvalidArgumentError. */
export function processSettings(options: ProcessOptions): ProcessSettings {
  if (typeof options !== 'object' || options === null) refuse('options', 'must be an object')
  const { work, by, partitions, checkpointEvery, maxBatch } = options
  for (const name of ['onProgress', 'decode'] as const) {
    const given: unknown = options[name]
    if (given !== undefined && typeof given !== 'function') refuse(name, 'must be a function')
  }
  assertWork(work)
  assertBy(by)
  const inThreads = typeof work === 'object' && 'module' in work
  const many = inThreads ? availableParallelism() : HANDLER_PARTITIONS
  return {
    partitions: counted('partitions', partitions, PARTITION_COUNT_MAX, many),
    checkpointEvery: counted('checkpointEvery', checkpointEvery, 10_000_000, CHECKPOINT_EVERY),
    maxBatch: counted('maxBatch', maxBatch, BATCH_COUNT_MAX, BATCH_COUNT),
  }
}
