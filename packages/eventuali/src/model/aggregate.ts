import { DefinitionError, InvalidNameError, UnknownEventTypeError } from './errors.ts'
import { type EventInput, isSystemType, type RecordedEvent, systemEventTypes } from './event.ts'
import type { EventCreators, EventsOf, RecordedFrom } from './event-definitions.ts'
import { type EventRegistry, eventRegistry } from './event-registry.ts'
import { assertEventId, assertStreamName } from './names.ts'
import type { SnapshotRules } from './snapshot-rules.ts'

/** What a command may know besides the state and its input. */
export interface CommandContext {
  readonly id: string
  readonly stream: string
  /** Version of the stream that the state was folded from; 0 for none. */
  readonly version: number
  /** The time of the call, so that commands need no clock of their own. */
  readonly now: Date
  readonly commandId: string | undefined
}

/** What a command gives: one event, several, or none. */
export type CommandOutput<E extends EventInput> = E | readonly E[] | undefined

/** Decides: pure, because a conflict makes it run again on fresh state. */
export type Command<S, E extends EventInput, Input = never> = (
  state: S,
  input: Input,
  context: CommandContext,
) => CommandOutput<E>

/** Commands by name. */
export type Commands<S, E extends EventInput> = Readonly<Record<string, Command<S, E>>>

type Plain<T> = T extends string | number | boolean | bigint | symbol | null | undefined
  ? T
  : T extends (...args: never) => unknown
    ? T
    : { readonly [K in keyof T]: Plain<T[K]> }

/**
 * What a handler may return as the next state. Literals keep their types by a `const` type
 * parameter, which also makes array literals read-only; those are welcome too.
 */
export type NextState<S> = S | Plain<S>

/** One handler for each event type: takes a state and an event, gives the next state. Pure. */
export type EvolveHandlers<S, E extends EventInput> = {
  readonly [K in E['type']]: (
    state: S,
    event: RecordedFrom<Extract<E, { readonly type: K }>>,
  ) => NextState<S>
}

/** `refuse`: an UnknownEventTypeError. `skip`: they leave the state as it is. */
export type UnknownEvents = 'refuse' | 'skip'

/** An aggregate as `defineAggregate` makes it. */
export interface AggregateDefinition<S, C, E extends EventInput> {
  readonly kind: 'aggregate'
  /** First part of its streams' names: `order` for `order-42`. */
  readonly name: string
  readonly registry: EventRegistry
  readonly initial: () => S
  readonly evolve: EvolveHandlers<S, E>
  readonly commands: C
  /** What happens to stored events of types that it does not define; `refuse` when left out. */
  readonly unknownEvents?: UnknownEvents | undefined
  /** How its states are kept where the store keeps any; `false`: never. */
  readonly snapshot?: SnapshotRules<S> | false | undefined
  /** The class whose methods are its handlers, if there is one. */
  readonly source?: unknown
}

/** The name, when streams may begin with it; throws DefinitionError otherwise. */
export function checkedAggregateName(name: unknown): string {
  try {
    assertStreamName(name)
  } catch (error) {
    if (!(error instanceof InvalidNameError)) throw error
    throw new DefinitionError(`the aggregate's name: ${error.message}`)
  }
  if (!name.includes('-')) return name
  throw new DefinitionError(
    `aggregate name ${JSON.stringify(name)} holds a "-", which ends the category in a stream's name; leave it out`,
  )
}

/**
 * Defines an aggregate: a state folded from its events, and commands that decide on it.
 *
 * Annotate what `initial` returns; `evolve` needs a handler for every event, and commands return
 * events of this aggregate, nothing, or `reject(reason)`. Throws DefinitionError.
 *
 * @example
 * ```ts
 * import { defineAggregate, defineEvents, reject, type } from 'eventuali'
 *
 * const events = defineEvents({ Opened: type<{ owner: string }>(), Closed: type<null>() })
 * type State = { status: 'new' | 'open' | 'closed' }
 *
 * const Account = defineAggregate('account', {
 *   events,
 *   initial: (): State => ({ status: 'new' }),
 *   evolve: {
 *     Opened: (state) => ({ ...state, status: 'open' }),
 *     Closed: (state) => ({ ...state, status: 'closed' }),
 *   },
 *   commands: {
 *     open: (state, input: { owner: string }) =>
 *       state.status === 'new' ? events.Opened(input) : reject('account is already open'),
 *   },
 * })
 * console.log(Account.name)
 * ```
 */
export function defineAggregate<
  T extends EventCreators,
  Initial,
  const S extends Initial = Initial,
  const C extends Commands<NoInfer<S>, EventsOf<NoInfer<T>>> = Commands<
    NoInfer<S>,
    EventsOf<NoInfer<T>>
  >,
>(
  name: string,
  parts: {
    readonly events: T
    readonly initial: () => Initial
    readonly evolve: EvolveHandlers<NoInfer<S>, EventsOf<NoInfer<T>>>
    readonly commands: C
    /** `skip` leaves out stored events of types that `events` does not define. */
    readonly unknownEvents?: UnknownEvents
    /** How states are kept, where the store was opened with `snapshots`; `false`: never. */
    readonly snapshot?: SnapshotRules<NoInfer<S>> | false
  },
): AggregateDefinition<S, C, EventsOf<T>> {
  const registry = eventRegistry(parts.events)
  for (const type of registry.types()) {
    if (!Object.hasOwn(parts.evolve, type)) {
      throw new DefinitionError(`aggregate ${name} has no evolve handler for ${type}; add one`)
    }
  }
  return {
    kind: 'aggregate',
    name: checkedAggregateName(name),
    registry,
    initial: parts.initial as () => S,
    evolve: parts.evolve,
    commands: parts.commands,
    unknownEvents: parts.unknownEvents,
    snapshot: parts.snapshot,
  }
}

/** The stream of one aggregate. Throws InvalidNameError. */
export function streamOf(aggregate: { readonly name: string }, id: string): string {
  assertEventId(id)
  const stream = `${aggregate.name}-${id}`
  assertStreamName(stream)
  return stream
}

/**
 * The state after one more recorded event, upcast already. The store's own events leave it as it
 * is, but for a deletion, after which the stream starts anew. Throws UnknownEventTypeError.
 */
export function evolveOne<S, E extends EventInput>(
  aggregate: AggregateDefinition<S, unknown, E>,
  state: S,
  event: RecordedEvent,
): S {
  const evolve = aggregate.evolve as Readonly<Record<string, unknown>>
  if (!Object.hasOwn(evolve, event.type)) {
    if (event.type === systemEventTypes.deleted) return aggregate.initial()
    if (isSystemType(event.type) || aggregate.unknownEvents === 'skip') return state
    throw new UnknownEventTypeError(event.type)
  }
  const handler = evolve[event.type] as (state: S, event: RecordedEvent) => S
  return handler(state, aggregate.registry.decode(event))
}
