export {
  type BackupBegin,
  type BackupEnd,
  type BackupFile,
  type BackupOptions,
  type BackupProgress,
  type BackupReport,
  type BackupResult,
  type BackupSource,
  backupStore,
  type CheckBackupOptions,
  checkBackup,
  type RestoreOptions,
  type RestoreProgress,
  type RestoreResult,
  type RestoreStore,
  restoreBackup,
} from './backup/index.ts'
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
  exportOcel,
  importOcel,
  type OcelExportOptions,
  type OcelImportOptions,
} from './ocel/index.ts'
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
export {
  exportXes,
  importXes,
  type XesExportOptions,
  type XesImportOptions,
  type XesImportResult,
  xesPeers,
} from './xes/index.ts'
