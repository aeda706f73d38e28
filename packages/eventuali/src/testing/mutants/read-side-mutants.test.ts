import { AssertionError } from 'node:assert'
import { expect, it } from 'vitest'
import { describeStores } from '../../../test/harness/adapter-stores.ts'
import {
  type Contract,
  checkpointContract,
  type EventStoreContext,
  leaseContract,
  runStoreCase,
  scheduleContract,
} from '../contracts/index.ts'
import { checkpointMutants, leaseMutants, type PortMutant, scheduleMutants } from './index.ts'

interface Suite {
  readonly port: string
  /** Pairs of a mutant's name and case with the contract that was handed the mutant. */
  readonly mutants: readonly (Omit<PortMutant<unknown>, 'port'> & {
    readonly contract: Contract<EventStoreContext>
  })[]
}

function suite<Port>(
  contract: (port: Port) => Contract<EventStoreContext>,
  mutants: readonly PortMutant<Port>[],
): Suite {
  const all = mutants.map(({ port, ...rest }) => ({ ...rest, contract: contract(port) }))
  return { port: all[0]?.contract.port ?? '', mutants: all }
}

const suites: readonly Suite[] = [
  suite(checkpointContract, checkpointMutants),
  suite(leaseContract, leaseMutants),
  suite(scheduleContract, scheduleMutants),
]

// The contracts themselves are run with the stores': here it is shown that they can fail.
describeStores('broken parts of the read side', ({ open }) => {
  const make = async () => ({ store: await open(), dispose: async () => {} })
  for (const { port, mutants } of suites) {
    it.each(mutants)(
      `the ${port} contract catches one that $name`,
      async ({ contract, caughtBy }) => {
        const found = contract.cases.find(({ name }) => name === caughtBy)
        if (found === undefined) throw new Error(`no case is named "${caughtBy}"`)
        await expect(runStoreCase(found, make)).rejects.toThrow(AssertionError)
      },
    )

    it(`are at least four for the ${port} contract, each with a name of its own`, () => {
      const names = new Set(mutants.map(({ name }) => name))
      expect(names.size).toBe(mutants.length)
      expect(names.size).toBeGreaterThanOrEqual(4)
    })
  }
})
