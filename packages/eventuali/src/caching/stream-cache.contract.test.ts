import { afterAll, describe, expect, it } from 'vitest'
import { systemClock } from '../kernel/index.ts'
import { manifest } from '../stores/memory/index.ts'
import { bindVitest, eventStoreContract, openMemoryStore } from '../testing/index.ts'
import { StreamCache } from './index.ts'

const caches: StreamCache[] = []

bindVitest(eventStoreContract, {
  describe,
  it,
  manifest,
  label: 'streams held in memory',
  make: async () => {
    const cache = new StreamCache(await openMemoryStore(), systemClock, {
      ...{ streamBytes: 1_000_000, headMs: 60_000 },
    })
    caches.push(cache)
    return { store: cache.port, dispose: async () => cache.clear() }
  },
})

describe('the contract, with streams held in memory', () => {
  afterAll(() => {
    const hits = caches.reduce((sum, { stats }) => sum + stats.hits, 0)
    expect(hits).toBeGreaterThan(20)
  })
  it('has met what was held', () => {})
})
