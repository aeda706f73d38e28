export {
  type AggregateDefinition,
  type Command,
  type CommandContext,
  type CommandOutput,
  type Commands,
  defineAggregate,
  type EvolveHandlers,
  evolveOne,
  type NextState,
  streamOf,
  type UnknownEvents,
} from './aggregate.ts'
export {
  Aggregate,
  type AggregateClass,
  type AppliedEvent,
  type AppliedFrom,
  type AppliedOf,
  bindAggregate,
  type ClassCommandName,
  type ClassCommands,
  type ClassDefinition,
  definitionOfClass,
  type Handlers,
  isAggregateClass,
  type PendingEvent,
  takePending,
} from './aggregate-class.ts'
export {
  BackupChainError,
  BackupExistsError,
  BackupInvalidError,
  BackupPassphraseError,
  RestoreDiffersError,
  RestoreTargetError,
  RestoreUnfinishedError,
} from './backup-errors.ts'
export { codecName, codecOf, type EncodingName, expandedBytes, textOfData } from './body.ts'
export { type BodyEncoder, bodyEncoder, type CodecOptions } from './body-encoder.ts'
export {
  checksumOf,
  decodeRow,
  type EncodableEvent,
  type EncodedEvent,
  encodeEvent,
  rowIsIntact,
  type StoredRow,
  textOfRow,
} from './codec.ts'
export {
  type CompressionName,
  codecPeers,
  compressionDefault,
  compressionNames,
  compressorOf,
} from './compression.ts'
export {
  ConfigFileError,
  ConfigInvalidError,
  type ConfigProblem,
  SecretMissingError,
} from './config-errors.ts'
export {
  type CheckedQueryItem,
  checkedQuery,
  composeDecisions,
  type Decision,
  type DecisionContext,
  type DecisionEntry,
  type DecisionHandlers,
  type DecisionModel,
  type DecisionOutput,
  type DecisionPart,
  type DecisionQuery,
  defineDecision,
  defineDecisionModel,
  type EventsOfModels,
  type InputOfModels,
  matchesQuery,
  type NamedModels,
  type StatesOfModels,
} from './decision.ts'
export {
  type DocumentFilter,
  type DocumentOperator,
  type DocumentQuery,
  type DocumentSort,
  findDocuments,
} from './documents.ts'
export {
  AppendConditionError,
  AppendManyError,
  CapabilityError,
  CodecMissingError,
  ConnectionError,
  CorruptEventError,
  DataNotJsonError,
  DefinitionError,
  DomainError,
  DriverMissingError,
  EmptyAppendError,
  EventTooLargeError,
  type ExpectedVersion,
  IdempotencyConflictError,
  ImportLineError,
  ImportSourceError,
  InvalidArgumentError,
  InvalidNameError,
  LogChangedError,
  NestedTransactionError,
  OperationTimeoutError,
  OutcomeUnknownError,
  QueueFullError,
  ReadOnlyStoreError,
  SchemaTooNewError,
  SqliteUnsafeError,
  StorageBusyError,
  StorageError,
  StorageFullError,
  StoreClosedError,
  StoreUrlError,
  StreamArchivedError,
  StreamDeletedError,
  StreamTruncatedError,
  TransactionTimeoutError,
  UnknownCommandError,
  UnknownEventTypeError,
  ValidationError,
  type ValidationIssue,
  VersionConflictError,
} from './errors.ts'
export {
  categoryOf,
  type EventInput,
  type EventMetadata,
  isSystemType,
  type RecordedEvent,
  systemEventTypes,
} from './event.ts'
export {
  type AnyEventCreator,
  type DetailedEvent,
  defineEvents,
  definitionOfEvent,
  type EventCodec,
  type EventCreator,
  type EventCreators,
  type EventDefinition,
  type EventDetails,
  type EventOptions,
  type EventSpec,
  type EventsOf,
  event,
  type OutputOf,
  type RecordedFrom,
  type RecordedOf,
  type StorableSpecs,
  type TypedEvent,
  validateData,
} from './event-definitions.ts'
export { type EventRegistry, eventRegistry, joinRegistries } from './event-registry.ts'
export {
  type EventEvolution,
  type Replaced,
  type ReplacementEvent,
  replacedBy,
  type Upcaster,
} from './evolution.ts'
export { UpcastError, UpcasterMissingError } from './evolution-errors.ts'
export {
  assertFreshness,
  type Freshness,
  type FreshnessBound,
  freshAt,
} from './freshness.ts'
export type { Json } from './json.ts'
export type { JsonProblem } from './json-check.ts'
export { assertJson, jsonTextOf } from './json-value.ts'
export { NumbersExhaustedError } from './limit-errors.ts'
export { eventBytesMax, nestingDepthMax } from './limits.ts'
export {
  ForkTargetExistsError,
  MigrationCollisionError,
  MigrationInPlaceError,
  MigrationIrreversibleError,
  MigrationPlanError,
} from './migration-errors.ts'
export {
  askedName,
  assertEventId,
  assertStreamName,
  assertTag,
  assertTypeName,
  nameLengthMax,
} from './names.ts'
export { ProcessNotFoundError, ProcessStateError } from './process-errors.ts'
export {
  InlineProjectionError,
  ProjectionBuildError,
  ProjectionBuildLostError,
  ProjectionDiffersError,
  ProjectionNotReadyError,
  ProjectionOrderError,
  ProjectionTimeoutError,
} from './projection-errors.ts'
export { ProjectionMissingError, RecordConflictError } from './read-side-errors.ts'
export { Recoding } from './recode.ts'
export { nothingRecordedBy, type RecordedTimes } from './recorded-times.ts'
export { reject } from './reject.ts'
export { RemoteError, type RemoteFailure } from './remote-errors.ts'
export { ReplayTargetError, WorkerFailedError } from './replay-errors.ts'
export { NotAReplicaError } from './replica-errors.ts'
export { type KeptRow, type RestoredHead, RestoredPart, removedBelow } from './restored-part.ts'
export { SchemaIncompatibleError, type SchemaObjection } from './schema-errors.ts'
export type { SnapshotRules } from './snapshot-rules.ts'
export {
  type EventSchema,
  isStandardSchema,
  isTypeOnly,
  type SchemaInput,
  type SchemaOutput,
  type TypeOnly,
  type,
  validate,
} from './standard-schema.ts'
export {
  diffStates,
  isSameState,
  pointerOf,
  type StateChange,
  valueAt,
} from './state-diff.ts'
export type { StreamInfo, StreamState } from './stream.ts'
export {
  DeadLetterError,
  SubscriptionChangedError,
  SubscriptionUnknownError,
} from './subscription-errors.ts'
export { TextEvent } from './text-event.ts'
