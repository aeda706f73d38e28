export { manifest } from './manifest.ts'
export { openSqliteStore, type SqliteStoreOptions } from './open.ts'
