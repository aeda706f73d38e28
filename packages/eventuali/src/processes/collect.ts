import {
  assertJson,
  DefinitionError,
  type EventInput,
  InvalidArgumentError,
  isStandardSchema,
  type Json,
  validate,
} from '../model/index.ts'
import { type ProcessDefinition, targetName } from './define-process.ts'
import { type Duration, durationMs } from './duration.ts'
import type { StoredTarget } from './instance.ts'
import type {
  AnyProcessHandler,
  CommandTarget,
  EmittedCommand,
  ProcessContext,
} from './process-context.ts'
import {
  occurrenceAfter,
  type Recurrence,
  type RecurrenceOptions,
  recurrenceOf,
} from './recurrence.ts'

/** What a handler emitted: a command, or events whose preparation may take a moment. */
export interface Emission {
  target:
    | StoredTarget
    | { readonly kind: 'events'; readonly stream: string; readonly events: readonly EventInput[] }
  label: string | null
  undo: StoredTarget | null
}

/** A deadline that is set (with its moment) or taken back (without). */
export interface DeadlineChange {
  readonly name: string
  readonly set:
    | { readonly dueAt: number; readonly payload: Json; readonly recurrence: Recurrence | null }
    | undefined
}

/** All that one call of a handler wants. */
export interface Effects {
  /** Undefined: as it was. */
  readonly state: unknown
  readonly emissions: readonly Emission[]
  readonly undo: readonly StoredTarget[]
  readonly deadlines: readonly DeadlineChange[]
  readonly completes: boolean
  /** The reason, when it compensates. */
  readonly compensates: string | undefined
}

/** What a handler may know besides its state and what it reacts to. */
export interface Circumstances {
  readonly key: string
  readonly now: number
  readonly compensating: boolean
}

/** A command as records keep it. Throws DataNotJsonError for an input that JSON does not carry. */
export function commandTarget(
  target: CommandTarget,
  id: string,
  command: string,
  input: unknown,
): StoredTarget {
  const aggregate = targetName(target)
  if (typeof id !== 'string' || id === '') {
    throw new InvalidArgumentError('id', `of a command to ${aggregate} is no text, or empty`)
  }
  if (input === undefined) return { kind: 'command', aggregate, id, command }
  assertJson(input, 'input')
  return {
    kind: 'command',
    aggregate,
    id,
    command,
    input: JSON.parse(JSON.stringify(input)) as Json,
  }
}

class Collector implements ProcessContext {
  readonly key: string
  readonly now: Date
  readonly compensating: boolean
  readonly emissions: Emission[] = []
  readonly undone: StoredTarget[] = []
  readonly deadlines: DeadlineChange[] = []
  completes = false
  compensates: string | undefined
  readonly #definition: ProcessDefinition

  constructor(definition: ProcessDefinition, { key, now, compensating }: Circumstances) {
    this.#definition = definition
    this.key = key
    this.now = new Date(now)
    this.compensating = compensating
  }

  command(
    target: CommandTarget,
    id: string,
    command: string,
    input?: unknown,
  ): EmittedCommand<CommandTarget> {
    return this.#emit(this.#target(target, id, command, input))
  }

  append(
    stream: string,
    events: EventInput | readonly EventInput[],
  ): EmittedCommand<CommandTarget> {
    const list = (Array.isArray(events) ? events : [events]) as readonly EventInput[]
    return this.#emit({ kind: 'events', stream, events: list })
  }

  undo(target: CommandTarget, id: string, command: string, input?: unknown): void {
    this.undone.push(this.#target(target, id, command, input))
  }

  after(duration: Duration, name: string, payload?: unknown): void {
    this.#set(name, payload, this.now.getTime() + durationMs(duration), null)
  }

  at(moment: Date, name: string, payload?: unknown): void {
    const dueAt = moment instanceof Date ? moment.getTime() : Number.NaN
    if (Number.isNaN(dueAt)) throw new InvalidArgumentError('at', 'is not a valid Date')
    this.#set(name, payload, dueAt, null)
  }

  every(pattern: Duration, options: RecurrenceOptions, name: string, payload?: unknown): void {
    const recurrence = recurrenceOf(pattern, options)
    this.#set(name, payload, firstOccurrence(recurrence, this.now.getTime()), recurrence)
  }

  cancel(name: string): void {
    this.deadlines.push({ name, set: undefined })
  }

  complete(): void {
    this.completes = true
  }

  compensate(reason = 'the process asked for it'): void {
    this.compensates ??= reason
  }

  #target(target: CommandTarget, id: string, command: string, input: unknown): StoredTarget {
    const name = targetName(target)
    if (this.#definition.aggregates.get(name) !== target) {
      throw new DefinitionError(
        `process ${this.#definition.name} sends commands to ${name}, which is not among its aggregates; add it there`,
      )
    }
    return commandTarget(target, id, command, input)
  }

  #emit(target: Emission['target']): EmittedCommand<CommandTarget> {
    const emission: Emission = { target, label: null, undo: null }
    this.emissions.push(emission)
    const emitted: EmittedCommand<CommandTarget> = {
      named: (label) => {
        emission.label = label
        return emitted
      },
      undoneBy: (undoTarget: CommandTarget, id: string, command: string, ...input: unknown[]) => {
        emission.undo = this.#target(undoTarget, id, command, input[0])
        return emitted
      },
    }
    return emitted
  }

  #set(name: string, payload: unknown, dueAt: number, recurrence: Recurrence | null): void {
    const { deadlines } = this.#definition
    const schema = Object.hasOwn(deadlines, name) ? deadlines[name] : undefined
    if (schema === undefined) {
      throw new DefinitionError(`process ${this.#definition.name} has no deadline ${name}; add it`)
    }
    const checked = isStandardSchema(schema) ? validate(name, schema, payload) : payload
    if (checked instanceof Promise) {
      checked.catch(() => undefined)
      throw new DefinitionError(`the schema of deadline ${name} is asynchronous; use another one`)
    }
    const value = checked ?? null
    assertJson(value, 'payload')
    const stored = JSON.parse(JSON.stringify(value)) as Json
    this.deadlines.push({ name, set: { dueAt, payload: stored, recurrence } })
  }
}

/** The first occurrence from a moment on. Throws InvalidArgumentError when there is none. */
export function firstOccurrence(recurrence: Recurrence, now: number): number {
  const first = occurrenceAfter(recurrence, now)
  if (first !== undefined) return first
  throw new InvalidArgumentError('pattern', `${recurrence.pattern} never comes`)
}

/** Runs a handler and keeps what it wants, without doing any of it. Passes on what it throws. */
export function collectEffects(
  definition: ProcessDefinition,
  handler: AnyProcessHandler,
  state: unknown,
  cause: unknown,
  circumstances: Circumstances,
): Effects {
  const collector = new Collector(definition, circumstances)
  const next = handler(state as never, cause as never, collector as never)
  if (next instanceof Promise) {
    next.catch(() => undefined)
    throw new DefinitionError(
      `a handler of process ${definition.name} is asynchronous; let a command or an outbox do what takes time`,
    )
  }
  return {
    state: next,
    emissions: collector.emissions,
    undo: collector.undone,
    deadlines: collector.deadlines,
    completes: collector.completes,
    compensates: collector.compensates,
  }
}
