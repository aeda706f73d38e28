import type { StoreManifest } from '../../ports/index.ts'

/** The memory store: for tests, examples and as the model that other adapters are compared with. */
export const manifest: StoreManifest = {
  port: 'event-store',
  name: 'memory',
  schemes: ['memory'],
  capabilities: {
    durable: false,
    within: false,
    sql: false,
    shared: false,
    fork: false,
    backup: true,
  },
  denied: {
    durable: 'It lives in the memory of its process and ends with it.',
    within: 'There is no database client whose transaction could be joined.',
    sql: 'There is no SQL behind it.',
    shared: 'Another process cannot see the memory of this one.',
    fork: 'It has no place with a name where a copy could be found again; replay it into another store.',
  },
  peers: {},
}
