import {
  type Aggregate,
  type AggregateClass,
  type AggregateDefinition,
  bindAggregate,
  type ClassCommands,
  type CommandContext,
  type CommandOutput,
  DefinitionError,
  definitionOfClass,
  type EventInput,
  type RecordedFrom,
  streamOf,
  takePending,
  UnknownCommandError,
} from '../model/index.ts'
import type { CallOptions, StreamAccess } from '../ports/index.ts'
import type {
  BoundCommands,
  CommandArguments,
  ExecuteOptions,
  ExecuteResult,
} from './command-arguments.ts'
import { type Decided, runCommand } from './execute.ts'
import { foldStream, type Loaded, type LoadOptions } from './fold.ts'
import type { CommandRuntime } from './runtime.ts'
import { compareCode, diffPoints, type TimeTravel, valueHistory } from './time-travel.ts'

/** Loads and commands the aggregates of one definition. */
export interface AggregateRepository<S, C, E extends EventInput>
  // biome-ignore lint/suspicious/noExplicitAny: the changed code may have any state and commands.
  extends TimeTravel<AggregateDefinition<any, any, any>> {
  /** The state, folded from the stream, and the stream's version. */
  load(id: string, options?: LoadOptions): Promise<Loaded<S>>
  /** Runs a command by name: loads, decides, appends, and does it again on a conflict. */
  execute<K extends keyof C & string>(
    id: string,
    command: K,
    ...input: CommandArguments<C[K]>
  ): Promise<ExecuteResult<RecordedFrom<E>>>
  /** The commands of one aggregate as methods. */
  at(id: string): BoundCommands<C, E>
  /** Runs a command on the initial state; VersionConflictError when the stream exists. */
  create<K extends keyof C & string>(
    id: string,
    command: K,
    ...input: CommandArguments<C[K]>
  ): Promise<ExecuteResult<RecordedFrom<E>>>
  /** Runs a decision of your own; it may be made again on a conflict. */
  handle(
    id: string,
    decide: (state: S, context: CommandContext) => CommandOutput<E> | Promise<CommandOutput<E>>,
    options?: ExecuteOptions,
  ): Promise<ExecuteResult<RecordedFrom<E>>>
}

/** The events that a class records. */
export type EventsOfClass<A> = A extends Aggregate<infer E> ? E : EventInput

/** Loads and commands the instances of one class. */
export interface ClassRepository<A extends Aggregate>
  extends TimeTravel<AggregateClass<Aggregate>> {
  /** The instance, its events applied. What is recorded outside of a command is not stored. */
  load(id: string, options?: LoadOptions): Promise<A>
  /** Calls a method on a fresh instance and appends what it recorded. */
  execute<K extends keyof ClassCommands<A> & string>(
    id: string,
    command: K,
    ...input: CommandArguments<ClassCommands<A>[K]>
  ): Promise<ExecuteResult<RecordedFrom<EventsOfClass<A>>>>
  /** The commands of one instance as methods. */
  at(id: string): BoundCommands<ClassCommands<A>, EventsOfClass<A>>
  /** Like `execute` on a new instance; VersionConflictError when the stream exists. */
  create<K extends keyof ClassCommands<A> & string>(
    id: string,
    command: K,
    ...input: CommandArguments<ClassCommands<A>[K]>
  ): Promise<ExecuteResult<RecordedFrom<EventsOfClass<A>>>>
  /** Hands over an instance and appends what was recorded on it; may run again on a conflict. */
  handle(
    id: string,
    work: (aggregate: A, context: CommandContext) => unknown,
    options?: ExecuteOptions,
  ): Promise<ExecuteResult<RecordedFrom<EventsOfClass<A>>>>
}

type Decide = (state: unknown, context: CommandContext) => unknown

/** What differs between plain definitions and classes. */
interface Skin {
  readonly definition: AggregateDefinition<unknown, unknown, EventInput>
  readonly commandOf: (
    name: string,
  ) => ((state: unknown, input: unknown, context: CommandContext) => unknown) | undefined
  /** Turns what a decision returned, or recorded, into events. */
  readonly collect: (
    decide: Decide,
  ) => (state: unknown, context: CommandContext) => Promise<Decided>
  /** The definition behind changed code. Throws DefinitionError. */
  readonly definitionOf: (changed: unknown) => Skin['definition']
  readonly present: (id: string, stream: string, loaded: Loaded<unknown>, now: Date) => unknown
}

interface ErasedRepository extends TimeTravel<unknown> {
  load(id: string, options?: LoadOptions): Promise<unknown>
  execute(
    id: string,
    command: string,
    input?: unknown,
    options?: ExecuteOptions,
  ): Promise<ExecuteResult>
  at(id: string): object
  create(
    id: string,
    command: string,
    input?: unknown,
    options?: ExecuteOptions,
  ): Promise<ExecuteResult>
  handle(id: string, decide: Decide, options?: ExecuteOptions): Promise<ExecuteResult>
}

