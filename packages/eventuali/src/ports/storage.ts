/** What a store's storage is made of and takes, for health pages and live views. */
export interface StorageState {
  /** Number of the schema in the storage, and of the newest one that this library knows. */
  readonly schemaVersion: number
  readonly schemaVersionNewest: number
  /** Bytes of the store's own file (its log included) or tables and indexes. */
  readonly bytes: number
  /** Bytes that the disk has left; undefined where the store cannot see it: a server's own disk. */
  readonly freeBytes: number | undefined
  /** Connections of the server, all programs together, and how many it takes; only of servers. */
  readonly connections: { readonly used: number; readonly max: number } | undefined
}
