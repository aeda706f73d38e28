export { defineProcess, type ProcessDefinition, type ProcessParts } from './define-process.ts'
export { type Duration, durationMs } from './duration.ts'
export type { ProcessStatus, StoredError, StoredTarget, Stuck, StuckCause } from './instance.ts'
export type {
  ByHand,
  ProcessCommandInfo,
  ProcessDetails,
  ProcessInfo,
  ProcessQuery,
  ScheduleInfo,
} from './operations.ts'
export {
  type DeliveryContext,
  defineOutbox,
  type OutboxDefinition,
  type OutboxMessage,
  type OutboxParts,
  type OutboxRuntime,
  startOutbox,
} from './outbox.ts'
export type {
  CommandRejection,
  CommandTarget,
  Deadline,
  DeadlineSchemas,
  EmittedCommand,
  EventsOfSources,
  ProcessContext,
  ProcessEvents,
} from './process-context.ts'
export { Processes, type ProcessesOptions, type ProcessHealth } from './processes.ts'
export type { RecurrenceOptions } from './recurrence.ts'
export { Rehearsal, type RehearsedWork } from './rehearsal.ts'
export { appendTo, commandTo, type ScheduledAction, Schedules } from './schedules.ts'
