import { describe, it } from 'vitest'
import { bindVitest, eventStoreContract } from '../../testing/index.ts'
import { manifest, openMemoryStore } from './index.ts'

bindVitest(eventStoreContract, {
  describe,
  it,
  manifest,
  make: async () => ({ store: await openMemoryStore(), dispose: async () => {} }),
})
