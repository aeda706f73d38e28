import { describe, it } from 'vitest'
import {
  bindVitest,
  checkpointContract,
  eventStoreContract,
  leaseContract,
  scheduleContract,
} from '../../testing/index.ts'
import { manifest, openMemoryStore } from './index.ts'

for (const contract of [
  eventStoreContract,
  checkpointContract(),
  leaseContract(),
  scheduleContract(),
]) {
  bindVitest(contract, {
    describe,
    it,
    manifest,
    make: async () => ({ store: await openMemoryStore(), dispose: async () => {} }),
  })
}

bindVitest(eventStoreContract, {
  describe,
  it,
  manifest,
  label: 'msgpack and zstd',
  make: async () => {
    const codec = { encoding: 'msgpack', compress: { with: 'zstd', above: 20 } } as const
    return { store: await openMemoryStore({ codec }), dispose: async () => {} }
  },
})
