import type { AggregateDefinition, CommandContext, UnknownEvents } from './aggregate.ts'
import { checkedAggregateName } from './aggregate.ts'
import { DefinitionError, InvalidArgumentError, UnknownEventTypeError } from './errors.ts'
import type { EventInput, RecordedEvent } from './event.ts'
import { type EventCreators, type OutputOf, validateData } from './event-definitions.ts'
import { type EventRegistry, eventRegistry } from './event-registry.ts'
import type { SnapshotRules } from './snapshot-rules.ts'

/**
 * What an `on<Event>` handler sees: an event as it is known before it is stored. A freshly
 * recorded one has only the metadata that `record` was given.
 */
export type AppliedEvent<Type extends string = string, Data = unknown> = Pick<
  RecordedEvent<Type, Data>,
  'type' | 'data' | 'stream' | 'version' | 'time' | 'metadata' | 'tags'
>

/** The applied form of a union of events. */
export type AppliedFrom<E extends EventInput> = E extends EventInput
  ? AppliedEvent<E['type'], OutputOf<E>>
  : never

/** What a handler takes: `AppliedOf<typeof events, 'Deposited'>`. */
export type AppliedOf<T extends EventCreators, Type extends keyof T = keyof T> = AppliedFrom<
  ReturnType<T[Type]>
>

/** The handlers a class must have: `class Account extends Aggregate<E> implements Handlers<E>`. */
export type Handlers<E extends EventInput> = {
  [K in E as `on${Capitalize<K['type']>}`]: (event: AppliedFrom<K>) => void
}

/** An event that `record` took, with the validator's output, so that it is computed once. */
export interface PendingEvent {
  readonly input: EventInput
  readonly output: unknown
}

interface Internals {
  bind(aggregate: Aggregate, binding: Binding): void
  apply(aggregate: Aggregate, event: RecordedEvent): void
  take(aggregate: Aggregate): readonly PendingEvent[]
}

interface Binding {
  readonly id: string
  readonly stream: string
  readonly version: number
  readonly now: Date
}

let internals: Internals

/**
 * An aggregate as a class: fields are the state, `on<Event>` methods change them, other methods
 * are commands that call `this.record(...)`. A thin skin over what `defineAggregate` makes.
 *
 * @example
 * ```ts
 * import { Aggregate, defineEvents, reject, type } from 'eventuali'
 * import type { AppliedOf, EventsOf, Handlers } from 'eventuali'
 *
 * const events = defineEvents({ Deposited: type<{ amount: number }>() })
 * type AccountEvents = EventsOf<typeof events>
 *
 * class Account extends Aggregate<AccountEvents> implements Handlers<AccountEvents> {
 *   static readonly aggregateName = 'account'
 *   static readonly events = events
 *   balance = 0
 *
 *   onDeposited({ data }: AppliedOf<typeof events, 'Deposited'>): void {
 *     this.balance += data.amount
 *   }
 *
 *   deposit(amount: number): void {
 *     if (amount <= 0) reject('a deposit is more than nothing')
 *     this.record(events.Deposited({ amount }))
 *   }
 * }
 *
 * const account = new Account()
 * account.deposit(5)
 * console.log(account.balance) // 5
 * ```
 */
export abstract class Aggregate<E extends EventInput = EventInput> {
  #id = ''
  #stream = ''
  #version = 0
  #now = new Date(0)
  #pending: PendingEvent[] = []

  static {
    internals = {
      bind: (aggregate, { id, stream, version, now }) => {
        aggregate.#id = id
        aggregate.#stream = stream
        aggregate.#version = version
        aggregate.#now = now
      },
      apply: (aggregate, event) => {
        aggregate.#version = event.version
        dispatch(aggregate, event)
      },
      take: (aggregate) => {
        const taken = aggregate.#pending
        aggregate.#pending = []
        return taken
      },
    }
  }

  /** The id without the aggregate's name; empty for an instance made by `new`. */
  get id(): string {
    return this.#id
  }

  /** Version of the stream, counting what was recorded and not yet stored. */
  get version(): number {
    return this.#version
  }

  /**
   * Applies an event at once and keeps it for the append that follows the command. Checks the
   * data first: throws ValidationError; a validator must be synchronous here.
   */
  protected record(...events: readonly E[]): void {
    for (const input of events) {
      const definition = definitionOfClass(this.constructor).registry.get(input.type)
      if (definition === undefined) throw new UnknownEventTypeError(input.type)
      const output = validateData(definition, input.data)
      if (output instanceof Promise) {
        output.catch(() => undefined)
        throw new InvalidArgumentError(
          `the schema of ${input.type}`,
          'is asynchronous, which record() cannot wait for; use defineAggregate for it',
        )
      }
      const time = input.time ?? this.#now
      // The time that handlers see is the time that is stored, so that a replay gives the same.
      const kept = input.time === undefined && this.#stream !== '' ? { ...input, time } : input
      const { metadata = {}, tags = [] } = input
      const applied: AppliedEvent = {
        type: input.type,
        data: output,
        stream: this.#stream,
        version: this.#version + 1,
        time,
        metadata,
        tags,
      }
      dispatch(this, applied)
      this.#version += 1
      this.#pending.push({ input: kept, output })
    }
  }
}

