import pg from 'pg'
import { describe, it } from 'vitest'
import { bindVitest, type EventStoreSubject, eventStoreContract } from '../../testing/index.ts'
import { describePostgres } from './contract.test-support.ts'
import { manifest } from './index.ts'

describePostgres((server) => {
  const make = async (): Promise<EventStoreSubject> => {
    const pool = new pg.Pool({ connectionString: server.url, max: 8 })
    const openAgain = () => server.open({ pool, schema: 'handed_in' })
    return { store: await openAgain(), openAgain, dispose: () => pool.end(), ...server.parts }
  }
  bindVitest(eventStoreContract, { describe, it, manifest, label: 'pool', make })
})
