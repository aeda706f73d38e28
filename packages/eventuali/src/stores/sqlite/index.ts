export { manifest } from './manifest.ts'
export { openSqliteMigrator } from './migrator.ts'
export { openSqliteStore, type SqliteStoreOptions } from './open.ts'
