export type { AppendManyEntry, AppendManyOptions, AppendManyProgress } from './append-many.ts'
export type { ForkOptions, ForkProgress, ForkResult } from './fork.ts'
export {
  type ConsumerKind,
  type ConsumerLag,
  checkHealth,
  consumerLag,
  type HealthCheck,
  type HealthCheckName,
  type HealthOptions,
  type HealthReport,
  type HealthStatus,
  type HealthThresholds,
} from './health/index.ts'
export type { LifecycleOptions } from './lifecycle.ts'
export { openStore, type TypedStoreOptions, type UntypedStoreOptions } from './open.ts'
export type { OpenStoreSettings, ReplicaSettings } from './open-options.ts'
export type {
  BoundedCall,
  BoundedRead,
  ReadAllOptions,
  ReadStreamOptions,
  StreamsOptions,
  TimeBasis,
} from './read-options.ts'
export {
  type MigrationOutcome,
  type MigrationStatus,
  type MigrationStatusOptions,
  migrateStore,
  migrationStatus,
  rollbackStore,
  type SchemaMigration,
  type SchemaMigrationOptions,
} from './schema-migrations.ts'
export { EventSequence } from './sequence.ts'
export type { Session, SessionOptions } from './session.ts'
export { Store, type WithinOption } from './store.ts'
export type { EventsOfAll, StoredEvent, StoredOfTypes } from './store-events.ts'
export { Transaction } from './transaction.ts'
export type { TuneOptions } from './tune.ts'
export {
  type EventProof,
  type ProofCheck,
  proveEvent,
  type VerifiedProjection,
  type VerifiedSnapshots,
  type VerifyOptions,
  type VerifyProblem,
  type VerifyProblemKind,
  type VerifyReport,
  type VerifyStep,
} from './verify/index.ts'