/** A class that extends `Aggregate`, with its static name and events. */
export interface AggregateClass<A extends Aggregate<E>, E extends EventInput = EventInput> {
  new (): A
  /** First part of its streams' names; without a `-`. */
  readonly aggregateName: string
  readonly events: EventCreators
  /** What happens to stored events of types that `events` does not define; refused otherwise. */
  readonly unknownEvents?: UnknownEvents
  /** Instances are kept only where it says how: private fields are beyond the library's reach. */
  readonly snapshot?: Required<Pick<SnapshotRules<A>, 'encode' | 'decode'>> & SnapshotRules<A>
}

type HandlerName = `on${Capitalize<string>}`

/** Names of a class's commands: methods with at most one input, handlers left out. */
export type ClassCommandName<A> = {
  [K in keyof A & string]: K extends HandlerName | keyof Aggregate
    ? never
    : A[K] extends (input: never) => unknown
      ? K
      : never
}[keyof A & string]

/** The commands of a class, as the repository offers them: the state stands in front. */
export type ClassCommands<A> = {
  readonly [K in ClassCommandName<A>]: A[K] extends (...input: infer I) => unknown
    ? (state: A, ...input: I) => unknown
    : never
}

/** The definition behind a class, as the engine uses it; `commandOf` finds methods by name. */
export interface ClassDefinition extends AggregateDefinition<Aggregate, unknown, EventInput> {
  readonly registry: EventRegistry
  readonly commandOf: (name: string) => ((state: Aggregate, input: unknown) => unknown) | undefined
}

function handlerName(type: string): string {
  return `on${type.charAt(0).toUpperCase()}${type.slice(1)}`
}

function dispatch(aggregate: Aggregate, event: AppliedEvent): void {
  const handler = (aggregate as unknown as Record<string, unknown>)[handlerName(event.type)]
  if (typeof handler !== 'function') throw new UnknownEventTypeError(event.type)
  handler.call(aggregate, event)
}

const definitions = new WeakMap<object, ClassDefinition>()

function methodOf(prototype: object, name: string): unknown {
  for (
    let p: object | null = prototype;
    p !== null && p !== Aggregate.prototype;
    p = Object.getPrototypeOf(p)
  ) {
    if (Object.hasOwn(p, name)) return Object.getOwnPropertyDescriptor(p, name)?.value
  }
  return undefined
}

/**
 * The definition behind an aggregate class. Throws DefinitionError when the name, the events or
 * a handler is missing.
 */
export function definitionOfClass(aggregateClass: unknown): ClassDefinition {
  const known = definitions.get(aggregateClass as object)
  if (known !== undefined) return known
  const made = aggregateClass as AggregateClass<Aggregate> & { readonly name: string }
  const label = `class ${made.name}`
  if (made.aggregateName === undefined || made.events === undefined) {
    throw new DefinitionError(
      `${label} needs "static readonly aggregateName" and "static readonly events"`,
    )
  }
  const registry = eventRegistry(made.events)
  const handlers = new Map<string, string>()
  for (const type of registry.types()) {
    const name = handlerName(type)
    const other = handlers.get(name)
    if (other !== undefined) {
      throw new DefinitionError(
        `${label}: ${other} and ${type} share the handler ${name}; rename one`,
      )
    }
    if (typeof methodOf(made.prototype, name) !== 'function') {
      throw new DefinitionError(`${label} has no handler ${name} for ${type}; add the method`)
    }
    handlers.set(name, type)
  }
  const evolveAny = (state: Aggregate, event: RecordedEvent): Aggregate => {
    internals.apply(state, event)
    return state
  }
  const evolve = Object.fromEntries(registry.types().map((type) => [type, evolveAny]))
  const names = new Set(handlers.keys())
  const definition: ClassDefinition = {
    kind: 'aggregate',
    name: checkedAggregateName(made.aggregateName),
    registry,
    initial: () => new made(),
    evolve,
    commands: undefined,
    unknownEvents: made.unknownEvents,
    snapshot: made.snapshot ?? false,
    source: made,
    commandOf: (name) => {
      if (name === 'constructor' || names.has(name)) return undefined
      const method = methodOf(made.prototype, name)
      if (typeof method !== 'function') return undefined
      return (state, input) => method.call(state, input)
    },
  }
  definitions.set(made, definition)
  return definition
}

/** Tells an instance who it is, once its events are folded. For the engine. */
export function bindAggregate(aggregate: Aggregate, context: CommandContext): void {
  internals.bind(aggregate, context)
}

/** Hands over what an instance recorded since the last call. For the engine. */
export function takePending(aggregate: Aggregate): readonly PendingEvent[] {
  return internals.take(aggregate)
}

/** Whether a value is a class that extends `Aggregate`. */
export function isAggregateClass(value: unknown): value is AggregateClass<Aggregate> {
  return typeof value === 'function' && value.prototype instanceof Aggregate
}
