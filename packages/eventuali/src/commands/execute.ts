import { backoffMs, deadlineIn, isEventualiError, uuidV5 } from '../kernel/index.ts'
import {
  type AggregateDefinition,
  assertEventId,
  type CommandContext,
  type EventInput,
  type EventMetadata,
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
import { prepareEvents } from './prepare.ts'
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
  const { commandId } = options
  const loaded: Loaded<unknown> = run.isCreation
    ? { state: definition.initial(), version: 0 }
    : await foldStream(access, definition, stream, call, runtime.snapshots)
  const { state, version } = loaded
  const expected = run.isCreation ? 0 : (options.expectedVersion ?? version)
  // Deciding on a state that the caller has not seen could refuse for the wrong reason.
  if (typeof expected === 'number' && expected !== version) {
    throw new VersionConflictError(stream, expected, version)
  }
  const now = new Date(runtime.clock.now())
  const decided = await run.decide(state, { id: run.id, stream, version, now, commandId })
  if (decided.events.length === 0) return { stream, version, position: undefined, events: [] }
  const prepared = await prepareEvents(runtime, stream, decided.events, {
    metadata: commandMetadata(options),
    idAt: commandId === undefined ? undefined : (index) => uuidV5(commandId, stream, index),
    outputs: decided.outputs,
  })
  return appendPrepared(access, runtime, stream, prepared, expected, {
    ...call,
    recreate: options.recreate,
  })
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
