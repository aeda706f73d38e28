export { manifest } from './manifest.ts'
export type { PoolSize } from './pool-sizes.ts'
export { openPostgresStore, type PostgresLimits, type PostgresStoreOptions } from './store.ts'
