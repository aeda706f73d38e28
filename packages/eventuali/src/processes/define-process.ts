import {
  type AnyEventCreator,
  assertStreamName,
  assertTypeName,
  DefinitionError,
  type EventCreators,
  type EventInput,
  type EventRegistry,
  eventRegistry,
  InvalidNameError,
  isStandardSchema,
  isTypeOnly,
  type Json,
  type RecordedEvent,
  type RecordedFrom,
} from '../model/index.ts'
import type {
  AnyProcessHandler,
  CommandTarget,
  DeadlineHandlers,
  DeadlineSchemas,
  EventsOfSources,
  OutcomeHandlers,
  ProcessEvents,
  ProcessHandlers,
} from './process-context.ts'

declare const processTypes: unique symbol

/** A process as `defineProcess` makes it. */
export interface ProcessDefinition<
  S = unknown,
  E extends EventInput = EventInput,
  A extends CommandTarget = CommandTarget,
  D extends DeadlineSchemas = DeadlineSchemas,
> {
  readonly kind: 'process'
  readonly name: string
  readonly version: number
  /** `record`: the state is stored as it is; `events`: folded from the process's own stream. */
  readonly state: 'record' | 'events'
  readonly registry: EventRegistry
  /** Event types that have a handler. */
  readonly types: readonly string[]
  /** Types that begin a process; undefined: every one of `types`. */
  readonly starts: readonly string[] | undefined
  readonly correlate: (event: RecordedEvent) => string | undefined
  readonly initial: () => unknown
  readonly on: Readonly<Record<string, AnyProcessHandler | undefined>>
  readonly deadlines: DeadlineSchemas
  readonly onDeadline: Readonly<Record<string, AnyProcessHandler | undefined>>
  readonly onRejected: AnyProcessHandler | undefined
  readonly onCompensated: AnyProcessHandler | undefined
  /** Where it begins to listen when it is new to a store. */
  readonly after: number | 'end'
  /** Aggregates that commands go to, by name. */
  readonly aggregates: ReadonlyMap<string, CommandTarget>
  readonly migrate:
    | ((old: { readonly version: number; readonly state: Json }) => unknown)
    | 'refold'
    | undefined
  readonly [processTypes]?: {
    readonly state: S
    readonly event: E
    readonly target: A
    readonly deadlines: D
  }
}

type Correlate<E extends EventInput> =
  | ((event: RecordedFrom<E>) => string | undefined)
  | {
      readonly [K in E['type']]?: (
        event: RecordedFrom<Extract<E, { readonly type: K }>>,
      ) => string | undefined
    }

/** What `defineProcess` takes. */
export interface ProcessParts<
  T extends ProcessEvents,
  Initial,
  S,
  A extends readonly CommandTarget[],
  D extends DeadlineSchemas,
  E extends EventInput,
> extends OutcomeHandlers<NoInfer<S>, NoInfer<A>[number], NoInfer<D>> {
  /** Names its records, and its streams where the state is `events`. Without `-` and `/`. */
  readonly name: string
  /** 1 when left out; raise it with every change that running processes must not meet. */
  readonly version?: number
  /** Results of `defineEvents`, or single creators. */
  readonly events: T
  /** Aggregates that the process sends commands to. */
  readonly aggregates?: A
  /** Which process an event belongs to: a function for all types, or one for each. */
  readonly correlate: Correlate<E>
  /** Types that begin a process; every handled type when left out. */
  readonly starts?: readonly E['type'][]
  readonly initial: () => Initial
  /** `record` when left out. */
  readonly state?: 'record' | 'events'
  /**
   * Where it begins to listen when it is new to a store: after a position (0: everything that ever
   * happened), or with what comes from the first start on, which is the default.
   */
  readonly after?: number | 'end'
  /** Pure and synchronous. They give the next state, or nothing when it stays as it is. */
  readonly on: ProcessHandlers<NoInfer<S>, E, NoInfer<A>[number], NoInfer<D>>
  /** Deadlines with what describes their payloads. */
  readonly deadlines?: D
  readonly onDeadline?: DeadlineHandlers<NoInfer<S>, NoInfer<A>[number], NoInfer<D>>
  /**
   * Takes running processes of another version over: a function from the old state, or `refold`
   * where the state is `events`. Otherwise they go on with the old definition, when that is
   * registered too, or are stuck until it is.
   */
  readonly migrate?:
    | ((old: { readonly version: number; readonly state: Json }) => NoInfer<S>)
    | 'refold'
}

function refuse(name: string, why: string): DefinitionError {
  return new DefinitionError(`process ${JSON.stringify(name)} ${why}`)
}

function checkedName(name: unknown): string {
  try {
    assertStreamName(name)
  } catch (error) {
    if (!(error instanceof InvalidNameError)) throw error
    throw new DefinitionError(`the process's name: ${error.message}`)
  }
  if (/[-/]/.test(name)) throw refuse(name, 'holds a "-" or "/"; leave it out')
  if (name.length > 100) throw refuse(name, 'has a name longer than 100 characters')
  return name
}

function registryOfSources(sources: ProcessEvents): EventRegistry {
  const all = sources.map((source): EventCreators => {
    if (typeof source !== 'function') return source as EventCreators
    const creator = source as AnyEventCreator
    return { [creator.type]: creator }
  })
  return eventRegistry(...all)
}

/** The name of an aggregate or of a class. Throws DefinitionError for what is neither. */
export function targetName(target: CommandTarget): string {
  const given: unknown = target
  if (typeof given === 'function' && 'aggregateName' in given) return String(given.aggregateName)
  const { kind, name } = (given ?? {}) as { readonly kind?: unknown; readonly name?: unknown }
  if (kind === 'aggregate' && typeof name === 'string') return name
  throw new DefinitionError('aggregates are what defineAggregate returns, or classes of Aggregate')
}

