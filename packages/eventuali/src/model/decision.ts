import type { NextState } from './aggregate.ts'
import { DefinitionError, InvalidArgumentError } from './errors.ts'
import type { EventInput, RecordedEvent } from './event.ts'
import type { EventCreators, EventsOf, RecordedFrom } from './event-definitions.ts'
import { type EventRegistry, eventRegistry } from './event-registry.ts'
import { assertTag, assertTypeName } from './names.ts'

/** Matches events of one of `types` that carry all of `tags`. At least one type is needed. */
export interface DecisionQuery<Type extends string = string> {
  readonly types: readonly Type[]
  readonly tags?: readonly string[]
}

/** A query in its checked form: at least one item, each with at least one type. */
export interface CheckedQueryItem {
  readonly types: readonly string[]
  readonly tags: readonly string[]
}

/** Where a decision's events go. */
export interface DecisionEntry<E extends EventInput = EventInput> {
  readonly stream: string
  readonly events: E | readonly E[]
  /** The condition guards the decision; this guards the stream as well. `'any'` when left out. */
  readonly expectedVersion?: number | 'any' | 'exists'
}

/** What `decide` gives: one entry, several, or nothing to store. */
export type DecisionOutput<E extends EventInput> =
  | DecisionEntry<E>
  | readonly DecisionEntry<E>[]
  | undefined

/** What `decide` may know besides the state and its input. */
export interface DecisionContext {
  /** The log position that the state was folded up to. */
  readonly position: number
  readonly now: Date
}

/** One fold over one query. */
export interface DecisionPart {
  readonly registry: EventRegistry
  query(input: unknown): readonly CheckedQueryItem[]
  initial(): unknown
  evolve(state: unknown, event: RecordedEvent): unknown
}

/** State folded from a query; parts of a composed decision are such models. */
export interface DecisionModel<Input, S, E extends EventInput> {
  readonly kind: 'decision'
  readonly parts: readonly DecisionPart[]
  /** Puts the parts' states, in the order of `parts`, together. */
  readonly assemble: (states: readonly unknown[]) => S
  /** Never there at run time; carries the types. */
  readonly '~types'?: { readonly input: (input: Input) => void; readonly events: E }
}

/** A model with its decision, ready for `store.decide(decision, input)`. */
export interface Decision<Input, S, E extends EventInput> extends DecisionModel<Input, S, E> {
  readonly decide: (state: S, input: Input, context: DecisionContext) => DecisionOutput<E>
}

/** One handler for each type that the query names. */
export type DecisionHandlers<S, E extends EventInput, Type extends string> = {
  readonly [K in Type]: (
    state: S,
    event: RecordedFrom<Extract<E, { readonly type: K }>>,
  ) => NextState<S>
}

/** Checks a query and gives it its full form. Throws InvalidArgumentError, InvalidNameError. */
export function checkedQuery(
  argument: string,
  query: DecisionQuery | readonly DecisionQuery[],
): readonly CheckedQueryItem[] {
  const items = (Array.isArray(query) ? query : [query]) as readonly DecisionQuery[]
  if (items.length === 0) throw new InvalidArgumentError(argument, 'has no item')
  return items.map((item) => {
    const { types, tags = [] } = item ?? {}
    if (!Array.isArray(types) || types.length === 0) {
      throw new InvalidArgumentError(argument, 'names no types; a condition needs at least one')
    }
    if (!Array.isArray(tags)) throw new InvalidArgumentError(argument, 'has tags that are no array')
    for (const type of types) assertTypeName(type)
    for (const tag of tags) assertTag(tag)
    return { types, tags }
  })
}

/** Whether an event is one that an item of the query asks for. */
export function matchesQuery(query: readonly CheckedQueryItem[], event: RecordedEvent): boolean {
  return query.some(
    ({ types, tags }) =>
      types.includes(event.type) && tags.every((tag) => event.tags.includes(tag)),
  )
}

interface ModelParts<T extends EventCreators, Input, S, Type extends string> {
  readonly events: T
  /** Pure; called once for each try. */
  readonly query: (input: Input) => DecisionQuery<Type> | readonly DecisionQuery<Type>[]
  readonly initial: () => S
  /** A handler for each type in the query. */
  readonly evolve: DecisionHandlers<NoInfer<S>, EventsOf<NoInfer<T>>, NoInfer<Type>>
}

function partOf(parts: ModelParts<EventCreators, never, unknown, string>): DecisionPart {
  const registry = eventRegistry(parts.events)
  const evolve = parts.evolve as Readonly<Record<string, unknown>>
  return {
    registry,
    query: (input) => {
      const query = checkedQuery('query', parts.query(input as never))
      for (const type of query.flatMap((item) => item.types)) {
        if (!Object.hasOwn(evolve, type)) {
          throw new DefinitionError(`the decision has no evolve handler for ${type}; add one`)
        }
      }
      return query
    },
    initial: parts.initial,
    evolve: (state, event) => {
      const handler = evolve[event.type] as (state: unknown, event: RecordedEvent) => unknown
      return handler(state, registry.decode(event))
    },
  }
}

/**
 * A state folded from a query by types and tags, for use as a part of decisions.
 *
 * @example
 * ```ts
 * import { defineDecisionModel, defineEvents, event, type } from 'eventuali'
 *
 * const events = defineEvents({
 *   CourseOpened: event(type<{ course: string; seats: number }>(), {
 *     tags: (data) => [`course:${data.course}`],
 *   }),
 * })
 * const Seats = defineDecisionModel({
 *   events,
 *   query: (input: { course: string }) => ({
 *     types: ['CourseOpened'],
 *     tags: [`course:${input.course}`],
 *   }),
 *   initial: () => ({ seats: 0 }),
 *   evolve: { CourseOpened: (_state, { data }) => ({ seats: data.seats }) },
 * })
 * console.log(Seats.kind)
 * ```
 */
