import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'

const skip = postgresSkipReason()

describe.skipIf(skip !== undefined)('a store that is closed while it connects to listen', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server?.stop())

  test('closes without a sound, at every moment of the connecting', async () => {
    const url = await server.database()
    const uncaught: unknown[] = []
    const note = (error: unknown): void => {
      uncaught.push(error)
    }
    process.on('uncaughtException', note)
    try {
      for (let ms = 0; ms < 20; ms++) {
        const store = await openStore(url)
        const subscription = store.subscribe({}, () => {})
        const next = performance.now() + ms / 2
        while (performance.now() < next) await new Promise((resolve) => setImmediate(resolve))
        await Promise.all([subscription.stop(), store.close()])
      }
      await sleep(200)
    } finally {
      process.off('uncaughtException', note)
    }
    expect(uncaught).toEqual([])
  })
})