function checkedDeadlines(name: string, schemas: DeadlineSchemas, handlers: object): void {
  for (const deadline of Object.keys(schemas)) {
    try {
      assertTypeName(deadline)
    } catch (error) {
      if (!(error instanceof InvalidNameError)) throw error
      throw refuse(name, `has a deadline whose name is refused: ${error.message}`)
    }
    const schema = schemas[deadline]
    if (!isStandardSchema(schema) && !isTypeOnly(schema)) {
      throw refuse(name, `needs a Standard Schema or type<T>() for its deadline ${deadline}`)
    }
    if (!Object.hasOwn(handlers, deadline)) {
      throw refuse(name, `has no handler for its deadline ${deadline}; add it to onDeadline`)
    }
  }
  for (const deadline of Object.keys(handlers)) {
    if (!Object.hasOwn(schemas, deadline)) {
      throw refuse(name, `handles ${deadline}, which is not among its deadlines; add it there`)
    }
  }
}

function correlateBy(correlate: unknown): ProcessDefinition['correlate'] {
  if (typeof correlate === 'function') return correlate as ProcessDefinition['correlate']
  const byType = correlate as Readonly<Record<string, ProcessDefinition['correlate'] | undefined>>
  return (event) => (Object.hasOwn(byType, event.type) ? byType[event.type]?.(event) : undefined)
}

/**
 * Defines a process: what reacts to events of many streams, remembers where it stands, sends
 * commands, waits for deadlines and takes steps back when one fails.
 *
 * Handlers are pure and synchronous: all they want done goes through `ctx` and is stored with the
 * state, in the transaction that also moves the process past the event. Throws DefinitionError.
 *
 * @example
 * ```ts
 * import { defineAggregate, defineEvents, defineProcess, type } from 'eventuali'
 *
 * const events = defineEvents({
 *   OrderPlaced: type<{ total: number }>(),
 *   OrderPaid: type<null>(),
 *   OrderCancelled: type<{ why: string }>(),
 * })
 * const Order = defineAggregate('order', {
 *   events,
 *   initial: () => ({}),
 *   evolve: {
 *     OrderPlaced: (state) => state,
 *     OrderPaid: (state) => state,
 *     OrderCancelled: (state) => state,
 *   },
 *   commands: { cancel: (_state, input: { why: string }) => events.OrderCancelled(input) },
 * })
 *
 * const Payment = defineProcess({
 *   name: 'payment',
 *   events: [events],
 *   aggregates: [Order],
 *   correlate: (event) => event.stream,
 *   starts: ['OrderPlaced'],
 *   initial: () => ({ total: 0 }),
 *   on: {
 *     OrderPlaced: (_state, { data }, ctx) => {
 *       ctx.after('30 minutes', 'paymentOverdue')
 *       return { total: data.total }
 *     },
 *     OrderPaid: (_state, _event, ctx) => ctx.complete(),
 *   },
 *   deadlines: { paymentOverdue: type<null>() },
 *   onDeadline: {
 *     paymentOverdue: (_state, _deadline, ctx) => {
 *       ctx.command(Order, ctx.key.slice('order-'.length), 'cancel', { why: 'not paid' })
 *       ctx.complete()
 *     },
 *   },
 * })
 * console.log(Payment.name, Payment.types)
 * ```
 */
export function defineProcess<
  const T extends ProcessEvents,
  Initial,
  const S extends Initial = Initial,
  const A extends readonly CommandTarget[] = readonly [],
  const D extends DeadlineSchemas = Readonly<Record<never, never>>,
  E extends EventInput = EventsOfSources<T>,
>(parts: ProcessParts<T, Initial, S, A, D, E>): ProcessDefinition<S, E, A[number], D> {
  const name = checkedName(parts.name)
  const { version = 1, state = 'record', after = 'end', migrate } = parts
  if (!Number.isSafeInteger(version) || version < 1) {
    throw refuse(name, `has version ${version}; use 1, 2, …`)
  }
  if (after !== 'end' && !(Number.isSafeInteger(after) && after >= 0)) {
    throw refuse(name, "begins after something that is neither a position nor 'end'")
  }
  if (state !== 'record' && state !== 'events') {
    throw refuse(name, "keeps its state neither as 'record' nor as 'events'")
  }
  if (migrate !== undefined && (migrate === 'refold') !== (state === 'events')) {
    throw refuse(name, "migrates by 'refold' when its state is 'events', otherwise by a function")
  }
  const registry = registryOfSources(parts.events)
  const types = Object.keys(parts.on)
  for (const type of [...types, ...(parts.starts ?? [])]) {
    if (registry.get(type) === undefined) {
      throw refuse(name, `handles ${type}, which is not among its events; add it there`)
    }
    if (!types.includes(type)) throw refuse(name, `starts with ${type} and has no handler for it`)
  }
  const deadlines: DeadlineSchemas = parts.deadlines ?? {}
  const onDeadline = (parts.onDeadline ?? {}) as ProcessDefinition['onDeadline']
  checkedDeadlines(name, deadlines, onDeadline)
  const aggregates = new Map(
    Array.from(parts.aggregates ?? [], (target) => [targetName(target), target]),
  )
  return {
    kind: 'process',
    ...{ name, version, state, after, registry, types, deadlines, onDeadline, aggregates },
    starts: parts.starts,
    correlate: correlateBy(parts.correlate),
    initial: parts.initial,
    on: parts.on as ProcessDefinition['on'],
    onRejected: parts.onRejected as AnyProcessHandler | undefined,
    onCompensated: parts.onCompensated as AnyProcessHandler | undefined,
    migrate: migrate as ProcessDefinition['migrate'],
  }
}
