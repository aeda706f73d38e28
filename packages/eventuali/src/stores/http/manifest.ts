import type { StoreManifest } from '../../ports/index.ts'

/**
 * A store behind an Eventuali server, over HTTP: what it can do, and why not the rest.
 *
 * @example
 * ```ts
 * import { manifest } from 'eventuali/client'
 *
 * console.log(manifest.schemes) // ['http', 'https']
 * ```
 */
export const manifest: StoreManifest = {
  port: 'event-store',
  name: 'http',
  schemes: ['http', 'https'],
  capabilities: {
    durable: true,
    within: false,
    sql: false,
    shared: true,
    fork: false,
    backup: false,
  },
  denied: {
    within:
      'a transaction of a database client lives on its connection, which does not go through HTTP',
    sql: "SQL from a client would run with the server's rights on its whole database",
    fork: 'the copy would be a file or schema beside the server; run `eventuali fork` there',
    backup:
      'one moment of the whole log would be held open across requests; run `eventuali backup` there',
  },
  peers: {},
}
