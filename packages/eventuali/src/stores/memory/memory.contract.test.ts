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
