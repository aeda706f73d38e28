import type { StoreManifest } from '../../ports/index.ts'

/** The SQLite store: one file, or memory, inside the process. */
export const manifest: StoreManifest = {
  port: 'event-store',
  name: 'sqlite',
  schemes: ['sqlite'],
  capabilities: { durable: true, within: true, sql: true, shared: true, fork: true, backup: true },
  denied: {},
  peers: { 'better-sqlite3': '^13.0.0' },
}

/** Why a transaction on another connection cannot be joined. */
export const withinReason =
  'an append joins only a transaction on the connection that the store itself writes with (tx.sql, or the one handed in as `connection`): SQLite has one writer, and the store would wait for any other one'

/** Why a database in memory is not copied. */
export const forkReason =
  'it lives in memory, where nobody else could open the copy; replay it into a store in a file'
