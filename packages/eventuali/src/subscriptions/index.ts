export { waitForPosition } from './caught-up.ts'
export { startConsumer } from './consumer/consumer.ts'
export { claimPartitions, ensureSubscription } from './consumer/ownership.ts'
export { Worker } from './consumer/worker.ts'
export type {
  Consumer,
  ConsumerBatch,
  ConsumerOptions,
  ConsumerRuntime,
  ConsumerState,
  PartitionInfo,
  PoisonMode,
} from './consumer-options.ts'
export {
  type DurableContext,
  type DurableHandler,
  type DurableOptions,
  DurableSubscription,
} from './durable-subscription.ts'
export {
  type FeedBatch,
  type FeedFilter,
  type FeedLimits,
  type FeedRuntime,
  type FeedState,
  type FilterWords,
  filterOf,
} from './feed.ts'
export {
  type AuditEntry,
  auditChange,
  listAudit,
  type RecordedAudit,
} from './ledger/audit.ts'
export {
  lockSubscription,
  SubscriptionControl,
  type SubscriptionStatus,
  savedPosition,
} from './ledger/control.ts'
export {
  type ActorOption,
  type DeadLetter,
  type DeadLetterQuery,
  DeadLetters,
  type LetterPruning,
  type LetterSelection,
} from './ledger/dead-letters.ts'
export { keyAsRead, keyBy, type PartitionBy, partitionOf } from './ledger/key-hash.ts'
export type { LetterState } from './ledger/letters.ts'
export {
  letterPrefix,
  partitionKeysOf,
  recordKinds,
  type SubscriptionRecords,
} from './ledger/values.ts'
export {
  type BatchHandler,
  type EventHandler,
  type SubscribeOptions,
  Subscription,
  type SubscriptionContext,
  type SubscriptionState,
} from './subscription.ts'
