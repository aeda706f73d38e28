export {
  deferred,
  GroupCommit,
  type GroupCommitOptions,
  GroupFailure,
  type GroupLimits,
  type GroupOutcome,
  groupLimitsDefault,
  type Sized,
} from './group-commit.ts'
export { tagHash } from './tag-hash.ts'
