import { backoffMs, deadlineIn, isEventualiError, uuidV5 } from '../kernel/index.ts'
import {
  type AggregateDefinition,
  assertEventId,
  type CommandContext,
  type EventInput,
  type EventMetadata,
  type ExpectedVersion,
  InvalidArgumentError,
  type RecordedEvent,
  streamOf,
  VersionConflictError,
} from '../model/index.ts'
import type { CallOptions, StreamAccess } from '../ports/index.ts'
import { appendPrepared, checkedExpectedVersion } from './append.ts'
import type { ExecuteOptions, ExecuteResult } from './command-arguments.ts'
import { currentContext } from './context.ts'
import { foldStream, type Loaded } from './fold.ts'
import { type PreparedEvents, prepareEvents } from './prepare.ts'
import { type CommandRuntime, pause, remaining } from './runtime.ts'

/** Events of a decision, and the validators' outputs where they are known already. */
export interface Decided {
  readonly events: readonly EventInput[]
  readonly outputs?: readonly unknown[] | undefined
}

/** One command on one aggregate, as the engine runs it. */
export interface CommandRun {
  readonly access: StreamAccess
  /** Its registry is the aggregate's own. */
  readonly runtime: CommandRuntime
  readonly definition: AggregateDefinition<unknown, unknown, EventInput>
  readonly id: string
  /** True for `create`: decides on the initial state and expects that there is no stream. */
  readonly isCreation: boolean
  readonly options: ExecuteOptions
  readonly decide: (state: unknown, context: CommandContext) => Decided | Promise<Decided>
}

function commandMetadata(options: ExecuteOptions): EventMetadata | undefined {
  const context = currentContext()
  const { commandId, metadata } = options
  if (commandId === undefined) return metadata === undefined ? context : { ...context, ...metadata }
  // A command begins a chain when nothing around it did.
  return { correlationId: commandId, causationId: commandId, ...context, ...metadata, commandId }
}

/** The first result of a command id, read forward while the ids go on; undefined when unknown. */
async function firstResult(
  run: CommandRun,
  stream: string,
  commandId: string,
  call: CallOptions | undefined,
): Promise<ExecuteResult | undefined> {
  const { access, definition } = run
  const first = await access.eventById(stream, uuidV5(commandId, stream, 0), call)
  if (first === undefined) return undefined
  const stored: RecordedEvent[] = []
  const query = { stream, from: first.version, direction: 'forward' } as const
  reading: for await (const page of access.readStream(query, call)) {
    for (const event of page) {
      if (event.id !== uuidV5(commandId, stream, stored.length)) break reading
      stored.push(event)
    }
  }
  const { version, position } = stored.at(-1) ?? first
  const events = definition.registry.read(stored)
  return { stream, version, position, events, duplicate: true }
}

async function decideAndAppend(
  run: CommandRun,
  stream: string,
  call: CallOptions | undefined,
): Promise<ExecuteResult> {
  const { access, runtime, definition, options } = run
  if (run.isCreation) {
    const initial = { state: definition.initial(), version: 0 }
    return decideOn(run, stream, initial, 0, call)
  }
  const held = await decideOnHeld(run, stream, call)
  if (held !== undefined) return held
  const loaded = await foldStream(access, definition, stream, call, runtime.snapshots)
  const expected = options.expectedVersion ?? loaded.version
  // Deciding on a state that the caller has not seen could refuse for the wrong reason.
  if (typeof expected === 'number' && expected !== loaded.version) {
    throw new VersionConflictError(stream, expected, loaded.version)
  }
  return decideOn(run, stream, loaded, expected, call)
}

async function decideOn(
  run: CommandRun,
  stream: string,
  loaded: Loaded<unknown>,
  expected: ExpectedVersion,
  call: CallOptions | undefined,
): Promise<ExecuteResult> {
  const prepared = await preparedDecision(run, stream, loaded)
  if (prepared === undefined) {
    return { stream, version: loaded.version, position: undefined, events: [] }
  }
  return appendDecision(run, stream, loaded, prepared, expected, call)
}

/** What the decision comes to, ready to be appended; undefined for no events. */
async function preparedDecision(
  run: CommandRun,
  stream: string,
  { state, version }: Loaded<unknown>,
): Promise<PreparedEvents | undefined> {
  const { runtime, options } = run
  const { commandId } = options
  const now = new Date(runtime.clock.now())
  const decided = await run.decide(state, { id: run.id, stream, version, now, commandId })
  if (decided.events.length === 0) return undefined
  return prepareEvents(runtime, stream, decided.events, {
    metadata: commandMetadata(options),
    idAt: commandId === undefined ? undefined : (index) => uuidV5(commandId, stream, index),
    outputs: decided.outputs,
  })
}

