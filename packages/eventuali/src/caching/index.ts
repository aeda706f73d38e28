export { AggregateCache, type CacheOptions, type CacheStats } from './aggregate-cache.ts'
export { StreamCache } from './stream-cache.ts'
