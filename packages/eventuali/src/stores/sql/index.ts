export {
  deferred,
  GroupCommit,
  type GroupCommitOptions,
  GroupFailure,
  type GroupLimits,
  type GroupOutcome,
  type Sized,
} from './group-commit.ts'
export { tagHash } from './tag-hash.ts'
