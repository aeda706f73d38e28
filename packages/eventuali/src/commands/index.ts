export {
  type AggregateRepository,
  aggregateRepository,
  type ClassRepository,
  classRepository,
  type EventsOfClass,
} from './aggregates.ts'
export {
  type AppendAllEntry,
  type AppendAllOptions,
  type AppendOptions,
  type AppendResult,
  append,
  appendAll,
  type ConditionInput,
  checkedExpectedVersion,
  refusalError,
} from './append.ts'
export type {
  BoundCommands,
  CommandArguments,
  ExecuteOptions,
  ExecuteResult,
} from './command-arguments.ts'
export { contextOf, currentContext, withContext } from './context.ts'
export {
  type DecideOptions,
  type DecideResult,
  type DecisionAccess,
  runDecision,
} from './decisions.ts'
export { foldStream, type Loaded, type LoadOptions } from './fold.ts'
export {
  type PreparedEvents,
  type PrepareOptions,
  prepareEvents,
  prepareSystemEvent,
} from './prepare.ts'
export {
  type CommandRuntime,
  defaultRetryPolicy,
  type UnknownTypes,
  unknownTypesDefault,
} from './runtime.ts'
export type { StateDiff, StreamPoint, TimeTravel, ValueChange, WhatIf } from './time-travel.ts'
