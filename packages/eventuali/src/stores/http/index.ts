/**
 * A store over HTTP, for programs that have no database of their own.
 *
 * @module eventuali/client
 */

export { manifest } from './manifest.ts'
export type { HttpStoreOptions, TokenSource } from './options.ts'
export { openHttpStore } from './store.ts'
