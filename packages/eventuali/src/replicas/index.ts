export type { ReplicaPlace, ReplicaState } from './replica.ts'
export {
  type ReplicaReads,
  type ReplicaStatus,
  type ReplicatedStore,
  type ReplicationOptions,
  withReplicas,
} from './replicated-store.ts'
