import assert from 'node:assert/strict'
import {
  type Aggregate,
  type AggregateClass,
  type AggregateDefinition,
  bindAggregate,
  type ClassCommands,
  type Command,
  type CommandContext,
  type CommandOutput,
  type Decision,
  type DecisionEntry,
  type DecisionOutput,
  definitionOfClass,
  type EventInput,
  evolveOne,
  isAggregateClass,
  joinRegistries,
  matchesQuery,
  type RecordedEvent,
  streamOf,
  takePending,
  UnknownCommandError,
} from '../../model/index.ts'
import { after, type Frame, recordEvents, type Soon } from './events.ts'
import { capture, type Expectation, expectation, type Result, type StateCheck } from './outcome.ts'

/** What a specification may say of its surroundings. */
export interface GivenOptions {
  /** The aggregate's id; `1` when left out. */
  readonly id?: string
  /** The time of the call and of the given events; 2000-01-01 when left out. */
  readonly now?: Date
}

/** The input of a command: what comes after the state, if anything does. */
export type SpecInput<F> = F extends (state: never, ...rest: infer R) => unknown
  ? R extends readonly []
    ? []
    : R extends readonly [infer I, ...unknown[]]
      ? [input: I]
      : R extends readonly [(infer I)?, ...unknown[]]
        ? [input?: I]
        : []
  : []

/** An aggregate with its past. */
export interface GivenAggregate<S, C, E extends EventInput> {
  /** Runs a command by name. */
  when<K extends keyof C & string>(command: K, ...input: SpecInput<C[K]>): Expectation<S, E>
  /** The state folded from what was given. */
  thenState(expected: S | ((state: S) => void)): void
}

/** A decision with the events that its query may find. */
export interface GivenDecision<Input, S, E extends EventInput> {
  /** Decides on the input; entries' events are expected in the order of the entries. */
  when(input: Input): Expectation<S, E>
}

/** The fields of an instance that can be compared: those that are not methods. */
export type FieldsOf<A> = {
  readonly [K in keyof A as K extends keyof Aggregate
    ? never
    : A[K] extends (...args: never) => unknown
      ? never
      : K]?: A[K]
}

type EventsOfInstance<A> = A extends Aggregate<infer E> ? E : never
type ErasedAggregate = AggregateDefinition<unknown, unknown, EventInput>

const defaultNow = new Date('2000-01-01T00:00:00Z')

/**
 * Begins a specification: what has happened. Works with what `defineAggregate`, a class that
 * extends `Aggregate`, `defineDecision` or `composeDecisions` made, in any test runner.
 *
 * @example
 * ```ts
 * import { defineAggregate, defineEvents, reject, type } from 'eventuali'
 * import { given } from 'eventuali/testing'
 *
 * const events = defineEvents({
 *   Opened: type<{ owner: string }>(),
 *   Closed: type<{ why: string }>(),
 * })
 * type State = { open: boolean }
 * const Account = defineAggregate('account', {
 *   events,
 *   initial: (): State => ({ open: false }),
 *   evolve: { Opened: () => ({ open: true }), Closed: () => ({ open: false }) },
 *   commands: {
 *     close: (state, input: { why: string }) =>
 *       state.open ? events.Closed(input) : reject('it is not open'),
 *   },
 * })
 *
 * given(Account, [events.Opened({ owner: 'ada' })])
 *   .when('close', { why: 'moved' })
 *   .then([events.Closed({ why: 'moved' })])
 * given(Account, []).when('close', { why: 'moved' }).thenRejects('it is not open')
 * ```
 */
export function given<S, C, E extends EventInput>(
  aggregate: AggregateDefinition<S, C, E>,
  events: readonly NoInfer<E>[],
  options?: GivenOptions,
): GivenAggregate<S, C, E>
export function given<A extends Aggregate>(
  aggregate: AggregateClass<A>,
  events: readonly EventsOfInstance<NoInfer<A>>[],
  options?: GivenOptions,
): GivenAggregate<FieldsOf<A>, ClassCommands<A>, EventsOfInstance<A>>
export function given<Input, S, E extends EventInput>(
  decision: Decision<Input, S, E>,
  events: readonly NoInfer<E>[],
  options?: GivenOptions,
): GivenDecision<Input, S, E>
export function given(
  subject: unknown,
  events: readonly EventInput[],
  options: GivenOptions = {},
): unknown {
  if (isAggregateClass(subject)) return givenClass(subject, events, options)
  if ((subject as { kind?: unknown } | null)?.kind === 'decision') {
    return givenDecision(subject as Decision<unknown, unknown, EventInput>, events, options)
  }
  return givenAggregate(subject as ErasedAggregate, events, options)
}

interface Folded {
  readonly state: unknown
  readonly frame: Frame
  readonly context: CommandContext
}

