export { manifest } from './manifest.ts'
export { openPostgresStore, type PostgresLimits, type PostgresStoreOptions } from './store.ts'
