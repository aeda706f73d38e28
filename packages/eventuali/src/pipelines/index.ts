export { type ExportOptions, exportEvents } from './export-events.ts'
export {
  type ImportOptions,
  type ImportProgress,
  type ImportResult,
  importEvents,
} from './import-events.ts'
export { lineBytesMax, type SkippedLine } from './import-lines.ts'
export {
  type MigrationOptions,
  type MigrationResult,
  migrateEvents,
} from './migrate.ts'
export type { MigratedEvent, MigratedEvents, MigrationPlan } from './migration-plan.ts'
export {
  type PartitionContext,
  type PartitionFold,
  type PartitionHandler,
  type PartitionModule,
  type PartitionWork,
  type ProcessOptions,
  type ProcessProgress,
  type ProcessResult,
  processAll,
} from './process-all/index.ts'
export {
  type RecodeOptions,
  type RecodeProgress,
  type RecodeResult,
  type RecodeTarget,
  recode,
} from './recode.ts'
export { replay } from './replay.ts'
export type {
  ProjectedResult,
  ReplayBatchHandler,
  ReplayContext,
  ReplayCounts,
  ReplayFilter,
  ReplayFrom,
  ReplayInto,
  ReplayOptions,
  ReplayProgress,
  ReplayProjectionTarget,
  ReplayResult,
  ReplayStoreTarget,
} from './replay-options.ts'
export type { ImportSource } from './source.ts'
export { type BatchItem, storeItems } from './store-batch.ts'
export {
  type MigrationDifference,
  type MigrationReport,
  type MigrationSum,
  type VerifyMigrationOptions,
  verifyMigration,
} from './verify-migration.ts'
