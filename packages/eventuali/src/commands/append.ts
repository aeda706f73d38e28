import {
  AppendConditionError,
  assertStreamName,
  checkedQuery,
  type DecisionQuery,
  type EventInput,
  type ExpectedVersion,
  IdempotencyConflictError,
  InvalidArgumentError,
  ProjectionMissingError,
  type RecordedEvent,
  StreamArchivedError,
  StreamDeletedError,
  VersionConflictError,
} from '../model/index.ts'
import type {
  AppendCondition,
  AppendEntry,
  AppendedEntry,
  AppendOutcome,
  CallOptions,
  StreamAccess,
} from '../ports/index.ts'
import { type PreparedEvents, type PrepareOptions, prepareEvents } from './prepare.ts'
import type { CommandRuntime } from './runtime.ts'

/** What an append did. */
export interface AppendResult<E extends RecordedEvent = RecordedEvent> {
  readonly stream: string
  /** The stream's version after the append. */
  readonly version: number
  /** Position of the last event. */
  readonly position: number
  readonly events: readonly E[]
  /** True when all ids were known already: this is the first result, nothing new was stored. */
  readonly duplicate?: true
}

/** Options of `append`. */
export interface AppendOptions extends CallOptions {
  /** Events the caller has seen (`0`: the stream must not exist), `'any'` or `'exists'`. */
  readonly expectedVersion?: ExpectedVersion | undefined
  /** Goes on after a deletion instead of failing. */
  readonly recreate?: boolean | undefined
}

/** One stream's part of `appendAll`. */
export interface AppendAllEntry {
  readonly stream: string
  readonly events: EventInput | readonly EventInput[]
  readonly expectedVersion?: ExpectedVersion | undefined
  readonly recreate?: boolean | undefined
}

/** Fails the append when an event that the query asks for has arrived after the position. */
export interface ConditionInput {
  readonly query: DecisionQuery | readonly DecisionQuery[]
  /** The safe position that the query was read up to. */
  readonly position: number
}

/** Options of `appendAll`. */
export interface AppendAllOptions extends CallOptions {
  readonly condition?: ConditionInput | undefined
}

const noOptions: AppendOptions = {}

/** Throws InvalidArgumentError unless `value` is a version, `'any'` or `'exists'`. */
export function checkedExpectedVersion(value: unknown): ExpectedVersion {
  if (value === undefined || value === 'any') return 'any'
  if (value === 'exists') return value
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new InvalidArgumentError(
    'expectedVersion',
    "is not a whole number from 0 on, 'any' or 'exists'",
  )
}

function checkedCondition(condition: ConditionInput): AppendCondition {
  const { position } = condition
  if (!Number.isSafeInteger(position) || position < 0) {
    throw new InvalidArgumentError(
      'condition.position',
      'is not a position (a whole number from 0)',
    )
  }
  return { query: checkedQuery('condition.query', condition.query), position }
}

/** The error for a refusal. */
export function refusalError(outcome: Exclude<AppendOutcome, { readonly ok: true }>): Error {
  switch (outcome.reason) {
    case 'version-conflict':
      return new VersionConflictError(
        outcome.stream,
        outcome.expectedVersion,
        outcome.actualVersion,
      )
    case 'condition-failed':
      return new AppendConditionError(outcome.position, outcome.events)
    case 'idempotency-conflict':
      return new IdempotencyConflictError(outcome.stream, outcome.ids)
    case 'stream-deleted':
      return new StreamDeletedError(outcome.stream)
    case 'stream-archived':
      return new StreamArchivedError(outcome.stream)
    case 'projection-missing':
      return new ProjectionMissingError(
        outcome.projections.map(({ name, version }) => `${name}@${version}`),
      )
  }
}

function entryOf(
  stream: string,
  prepared: PreparedEvents,
  expectedVersion: ExpectedVersion,
  recreate: boolean | undefined,
): AppendEntry {
  const { events } = prepared
  return recreate === true
    ? { stream, expectedVersion, events, recreate }
    : { stream, expectedVersion, events }
}

function decodedDuplicates(
  runtime: CommandRuntime,
  stored: readonly RecordedEvent[],
  prepared: PreparedEvents,
): readonly RecordedEvent[] {
  const { registry } = runtime
  const definitions = prepared.coded?.definitions
  if (definitions === undefined || registry.evolves) return registry.read(stored)
  return stored.map((event, index) => {
    const codec = definitions[index]?.codec
    return codec === undefined ? event : { ...event, data: codec.decode(event.data) }
  })
}

