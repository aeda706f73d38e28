import type { StoreManifest } from '../../ports/index.ts'

/** What the PostgreSQL store is and needs. */
export const manifest: StoreManifest = {
  port: 'event-store',
  name: 'postgres',
  schemes: ['postgres', 'postgresql'],
  capabilities: { durable: true, within: true, sql: true, shared: true, fork: true, backup: true },
  denied: {},
  peers: { pg: '^8.16.0' },
}
