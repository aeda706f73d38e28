export { AggregateCache, type CacheOptions, type CacheStats } from './aggregate-cache.ts'
