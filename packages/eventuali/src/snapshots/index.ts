export { type Entry, readEntry, SNAPSHOT, textOf } from './entry.ts'
export type { SnapshotOptions } from './options.ts'
export {
  definitionOf,
  type SnapshotInfo,
  type SnapshotReport,
  type SnapshotStats,
  Snapshots,
} from './snapshots.ts'
export { checkEntry, usableFingerprint } from './trust.ts'
