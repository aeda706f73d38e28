/**
 * What an adapter implements; the doc comments are its law.
 *
 * @module eventuali/ports
 */

export type {
  DocumentFilter,
  DocumentOperator,
  DocumentQuery,
  DocumentSort,
} from '../model/index.ts'
export { assertAppendRequest } from './append-check.ts'
export type { Broker, BrokerMessage } from './broker.ts'
export type { CallOptions, PositionsOptions, ReadOptions } from './call-options.ts'
export type {
  AppendCondition,
  AppendEntry,
  AppendedEntry,
  AppendOutcome,
  AppendRequest,
  Direction,
  EventStore,
  LogPositions,
  LogQuery,
  MomentQuery,
  NewEvent,
  PositionBlocker,
  QueryItem,
  StorageFault,
  StoreCapabilities,
  StoreTransaction,
  StreamAccess,
  StreamChange,
  StreamQuery,
  StreamsQuery,
} from './event-store.ts'
export type { ForkOutcome, ForkRequest } from './fork.ts'
export type { InlineAccess, InlineProjection } from './inline.ts'
export type { StoreManifest } from './manifest.ts'
export { overStore } from './pass-through.ts'
export type { PoolLaneName, PoolLaneStatistics, PoolStatistics } from './pool.ts'
export type {
  DocumentIndex,
  ModelAccess,
  ModelReads,
  ModelRow,
  ModelTable,
  StoredDocument,
} from './read-model.ts'
export type { RecodeRequest, RecodeStep } from './recode.ts'
export type {
  RecordAccess,
  RecordChange,
  RecordQuery,
  RecordReads,
  StoredRecord,
} from './records.ts'
export type { SchemaMigrator, SchemaStep } from './schema-migration.ts'
export type {
  AnyAggregate,
  FoundSnapshot,
  HeldState,
  LoadedState,
  SnapshotSource,
} from './snapshots.ts'
export type { StorageState } from './storage.ts'
export type { TuneRequest, TuningAdvice } from './tuning.ts'
export type { RestoreRequest, StoreView } from './view.ts'
