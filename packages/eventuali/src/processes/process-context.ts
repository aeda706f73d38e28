import type {
  Aggregate,
  AnyEventCreator,
  ClassCommands,
  EventCreators,
  EventInput,
  EventsOf,
  Json,
  NextState,
  RecordedFrom,
  SchemaInput,
  SchemaOutput,
} from '../model/index.ts'
import type { Duration } from './duration.ts'
import type { RecurrenceOptions } from './recurrence.ts'

/** An aggregate that commands may go to: what `defineAggregate` made, or a class. */
export type CommandTarget =
  | { readonly kind: 'aggregate'; readonly name: string; readonly commands: unknown }
  | { new (): object; readonly aggregateName: string }

/** The commands of a target by name. */
export type CommandsOfTarget<T> = T extends {
  readonly kind: 'aggregate'
  readonly commands: infer C
}
  ? C
  : T extends { new (): infer A }
    ? A extends Aggregate
      ? ClassCommands<A>
      : never
    : never

/** The input that a command takes: none, one, or one that may be left out. */
export type InputArguments<F> = F extends (state: never, ...rest: infer R) => unknown
  ? R extends readonly []
    ? []
    : R extends readonly [infer I, ...unknown[]]
      ? undefined extends I
        ? [input?: I]
        : [input: I]
      : R extends readonly [(infer I)?, ...unknown[]]
        ? [input?: I]
        : []
  : []

/** What a process listens to: results of `defineEvents`, or single creators. */
export type ProcessEvents = readonly (EventCreators | AnyEventCreator)[]

/** The union of the events that a process listens to. */
export type EventsOfSources<T extends ProcessEvents> = T[number] extends infer U
  ? U extends AnyEventCreator
    ? ReturnType<U>
    : U extends EventCreators
      ? EventsOf<U>
      : never
  : never

/** Deadlines by name, each with what describes its payload: `type<T>()` or a Standard Schema. */
export type DeadlineSchemas = Readonly<Record<string, object>>

type PayloadArguments<P> = null extends P
  ? [payload?: P]
  : undefined extends P
    ? [payload?: P]
    : [payload: P]

/** A deadline that has come. */
export interface Deadline<Name extends string = string, Payload = unknown> {
  readonly name: Name
  readonly payload: Payload
  /** When it was to come. */
  readonly dueAt: Date
  /** Stable: the same however often the deadline is fired. */
  readonly id: string
}

/** A command that its aggregate refused. */
export interface CommandRejection {
  /** Name of the aggregate; undefined for events that were to be appended. */
  readonly aggregate: string | undefined
  /** The aggregate's id, or the stream. */
  readonly id: string
  readonly command: string | undefined
  readonly input: Json
  /** What `named` said. */
  readonly label: string | undefined
  readonly reason: string
  readonly details: Json
  readonly commandId: string
}

/** A command on its way; says more of it. */
export interface EmittedCommand<A extends CommandTarget> {
  /** A word to know it by, when it is rejected. */
  named(label: string): EmittedCommand<A>
  /** Once it has succeeded, this takes it back when the process compensates. */
  undoneBy<T extends A, K extends keyof CommandsOfTarget<T> & string>(
    target: T,
    id: string,
    command: K,
    ...input: InputArguments<CommandsOfTarget<T>[K]>
  ): EmittedCommand<A>
}

/**
 * What a process handler may do besides giving a new state. Nothing happens at once: all of it is
 * stored with the state, in one transaction, and done from there.
 */
export interface ProcessContext<
  A extends CommandTarget = CommandTarget,
  D extends DeadlineSchemas = DeadlineSchemas,
> {
  /** The correlation key. */
  readonly key: string
  /** The time of the call; handlers need no clock of their own. */
  readonly now: Date
  /** True while steps are taken back. */
  readonly compensating: boolean
  /** Runs a command once the transaction has committed; exactly one effect for each cause. */
  command<T extends A, K extends keyof CommandsOfTarget<T> & string>(
    target: T,
    id: string,
    command: K,
    ...input: InputArguments<CommandsOfTarget<T>[K]>
  ): EmittedCommand<A>
  /** Appends events, after the commands that were emitted before. */
  append(stream: string, events: EventInput | readonly EventInput[]): EmittedCommand<A>
  /** Says how to take back what an event tells of, should the process compensate. */
  undo<T extends A, K extends keyof CommandsOfTarget<T> & string>(
    target: T,
    id: string,
    command: K,
    ...input: InputArguments<CommandsOfTarget<T>[K]>
  ): void
  /** Sets a deadline, in place of one of the same name. A day is 24 hours here. */
  after<K extends keyof D & string>(
    duration: Duration,
    name: K,
    ...payload: PayloadArguments<SchemaInput<D[K]>>
  ): void
  /** Sets a deadline for a moment; one that has passed comes at once. */
  at<K extends keyof D & string>(
    moment: Date,
    name: K,
    ...payload: PayloadArguments<SchemaInput<D[K]>>
  ): void
  /** Sets a deadline that comes again and again: a cron pattern or a duration. */
  every<K extends keyof D & string>(
    pattern: Duration,
    options: RecurrenceOptions,
    name: K,
    ...payload: PayloadArguments<SchemaInput<D[K]>>
  ): void
  /** Takes a deadline back; nothing happens when there is none. */
  cancel(name: keyof D & string): void
  /** Ends the process: deadlines are taken back, emitted commands still run, events are ignored. */
  complete(): void
  /** Takes the steps back, the last one first. Commands that have not begun are dropped. */
  compensate(reason?: string): void
}

// biome-ignore lint/suspicious/noConfusingVoidType: a handler may end without a return.
type HandlerResult<S> = NextState<S> | undefined | void

/** A handler for each event type that matters. */
export type ProcessHandlers<
  S,
  E extends EventInput,
  A extends CommandTarget,
  D extends DeadlineSchemas,
> = {
  readonly [K in E['type']]?: (
    state: S,
    event: RecordedFrom<Extract<E, { readonly type: K }>>,
    ctx: ProcessContext<A, D>,
  ) => HandlerResult<S>
}

/** A handler for each deadline. */
export type DeadlineHandlers<S, A extends CommandTarget, D extends DeadlineSchemas> = {
  readonly [K in keyof D & string]: (
    state: S,
    deadline: Deadline<K, SchemaOutput<D[K]>>,
    ctx: ProcessContext<A, D>,
  ) => HandlerResult<S>
}

/** A handler of a process, its types erased. */
export type AnyProcessHandler = (state: never, cause: never, ctx: never) => unknown

/** Handlers for what is neither an event nor a deadline. */
export interface OutcomeHandlers<S, A extends CommandTarget, D extends DeadlineSchemas> {
  /** A command was refused. Without this the process compensates. */
  readonly onRejected?: (
    state: S,
    rejection: CommandRejection,
    ctx: ProcessContext<A, D>,
  ) => HandlerResult<S>
  /** All steps have been taken back; the process ends after it. */
  readonly onCompensated?: (
    state: S,
    compensation: { readonly reason: string },
    ctx: ProcessContext<A, D>,
  ) => HandlerResult<S>
}
