import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'

const program = fileURLToPath(new URL('./exit-child.ts', import.meta.url))

describe.skipIf(postgresSkipReason() !== undefined)('a program that opens, appends, closes', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  }, 60_000)
  afterAll(() => server?.stop())

  it('ends by itself, whether the schema is new or not', async () => {
    const url = await server.database()
    for (let round = 0; round < 5; round++) {
      const child = spawn(process.execPath, [program, url], { stdio: 'inherit' })
      const late = setTimeout(() => child.kill('SIGKILL'), 15_000)
      const [code, signal] = await once(child, 'exit')
      clearTimeout(late)
      expect({ code, signal }).toEqual({ code: 0, signal: null })
    }
  }, 90_000)
})
