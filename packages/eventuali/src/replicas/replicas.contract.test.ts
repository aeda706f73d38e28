import { afterAll, describe, expect, it } from 'vitest'
import { type Clock, systemClock, systemRandom } from '../kernel/index.ts'
import { manifest } from '../stores/memory/index.ts'
import { bindVitest, eventStoreContract, openMemoryStore, wrapStore } from '../testing/index.ts'
import { withReplicas } from './index.ts'
import { onReplica } from './on-replica.test-support.ts'

/** The machine's clock, many times as fast: looks are a moment apart. */
const speed = 50
const fast: Clock = {
  now: systemClock.now,
  monotonic: () => systemClock.monotonic() * speed,
  timer: (ms, callback, options) => systemClock.timer(ms / speed, callback, options),
}

let served = 0

bindVitest(eventStoreContract, {
  describe,
  it,
  manifest,
  label: 'read from replicas',
  make: async () => {
    const primary = await openMemoryStore()
    const open = async () => ({ ...wrapStore(primary, {}), close: async () => {} })
    const replicas = [{ name: 'replica', open }]
    const sources = { clock: fast, random: systemRandom }
    const store = withReplicas(primary, { replicas, ...sources })
    const count = (readCount: number) => {
      served += readCount
    }
    return { store: onReplica(store, count), dispose: async () => {} }
  },
})

describe('the contract, read from replicas', () => {
  afterAll(() => expect(served).toBeGreaterThan(500))
  it('has not been read from the primary instead', () => {})
})
