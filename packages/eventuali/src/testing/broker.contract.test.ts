import { AssertionError } from 'node:assert'
import { describe, expect, it } from 'vitest'
import type { Broker } from '../ports/index.ts'
import { type BrokerSubject, brokerContract, runBrokerCase } from './contracts/index.ts'
import { brokerMutants, memoryBroker } from './index.ts'

const over = (wrap: (next: Broker) => Broker) => async (): Promise<BrokerSubject> => {
  const memory = memoryBroker()
  return {
    broker: wrap(memory),
    received: async (topic) => memory.published.filter((message) => message.topic === topic),
    fail: (when) => memory.fail(1, when),
    dispose: () => memory.close(),
  }
}

describe('broker contract: memory', () => {
  for (const law of brokerContract.cases) {
    it(law.name, () =>
      runBrokerCase(
        law,
        over((next) => next),
      ),
    )
  }
})

describe('broken brokers', () => {
  it.each(brokerMutants)('the contract catches one that $name', async ({ port, caughtBy }) => {
    const law = brokerContract.cases.find(({ name }) => name === caughtBy)
    if (law === undefined) throw new Error(`no case is named "${caughtBy}"`)
    await expect(runBrokerCase(law, over(port))).rejects.toThrow(AssertionError)
  })
})
