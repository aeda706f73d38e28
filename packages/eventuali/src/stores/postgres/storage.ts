import type { Deadline } from '../../kernel/index.ts'
import type { StorageState } from '../../ports/index.ts'
import { type Connections, statement } from './connections.ts'
import { schemaVersion } from './migrations.ts'

/** What the tables of a schema take, and how many connections the server has. */
export async function storageOf(
  connections: Connections,
  schema: string,
  deadline: Deadline,
): Promise<StorageState> {
  // The sizes of tables hold their indexes and large values. Backends without a database are the
  // server's own: they take no connection.
  const text = `
    SELECT (SELECT value FROM ${schema}.meta WHERE key = 'schema_version'),
      (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::text FROM pg_class c
       JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = '${schema}' AND c.relkind IN ('r', 'm', 'S')),
      (SELECT count(*)::text FROM pg_stat_activity WHERE datname IS NOT NULL),
      current_setting('max_connections')`
  const [row = []] = await connections.read(statement(text), [], deadline)
  const [version, bytes, used, max] = row.map(Number)
  return {
    schemaVersion: version ?? 0,
    schemaVersionNewest: schemaVersion,
    bytes: bytes ?? 0,
    freeBytes: undefined,
    connections: { used: used ?? 0, max: max ?? 0 },
  }
}
