export { manifest } from './manifest.ts'
export { type MemoryStoreOptions, openMemoryStore } from './store.ts'
