export type { BuildProgress } from './build.ts'
export {
  type Collection,
  type CollectionDefinition,
  type CollectionDefinitions,
  type CollectionOptions,
  type CollectionReads,
  collection,
  type DocumentEntry,
  type DocumentOf,
} from './collection.ts'
export type { CompareReport, RowDifference } from './compare.ts'
export {
  type AnyProjection,
  defineProjection,
  type EffectContext,
  type ProjectionContext,
  type ProjectionDefinition,
  type ProjectionMode,
  type ProjectionSource,
} from './define.ts'
export { withInlineProjections } from './inline.ts'
export type { ProjectionsRuntime } from './keeper.ts'
export { type LiveEvents, type LiveProjection, projectLive } from './live.ts'
export { Projections, type RebuildOptions, type RebuildReport } from './manager.ts'
export { overTransaction } from './port-wrap.ts'
export { CollectionReader } from './reader.ts'
export { type Refolded, refold } from './refold.ts'
export {
  type LiveGeneration,
  type RegisteredBuild,
  type RegisteredProjection,
  registeredProjections,
} from './registered.ts'
export type { GenerationInfo, ProjectionState, ProjectionStatus } from './status.ts'
export type { FindOptions, Where } from './where.ts'
