export { waitForPosition } from './caught-up.ts'
export type { FeedBatch, FeedFilter, FeedLimits, FeedRuntime, FeedState } from './feed.ts'
export {
  type BatchHandler,
  type EventHandler,
  type SubscribeOptions,
  Subscription,
  type SubscriptionContext,
  type SubscriptionState,
} from './subscription.ts'