export function defineDecisionModel<
  T extends EventCreators,
  Input,
  const Type extends keyof T & string,
  Initial,
  const S extends Initial = Initial,
>(parts: {
  readonly events: T
  readonly query: (input: Input) => DecisionQuery<Type> | readonly DecisionQuery<Type>[]
  readonly initial: () => Initial
  readonly evolve: DecisionHandlers<NoInfer<S>, EventsOf<NoInfer<T>>, NoInfer<Type>>
}): DecisionModel<Input, S, EventsOf<T>> {
  const part = partOf(parts as never)
  return { kind: 'decision', parts: [part], assemble: (states) => states[0] as S }
}

/**
 * A decision over streams: folds the events that `query` asks for, decides, and appends under the
 * condition that no further such event has arrived; otherwise it reads and decides again, so
 * `decide` is pure. `query` names types and tags; `evolve` has a handler for each of the types.
 *
 * @example
 * ```ts
 * import { defineDecision, defineEvents, event, reject, type } from 'eventuali'
 *
 * const events = defineEvents({
 *   UsernameTaken: event(type<{ name: string }>(), { tags: (data) => [`username:${data.name}`] }),
 * })
 * const takeUsername = defineDecision({
 *   events,
 *   query: (input: { name: string }) => ({
 *     types: ['UsernameTaken'],
 *     tags: [`username:${input.name}`],
 *   }),
 *   initial: () => ({ taken: false }),
 *   evolve: { UsernameTaken: () => ({ taken: true }) },
 *   decide: (state, input) =>
 *     state.taken
 *       ? reject('the name is taken')
 *       : { stream: `username-${input.name}`, events: events.UsernameTaken(input) },
 * })
 * console.log(takeUsername.kind)
 * ```
 */
export function defineDecision<
  T extends EventCreators,
  Input,
  const Type extends keyof T & string,
  Initial,
  const S extends Initial = Initial,
>(parts: {
  readonly events: T
  readonly query: (input: Input) => DecisionQuery<Type> | readonly DecisionQuery<Type>[]
  readonly initial: () => Initial
  readonly evolve: DecisionHandlers<NoInfer<S>, EventsOf<NoInfer<T>>, NoInfer<Type>>
  readonly decide: (
    state: NoInfer<S>,
    input: NoInfer<Input>,
    context: DecisionContext,
  ) => DecisionOutput<EventsOf<NoInfer<T>>>
}): Decision<Input, S, EventsOf<T>> {
  return { ...defineDecisionModel(parts as never), decide: parts.decide } as never
}

/** Models by the name that `decide` sees their state under. */
export type NamedModels = Readonly<Record<string, DecisionModel<never, unknown, EventInput>>>

type Intersection<U> = (U extends unknown ? (u: U) => void : never) extends (u: infer I) => void
  ? I
  : never

/** What a composed decision takes: all that its models take. */
export type InputOfModels<M extends NamedModels> = Intersection<
  {
    [K in keyof M]: M[K] extends DecisionModel<infer Input, unknown, EventInput> ? Input : never
  }[keyof M]
>

/** The models' states by name. */
export type StatesOfModels<M extends NamedModels> = {
  readonly [K in keyof M]: M[K] extends DecisionModel<never, infer S, EventInput> ? S : never
}

/** The events of all models. */
export type EventsOfModels<M extends NamedModels> = {
  [K in keyof M]: M[K] extends DecisionModel<never, unknown, infer E> ? E : never
}[keyof M]

/**
 * Joins models into one decision: one read, one condition, each state folded from its own query.
 *
 * @example
 * ```ts
 * import { composeDecisions, defineDecisionModel, defineEvents, type } from 'eventuali'
 *
 * const events = defineEvents({ Opened: type<{ id: string }>(), Joined: type<{ id: string }>() })
 * const Open = defineDecisionModel({
 *   events,
 *   query: (_input: { id: string }) => ({ types: ['Opened'] }),
 *   initial: () => false,
 *   evolve: { Opened: () => true },
 * })
 * const Count = defineDecisionModel({
 *   events,
 *   query: (_input: { id: string }) => ({ types: ['Joined'] }),
 *   initial: () => 0,
 *   evolve: { Joined: (count) => count + 1 },
 * })
 * const join = composeDecisions({ open: Open, count: Count }, (state, input) =>
 *   state.open && state.count < 3
 *     ? { stream: `club-${input.id}`, events: events.Joined(input) }
 *     : undefined,
 * )
 * console.log(join.parts.length) // 2
 * ```
 */
export function composeDecisions<M extends NamedModels>(
  models: M,
  decide: (
    state: StatesOfModels<M>,
    input: InputOfModels<M>,
    context: DecisionContext,
  ) => DecisionOutput<EventsOfModels<M>>,
): Decision<InputOfModels<M>, StatesOfModels<M>, EventsOfModels<M>> {
  const names = Object.keys(models)
  if (names.length === 0) throw new DefinitionError('a composed decision needs at least one model')
  const list = names.map((name) => [name, models[name] as NamedModels[string]] as const)
  const assemble = (states: readonly unknown[]): StatesOfModels<M> => {
    let next = 0
    const entries = list.map(([name, model]) => {
      const own = states.slice(next, next + model.parts.length)
      next += model.parts.length
      return [name, model.assemble(own)] as const
    })
    return Object.fromEntries(entries) as StatesOfModels<M>
  }
  return { kind: 'decision', parts: list.flatMap(([, model]) => model.parts), assemble, decide }
}
