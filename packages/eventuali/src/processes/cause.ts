import { uuidV5 } from '../kernel/index.ts'
import { DefinitionError, type Json, type RecordedEvent } from '../model/index.ts'
import type { StoredRecord } from '../ports/index.ts'
import { collectEffects, type Effects } from './collect.ts'
import type { ProcessDefinition } from './define-process.ts'
import {
  type CommandValue,
  recordValue,
  type ScheduleValue,
  type StoredTarget,
  type StuckCause,
} from './instance.ts'
import type { AnyProcessHandler, CommandRejection } from './process-context.ts'

/** What makes a handler run. `id` is stable: the same cause has the same one, however often. */
export type Cause =
  | { readonly kind: 'event'; readonly id: string; readonly event: RecordedEvent }
  | {
      readonly kind: 'deadline'
      readonly id: string
      readonly name: string
      readonly payload: Json
      readonly dueAt: number
    }
  | { readonly kind: 'rejected'; readonly id: string; readonly rejection: CommandRejection }
  | { readonly kind: 'compensated'; readonly id: string; readonly reason: string }

/** The cause that an event is. Its place in the log tells it from all others. */
export function eventCause(event: RecordedEvent): Cause {
  return { kind: 'event', id: uuidV5('event', event.stream, event.version, event.id), event }
}

/** The cause that one firing of a deadline is. */
export function deadlineCause(schedule: ScheduleValue): Cause {
  const { name, payload, dueAt } = schedule
  return { kind: 'deadline', id: uuidV5('deadline', schedule.id, dueAt), name, payload, dueAt }
}

function idOfTarget(target: StoredTarget): string {
  return target.kind === 'command' ? target.id : target.stream
}

/** The cause that a refused command is. */
export function rejectedCause(
  record: StoredRecord,
  commandId: string,
  reason: string,
  details: Json,
): Cause {
  const { target, label } = recordValue<CommandValue>(record)
  const isCommand = target.kind === 'command'
  const rejection: CommandRejection = {
    aggregate: isCommand ? target.aggregate : undefined,
    id: idOfTarget(target),
    command: isCommand ? target.command : undefined,
    input: isCommand ? (target.input ?? null) : null,
    label: label ?? undefined,
    reason,
    details,
    commandId,
  }
  return { kind: 'rejected', id: uuidV5('rejected', commandId), rejection }
}

/** What a process is stuck on when the handler of a cause fails. */
export function stuckOn(cause: Cause): StuckCause {
  switch (cause.kind) {
    case 'event':
      return { kind: 'event', position: cause.event.position }
    case 'deadline':
      return { kind: 'deadline', name: cause.name }
    case 'rejected':
      return { kind: 'command', commandId: cause.rejection.commandId }
    case 'compensated':
      return { kind: 'compensated' }
  }
}

function own(handlers: ProcessDefinition['on'], name: string): AnyProcessHandler | undefined {
  return Object.hasOwn(handlers, name) ? handlers[name] : undefined
}

function handlerOf(definition: ProcessDefinition, cause: Cause): AnyProcessHandler | undefined {
  switch (cause.kind) {
    case 'event':
      return own(definition.on, cause.event.type)
    case 'deadline': {
      const handler = own(definition.onDeadline, cause.name)
      if (handler !== undefined) return handler
      throw new DefinitionError(
        `process ${definition.name}, version ${definition.version}, has no handler for its deadline ${cause.name}`,
      )
    }
    case 'rejected':
      return definition.onRejected
    case 'compensated':
      return definition.onCompensated
  }
}

function argumentOf(definition: ProcessDefinition, cause: Cause): unknown {
  switch (cause.kind) {
    case 'event':
      return definition.registry.decode(cause.event)
    case 'deadline': {
      const { name, payload, id, dueAt } = cause
      return { name, payload, id, dueAt: new Date(dueAt) }
    }
    case 'rejected':
      return cause.rejection
    case 'compensated':
      return { reason: cause.reason }
  }
}

/** Runs the handler of a cause; undefined when there is none. Passes on what it throws. */
export function react(
  definition: ProcessDefinition,
  state: unknown,
  cause: Cause,
  circumstances: { readonly key: string; readonly now: number; readonly compensating: boolean },
): Effects | undefined {
  const handler = handlerOf(definition, cause)
  if (handler === undefined) return undefined
  const argument = argumentOf(definition, cause)
  return collectEffects(definition, handler, state, argument, circumstances)
}
