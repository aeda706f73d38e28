import { describe, it } from 'vitest'
import {
  bindVitest,
  checkpointContract,
  type EventStoreSubject,
  eventStoreContract,
  leaseContract,
  scheduleContract,
} from '../../testing/index.ts'
import { describePostgres } from './contract.test-support.ts'
import { manifest } from './index.ts'

describePostgres((server) => {
  const make = async (): Promise<EventStoreSubject> => {
    const openAgain = () => server.open()
    return { store: await openAgain(), openAgain, dispose: async () => {}, ...server.parts }
  }
  // What stands above the port is shown on one of the ways to open the store.
  for (const contract of [checkpointContract(), leaseContract(), scheduleContract()]) {
    bindVitest(contract, { describe, it, manifest, label: 'url', make })
  }
  bindVitest(eventStoreContract, { describe, it, manifest, label: 'url', make })
})
