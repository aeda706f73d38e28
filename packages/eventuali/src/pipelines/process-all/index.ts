export type {
  PartitionContext,
  PartitionFold,
  PartitionHandler,
  PartitionModule,
  PartitionWork,
  ProcessOptions,
  ProcessProgress,
  ProcessResult,
} from './options.ts'
export { processAll } from './run.ts'