function fold(
  definition: ErasedAggregate,
  events: readonly EventInput[],
  { id = '1', now = defaultNow }: GivenOptions,
): Soon<Folded> {
  const stream = streamOf(definition, id)
  const past = recordEvents(definition.registry, events, { stream, now, from: 1 })
  return after(past, (recorded) => {
    let state = definition.initial()
    for (const event of recorded) state = evolveOne(definition, state, event)
    const version = recorded.length
    const context = { id, stream, version, now, commandId: undefined }
    return { state, frame: { stream, now, from: version + 1 }, context }
  })
}

function listOf(output: CommandOutput<EventInput>): readonly EventInput[] {
  if (output === undefined) return []
  return Array.isArray(output) ? output : [output as EventInput]
}

const sameState: StateCheck<unknown> = (actual, expected) => assert.deepEqual(actual, expected)

/** Only the fields that are expected: an instance also has what is private. */
const sameFields: StateCheck<unknown> = (actual, expected) => {
  const fields = Object.keys(expected as object)
  const found = fields.map((key) => [key, (actual as Record<string, unknown>)[key]])
  assert.deepEqual(Object.fromEntries(found), { ...(expected as object) })
}

type Run = (folded: Folded) => Soon<Result<unknown>>

/** The two ways on from a folded past, which classes and definitions share. */
function specification(
  definition: ErasedAggregate,
  events: readonly EventInput[],
  options: GivenOptions,
  checkState: StateCheck<unknown>,
  runOf: (command: string, input: unknown) => Run,
): GivenAggregate<unknown, Record<string, Command<unknown, EventInput>>, EventInput> {
  const { id = '1', now = defaultNow } = options
  const frame = { stream: streamOf(definition, id), now, from: events.length + 1 }
  const parts = { registry: definition.registry, frame, checkState }
  const past = () => fold(definition, events, options)
  return {
    when: (command, ...[input]: readonly unknown[]) => {
      const run = runOf(command, input)
      // A past that cannot be is a mistake of the specification, never the command's refusal.
      const result = after(past(), (folded) => capture(() => run(folded)))
      return expectation({ ...parts, result })
    },
    thenState: (expected) => {
      const result = after(past(), ({ state }): Result<unknown> => ({ events: [], state }))
      return expectation({ ...parts, result }).thenState(expected)
    },
  }
}

function givenAggregate(
  definition: ErasedAggregate,
  events: readonly EventInput[],
  options: GivenOptions,
): unknown {
  const commands = definition.commands as Record<string, Command<unknown, EventInput, unknown>>
  return specification(definition, events, options, sameState, (name, input) => {
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (command === undefined) throw new UnknownCommandError(definition.name, name)
    return ({ state, frame, context }) => {
      const output = listOf(command(state, input, context))
      return after(recordEvents(definition.registry, output, frame), (recorded) => {
        let next = state
        for (const event of recorded) next = evolveOne(definition, next, event)
        return { events: recorded, state: next }
      })
    }
  })
}

function givenClass(
  aggregateClass: AggregateClass<Aggregate>,
  events: readonly EventInput[],
  options: GivenOptions,
): unknown {
  const definition = definitionOfClass(aggregateClass)
  const erased = definition as unknown as ErasedAggregate
  return specification(erased, events, options, sameFields, (name, input) => {
    const command = definition.commandOf(name)
    if (command === undefined) throw new UnknownCommandError(definition.name, name)
    return ({ state, frame, context }) => {
      const instance = state as Aggregate
      bindAggregate(instance, context)
      command(instance, input)
      const pending = takePending(instance)
      const inputs = pending.map((event) => event.input)
      const outputs = pending.map((event) => event.output)
      const recorded = recordEvents(definition.registry, inputs, frame, outputs)
      return after(recorded, (all) => ({ events: all, state }))
    }
  })
}

function entriesOf(output: DecisionOutput<EventInput>): readonly DecisionEntry[] {
  if (output === undefined) return []
  return Array.isArray(output) ? output : [output as DecisionEntry]
}

function givenDecision(
  decision: Decision<unknown, unknown, EventInput>,
  events: readonly EventInput[],
  { now = defaultNow }: GivenOptions,
): GivenDecision<unknown, unknown, EventInput> {
  const registry = joinRegistries(decision.parts.map((part) => part.registry))
  const frame = { stream: 'decided', now, from: events.length + 1 }
  const stateAfter = (input: unknown, log: readonly RecordedEvent[]): unknown => {
    const states = decision.parts.map((part) => {
      const query = part.query(input)
      let state = part.initial()
      for (const event of log) if (matchesQuery(query, event)) state = part.evolve(state, event)
      return state
    })
    return decision.assemble(states)
  }
  return {
    when: (input) => {
      const past = recordEvents(registry, events, { stream: 'given', now, from: 1 })
      const result = after(past, (log) =>
        capture(() => {
          const context = { position: log.length, now }
          const output = decision.decide(stateAfter(input, log), input, context)
          const inputs = entriesOf(output).flatMap((entry) => listOf(entry.events))
          return after(recordEvents(registry, inputs, frame), (recorded) => ({
            events: recorded,
            state: stateAfter(input, [...log, ...recorded]),
          }))
        }),
      )
      return expectation({ result, registry, frame, checkState: sameState })
    },
  }
}
