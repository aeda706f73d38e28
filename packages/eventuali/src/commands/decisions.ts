import { backoffMs, type Deadline, deadlineIn } from '../kernel/index.ts'
import {
  AppendConditionError,
  type CheckedQueryItem,
  type Decision,
  type DecisionEntry,
  type EventInput,
  type EventMetadata,
  joinRegistries,
  matchesQuery,
  type RecordedEvent,
  type RecordedFrom,
} from '../model/index.ts'
import type { CallOptions, EventStore, StreamAccess } from '../ports/index.ts'
import { type AppendResult, appendAll } from './append.ts'
import { currentContext } from './context.ts'
import { type CommandRuntime, pause, remaining } from './runtime.ts'

/** Options of `decide`. */
export interface DecideOptions extends CallOptions {
  /** For all events of the decision; wins over the context, an event's own wins over it. */
  readonly metadata?: EventMetadata | undefined
  /** Tries after the first one, when events that the query asks for arrive meanwhile. */
  readonly retryCountMax?: number | undefined
}

/** What a decision did. */
export interface DecideResult<E extends RecordedEvent = RecordedEvent> {
  /** The safe position that the state was folded up to. */
  readonly position: number
  /** One for each entry that the decision gave; none when it gave none. */
  readonly results: readonly AppendResult<E>[]
}

/** Where decisions read and append. */
export type DecisionAccess = StreamAccess & Pick<EventStore, 'positions'>

const decisionTimeoutMs = 30_000
const safePollMaxMs = 50

interface Folded {
  readonly states: readonly unknown[]
  /** By the types under which events may be stored. */
  readonly query: readonly CheckedQueryItem[]
}

async function fold(
  access: DecisionAccess,
  { registry }: CommandRuntime,
  decision: Decision<unknown, unknown, EventInput>,
  input: unknown,
  upTo: number,
  call: CallOptions | undefined,
): Promise<Folded> {
  const queries = decision.parts.map((part) => part.query(input))
  const states = decision.parts.map((part) => part.initial())
  const query = queries
    .flat()
    .map(({ types, tags }) => ({ types: registry.storedTypes(types), tags }))
  // An archived stream takes no events any more; what happened in it still counts.
  const log = { query, upTo, direction: 'forward', includeArchived: true } as const
  for await (const page of access.readLog(log, call)) {
    for (const event of registry.upcast(page)) {
      for (const [index, part] of decision.parts.entries()) {
        if (!matchesQuery(queries[index] as readonly CheckedQueryItem[], event)) continue
        states[index] = part.evolve(states[index], event)
      }
    }
  }
  return { states, query }
}

/** Waits until the safe position covers the events that refused us; otherwise we would spin. */
async function waitForSafe(
  access: DecisionAccess,
  runtime: CommandRuntime,
  position: number,
  deadline: Deadline,
  error: AppendConditionError,
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const { safe } = await access.positions({
      signal: deadline.signal,
      timeoutMs: deadline.leftMs(),
    })
    if (safe >= position) return
    const policy = { retryCountMax: 0, firstDelayMs: 2, delayMaxMs: safePollMaxMs }
    if (!(await pause(runtime, 1 + backoffMs(policy, attempt, runtime.random), deadline))) {
      throw error
    }
  }
}

async function attemptDecision(
  access: DecisionAccess,
  runtime: CommandRuntime,
  decision: Decision<unknown, unknown, EventInput>,
  input: unknown,
  options: DecideOptions,
  call: CallOptions | undefined,
): Promise<DecideResult> {
  const { safe } = await access.positions(call)
  const { states, query } = await fold(access, runtime, decision, input, safe, call)
  const now = new Date(runtime.clock.now())
  const output = decision.decide(decision.assemble(states), input, { position: safe, now })
  const entries: readonly DecisionEntry[] =
    output === undefined ? [] : Array.isArray(output) ? output : [output as DecisionEntry]
  if (entries.length === 0) return { position: safe, results: [] }
  const context = currentContext()
  const metadata = options.metadata === undefined ? context : { ...context, ...options.metadata }
  const results = await appendAll(
    access,
    runtime,
    entries,
    { ...call, condition: { query, position: safe } },
    { metadata },
  )
  return { position: safe, results }
}

/**
 * Reads what the decision's query asks for up to the safe position, folds, decides, and appends
 * under the condition that nothing of it has arrived since; otherwise once more, with fresh state.
 * Throws what `decide` throws, AppendConditionError when the tries or the time are used up.
 */
export async function runDecision<Input, S, E extends EventInput>(
  access: DecisionAccess,
  runtime: CommandRuntime,
  decision: Decision<Input, S, E>,
  input: Input,
  options: DecideOptions = {},
): Promise<DecideResult<RecordedFrom<E>>> {
  const erased = decision as unknown as Decision<unknown, unknown, EventInput>
  const own = {
    ...runtime,
    registry: joinRegistries(erased.parts.map((part) => part.registry)),
    unknown: 'refuse' as const,
  }
  const bounded = { ...options, timeoutMs: options.timeoutMs ?? decisionTimeoutMs }
  const deadline = deadlineIn(runtime.clock, bounded.timeoutMs, options.signal)
  const retryCountMax = options.retryCountMax ?? runtime.retry.retryCountMax
  for (let attempt = 0; ; attempt++) {
    options.signal?.throwIfAborted()
    const call = remaining('a decision', bounded, deadline)
    try {
      const result = await attemptDecision(access, own, erased, input, options, call)
      return result as DecideResult<RecordedFrom<E>>
    } catch (error) {
      if (!(error instanceof AppendConditionError) || attempt >= retryCountMax) throw error
      const newest = error.events.reduce((max, { position }) => Math.max(max, position), 0)
      const delayMs = backoffMs(runtime.retry, attempt, runtime.random)
      if (!(await pause(runtime, delayMs, deadline))) throw error
      await waitForSafe(access, runtime, newest, deadline, error)
    }
  }
}