function repositoryOf(
  access: StreamAccess,
  storeRuntime: CommandRuntime,
  skin: Skin,
): ErasedRepository {
  const { definition } = skin
  // An aggregate writes its own events only, whatever else the store knows.
  const runtime: CommandRuntime = {
    ...storeRuntime,
    registry: definition.registry,
    unknown: 'refuse',
  }
  const bounded = <O extends CallOptions>(options: O): O =>
    options.timeoutMs === undefined && runtime.timeoutMs !== undefined
      ? { ...options, timeoutMs: runtime.timeoutMs }
      : options
  const run = (id: string, decide: Decide, options: ExecuteOptions, isCreation: boolean) =>
    runCommand({
      access,
      runtime,
      definition,
      id,
      isCreation,
      options: bounded(options),
      decide: skin.collect(decide),
    })
  const named = async (
    id: string,
    name: string,
    input: unknown,
    options: ExecuteOptions,
    isCreation: boolean,
  ) => {
    const command = skin.commandOf(name)
    if (command === undefined) throw new UnknownCommandError(definition.name, String(name))
    return run(id, (state, context) => command(state, input, context), options, isCreation)
  }
  return {
    load: async (id, options = {}) => {
      const stream = streamOf(definition, id)
      const loaded = await foldStream(
        access,
        definition,
        stream,
        bounded(options),
        runtime.snapshots,
      )
      return skin.present(id, stream, loaded, new Date(runtime.clock.now()))
    },
    execute: (id, name, input, options = {}) => named(id, name, input, options, false),
    create: (id, name, input, options = {}) => named(id, name, input, options, true),
    handle: (id, decide, options = {}) => run(id, decide, options, false),
    diff: (id, from, to = {}, options = {}) =>
      diffPoints(access, definition, streamOf(definition, id), { from, to }, bounded(options)),
    history: (id, path, options = {}) =>
      valueHistory(access, definition, streamOf(definition, id), path, bounded(options)),
    compare: async (id, changed, options = {}) => {
      const definitions = { own: definition, changed: skin.definitionOf(changed) }
      return compareCode(access, definitions, streamOf(definition, id), bounded(options))
    },
    at: (id) =>
      new Proxy(Object.freeze({}), {
        get: (_target, name) =>
          typeof name === 'string' && skin.commandOf(name) !== undefined
            ? (input: unknown, options: ExecuteOptions = {}) =>
                named(id, name, input, options, false)
            : undefined,
      }),
  }
}

function checkedDefinition(definition: unknown): Skin['definition'] {
  if ((definition as { readonly kind?: unknown } | null)?.kind === 'aggregate') {
    return definition as Skin['definition']
  }
  throw new DefinitionError('compare takes what defineAggregate returns')
}

/** The repository of an aggregate made by `defineAggregate`. */
export function aggregateRepository<S, C, E extends EventInput>(
  access: StreamAccess,
  runtime: CommandRuntime,
  definition: AggregateDefinition<S, C, E>,
): AggregateRepository<S, C, E> {
  const commands = definition.commands as Readonly<Record<string, unknown>>
  return repositoryOf(access, runtime, {
    definition: definition as unknown as Skin['definition'],
    commandOf: (name) => {
      const command = Object.hasOwn(commands, name) ? commands[name] : undefined
      return typeof command === 'function' ? (command as never) : undefined
    },
    collect: (decide) => async (state, context) => {
      const output = await decide(state, context)
      if (output === undefined || output === null) return { events: [] }
      return { events: (Array.isArray(output) ? output : [output]) as readonly EventInput[] }
    },
    definitionOf: checkedDefinition,
    present: (_id, _stream, loaded) => loaded,
  }) as unknown as AggregateRepository<S, C, E>
}

/** The repository of a class that extends `Aggregate`. Throws DefinitionError. */
export function classRepository<A extends Aggregate>(
  access: StreamAccess,
  runtime: CommandRuntime,
  aggregateClass: AggregateClass<A>,
): ClassRepository<A> {
  const definition = definitionOfClass(aggregateClass)
  return repositoryOf(access, runtime, {
    definition: definition as unknown as Skin['definition'],
    commandOf: definition.commandOf as Skin['commandOf'],
    collect: (decide) => async (state, context) => {
      const aggregate = state as Aggregate
      bindAggregate(aggregate, context)
      await decide(aggregate, context)
      const pending = takePending(aggregate)
      return {
        events: pending.map(({ input }) => input),
        outputs: pending.map(({ output }) => output),
      }
    },
    definitionOf: (changed) => definitionOfClass(changed) as unknown as Skin['definition'],
    present: (id, stream, { state, version }, now) => {
      bindAggregate(state as Aggregate, { id, stream, version, now, commandId: undefined })
      return state
    },
  }) as unknown as ClassRepository<A>
}
