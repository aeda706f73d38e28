import { bindVitest, eventStoreContract } from 'eventuali/testing'
import { afterAll, describe, it } from 'vitest'
import { inMemory, oneServer } from './client.test-support.ts'

const memory = oneServer('memory:')
afterAll(() => memory.close())

bindVitest(eventStoreContract, {
  ...{ describe, it },
  manifest: inMemory,
  label: 'memory behind it',
  make: memory.make,
})