async function appendDecision(
  run: CommandRun,
  stream: string,
  loaded: Loaded<unknown>,
  prepared: PreparedEvents,
  expected: ExpectedVersion,
  call: CallOptions | undefined,
): Promise<ExecuteResult> {
  const { access, runtime, definition, options } = run
  const { snapshots } = runtime
  const bounds = { ...call, recreate: options.recreate }
  const result = await appendPrepared(access, runtime, stream, prepared, expected, bounds)
  if (snapshots?.appended !== undefined && result.duplicate !== true) {
    // As a later load would see them: what JSON leaves out is not there.
    const stored = result.events.map((event, index) => ({
      ...event,
      data: JSON.parse(JSON.stringify(prepared.events[index]?.data)),
      metadata: JSON.parse(JSON.stringify(event.metadata)),
    }))
    snapshots.appended(definition, stream, loaded, stored)
  }
  return result
}

/**
 * Decides on a state in memory, where there is one, without a look at the stream. Undefined where
 * only that look can tell: the state may be old, and so the reason for a refusal, or for nothing
 * to do.
 */
async function decideOnHeld(
  run: CommandRun,
  stream: string,
  call: CallOptions | undefined,
): Promise<ExecuteResult | undefined> {
  const { runtime, definition, options } = run
  const held = runtime.snapshots?.held?.(definition, stream)
  if (held === undefined || (options.expectedVersion ?? held.version) !== held.version) {
    return undefined
  }
  const prepared = await preparedDecision(run, stream, held).catch(() => undefined)
  if (prepared === undefined) return undefined
  try {
    return await appendDecision(run, stream, held, prepared, held.version, call)
  } catch (error) {
    if (isConflictOn(stream, error)) return undefined
    throw error
  }
}

function isConflictOn(stream: string, error: unknown): boolean {
  return isEventualiError(error, 'VERSION_CONFLICT') && 'stream' in error && error.stream === stream
}

/**
 * Loads, decides, appends; on a conflict loads and decides again, unless the caller said which
 * version to expect. Two racing calls with one commandId both get the first result.
 */
export async function runCommand(run: CommandRun): Promise<ExecuteResult> {
  const { runtime, options, definition } = run
  const { commandId } = options
  const stream = streamOf(definition, run.id)
  if (options.expectedVersion !== undefined) {
    checkedExpectedVersion(options.expectedVersion)
    if (run.isCreation) {
      throw new InvalidArgumentError('expectedVersion', 'is always 0 for create; leave it out')
    }
  }
  if (commandId !== undefined) assertEventId(commandId)
  const deadline = deadlineIn(runtime.clock, options.timeoutMs, options.signal)
  const mayRetry = options.expectedVersion === undefined && !run.isCreation
  const retryCountMax = mayRetry ? (options.retryCountMax ?? runtime.retry.retryCountMax) : 0
  const what = `a command on ${JSON.stringify(stream)}`
  for (let attempt = 0; ; attempt++) {
    options.signal?.throwIfAborted()
    const call = remaining(what, options, deadline)
    try {
      if (commandId !== undefined) {
        const first = await firstResult(run, stream, commandId, call)
        if (first !== undefined) return first
      }
      const result = await decideAndAppend(run, stream, call)
      if (commandId === undefined || result.duplicate !== true) return result
      return (await firstResult(run, stream, commandId, call)) ?? result
    } catch (error) {
      if (commandId !== undefined && isLostRace(stream, error)) {
        const first = await firstResult(run, stream, commandId, remaining(what, options, deadline))
        if (first !== undefined) return first
      }
      if (attempt >= retryCountMax || !isConflictOn(stream, error)) throw error
      const delayMs = backoffMs(runtime.retry, attempt, runtime.random)
      if (!(await pause(runtime, delayMs, deadline))) throw error
    }
  }
}

/** Whether the other one of two racing calls with one commandId may have stored its result. */
function isLostRace(stream: string, error: unknown): boolean {
  return (
    isConflictOn(stream, error) ||
    isEventualiError(error, 'IDEMPOTENCY_CONFLICT') ||
    isEventualiError(error, 'DOMAIN_REJECTED')
  )
}
