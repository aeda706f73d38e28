import { manifest } from 'eventuali/client'
import {
  bindVitest,
  checkpointContract,
  eventStoreContract,
  leaseContract,
  scheduleContract,
} from 'eventuali/testing'
import { afterAll, describe, it } from 'vitest'
import { oneServer } from './client.test-support.ts'

// One server for all cases: logs that hold the events of cases before are part of the contract.
const sqlite = oneServer('sqlite:')
afterAll(() => sqlite.close())

// What stands above the port as well: durable subscriptions, their leases and schedules.
for (const contract of [
  eventStoreContract,
  checkpointContract(),
  leaseContract(),
  scheduleContract(),
]) {
  bindVitest(contract, { describe, it, manifest, label: 'SQLite behind it', make: sqlite.make })
}
