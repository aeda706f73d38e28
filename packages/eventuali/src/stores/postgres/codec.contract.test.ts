import { describe, it } from 'vitest'
import { bindVitest, type EventStoreSubject, eventStoreContract } from '../../testing/index.ts'
import { describePostgres } from './contract.test-support.ts'
import { manifest } from './index.ts'

const codec = { encoding: 'msgpack', compress: { with: 'zstd', above: 20 } } as const

describePostgres((server) => {
  // The second handle writes JSON, as the first half of a log that is older than its codec.
  const make = async (): Promise<EventStoreSubject> => {
    const openAgain = () => server.open({ schema: 'coded' })
    const store = await server.open({ schema: 'coded', codec })
    return { store, openAgain, dispose: async () => {}, ...server.parts }
  }
  const label = 'msgpack and zstd, beside JSON'
  bindVitest(eventStoreContract, { describe, it, manifest, label, make })
})
