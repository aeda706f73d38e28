export { manifest } from './manifest.ts'
export type { HttpStoreOptions, TokenSource } from './options.ts'
export { openHttpStore } from './store.ts'