/** What the store said, joined with what it was handed: nothing is read again or cloned. */
function resultOf(
  runtime: CommandRuntime,
  entry: AppendedEntry,
  prepared: PreparedEvents,
): AppendResult {
  const { stream, version, positions, duplicate } = entry
  if (duplicate !== undefined) {
    const events = decodedDuplicates(runtime, duplicate, prepared)
    const position = duplicate[duplicate.length - 1]?.position ?? 0
    return { stream, version, position, events, duplicate: true }
  }
  const recordedAt = new Date(entry.recordedAt)
  const before = version - prepared.events.length
  const outputs = prepared.coded?.outputs
  const events = prepared.events.map((event, index): RecordedEvent => {
    const { id, type, metadata, schemaVersion, tags } = event
    return {
      id,
      stream,
      version: before + index + 1,
      position: positions[index] as number,
      type,
      data: outputs === undefined ? event.data : outputs[index],
      metadata,
      time: new Date(event.time),
      recordedAt,
      schemaVersion,
      tags,
    }
  })
  return { stream, version, position: positions[positions.length - 1] as number, events }
}

/** Appends what is prepared already. For commands. */
export async function appendPrepared(
  access: StreamAccess,
  runtime: CommandRuntime,
  stream: string,
  prepared: PreparedEvents,
  expectedVersion: ExpectedVersion,
  options: AppendOptions = noOptions,
): Promise<AppendResult> {
  const entry = entryOf(stream, prepared, expectedVersion, options.recreate)
  const outcome = await access.append({ entries: [entry] }, options)
  if (!outcome.ok) throw refusalError(outcome)
  return resultOf(runtime, outcome.entries[0] as AppendedEntry, prepared)
}

/**
 * Appends one event or many to a stream, atomically.
 * Throws what `prepareEvents` throws, VersionConflictError, IdempotencyConflictError,
 * StreamDeletedError, StreamArchivedError, and the store's own errors.
 */
export async function append(
  access: StreamAccess,
  runtime: CommandRuntime,
  stream: string,
  events: EventInput | readonly EventInput[],
  options: AppendOptions = noOptions,
): Promise<AppendResult> {
  assertStreamName(stream)
  const expectedVersion = checkedExpectedVersion(options.expectedVersion)
  const preparing = prepareEvents(runtime, stream, events)
  const prepared = preparing instanceof Promise ? await preparing : preparing
  const entry = entryOf(stream, prepared, expectedVersion, options.recreate)
  const outcome = await access.append({ entries: [entry] }, options)
  if (!outcome.ok) throw refusalError(outcome)
  return resultOf(runtime, outcome.entries[0] as AppendedEntry, prepared)
}

/**
 * Appends to several streams, each named once, in one transaction; one result for each entry.
 * With a condition it also throws AppendConditionError, which carries the events that arrived.
 */
export async function appendAll(
  access: StreamAccess,
  runtime: CommandRuntime,
  entries: readonly AppendAllEntry[],
  options: AppendAllOptions = noOptions,
  prepare?: PrepareOptions,
): Promise<readonly AppendResult[]> {
  if (!Array.isArray(entries) || entries.length === 0) {
    throw new InvalidArgumentError('entries', 'name no stream; hand in at least one')
  }
  const streams = new Set<string>()
  for (const entry of entries) {
    if (typeof entry !== 'object' || entry === null) {
      throw new InvalidArgumentError('entries', 'hold something that is no { stream, events }')
    }
    const { stream } = entry
    assertStreamName(stream)
    if (streams.has(stream)) {
      throw new InvalidArgumentError(
        'entries',
        `name ${JSON.stringify(stream)} twice; join its events`,
      )
    }
    streams.add(stream)
  }
  const expected = entries.map((entry) => checkedExpectedVersion(entry.expectedVersion))
  const condition =
    options.condition === undefined ? undefined : checkedCondition(options.condition)
  const preparing = entries.map((entry) => {
    const made = prepareEvents(runtime, entry.stream, entry.events, prepare)
    // A later entry may throw first; this promise must not become an unhandled rejection.
    if (made instanceof Promise) made.catch(() => undefined)
    return made
  })
  const prepared = preparing.some((made) => made instanceof Promise)
    ? await Promise.all(preparing)
    : (preparing as readonly PreparedEvents[])
  const parts = entries.map((entry, index) =>
    entryOf(
      entry.stream,
      prepared[index] as PreparedEvents,
      expected[index] as ExpectedVersion,
      entry.recreate,
    ),
  )
  const outcome = await access.append(
    condition === undefined ? { entries: parts } : { entries: parts, condition },
    options,
  )
  if (!outcome.ok) throw refusalError(outcome)
  return outcome.entries.map((entry, index) =>
    resultOf(runtime, entry, prepared[index] as PreparedEvents),
  )
}
