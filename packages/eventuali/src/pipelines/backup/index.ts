export {
  type BackupResult,
  type BackupSource,
  backupStore,
} from './backup.ts'
export type { BackupBegin, BackupEnd, BackupFile } from './backup-file.ts'
export type { BackupOptions, BackupProgress } from './backup-options.ts'
export {
  type BackupReport,
  type CheckBackupOptions,
  checkBackup,
  type RestoreProgress,
} from './check.ts'
export {
  type RestoreOptions,
  type RestoreResult,
  type RestoreStore,
  restoreBackup,
} from './restore.ts'
