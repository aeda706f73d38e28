import { AssertionError } from 'node:assert'
import { describe, expect, it } from 'vitest'
import { manifest, openMemoryStore } from '../../stores/memory/index.ts'
import { eventStoreContract, runStoreCase, skipReason } from '../contracts/index.ts'
import { wrapStore } from '../wrap.ts'
import { storeMutants } from './index.ts'

const make = async () => ({ store: await openMemoryStore(), dispose: async () => {} })

describe('mutant stores', () => {
  it.each(storeMutants)('the contract catches a store that $name', async (mutant) => {
    const found = eventStoreContract.cases.find(({ name }) => name === mutant.caughtBy)
    if (found === undefined) throw new Error(`no case is named "${mutant.caughtBy}"`)
    await runStoreCase(found, make)
    await expect(runStoreCase(found, make, mutant.wrap)).rejects.toThrow(AssertionError)
  })

  it('are many, each with a name of its own', () => {
    const names = new Set(storeMutants.map(({ name }) => name))
    expect(names.size).toBe(storeMutants.length)
    expect(names.size).toBeGreaterThanOrEqual(14)
  })

  it('the contract passes a store that is wrapped but not changed', async () => {
    for (const contractCase of eventStoreContract.cases) {
      if (skipReason(contractCase, manifest) !== undefined) continue
      await runStoreCase(contractCase, make, (store) => wrapStore(store, {}))
    }
  })
})
