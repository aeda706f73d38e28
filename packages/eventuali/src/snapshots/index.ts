export type { SnapshotOptions } from './options.ts'
export {
  type SnapshotInfo,
  type SnapshotReport,
  type SnapshotStats,
  Snapshots,
} from './snapshots.ts'
