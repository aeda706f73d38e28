export { waitForPosition } from './caught-up.ts'
export type {
  Consumer,
  ConsumerBatch,
  ConsumerOptions,
  ConsumerRuntime,
  ConsumerState,
  PartitionInfo,
  PoisonMode,
} from './consumer-options.ts'
export type { FeedBatch, FeedFilter, FeedLimits, FeedRuntime, FeedState } from './feed.ts'
export {
  type BatchHandler,
  type EventHandler,
  type SubscribeOptions,
  Subscription,
  type SubscriptionContext,
  type SubscriptionState,
} from './subscription.ts'
