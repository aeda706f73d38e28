export {
  afterPrefix,
  countStatement,
  type DocumentDialect,
  type DocumentStatement,
  type DocumentType,
  findStatement,
  modelName,
} from './document-query.ts'
export {
  deferred,
  GroupCommit,
  type GroupCommitOptions,
  GroupFailure,
  type GroupLimits,
  type GroupOutcome,
  type Sized,
} from './group-commit.ts'
export { hasTagOf, tagHash } from './tag-hash.ts'
export { applyAdvice } from './tune.ts'
