import { postgresSkipReason, startPostgres } from '../packages/eventuali/test/servers/postgres.ts'
import { type ExampleOptions, exampleSuite } from './example-suite.ts'
import type { Tally } from './tally.ts'

/** The examples on a server of their own; one counted skip where none can be started. */
export async function examplesOnPostgres(options: ExampleOptions = {}): Promise<Tally> {
  const why = postgresSkipReason()
  if (why !== undefined) {
    const suite = 'examples on Postgres'
    return { suite, passed: 0, failures: [], skips: [{ name: suite, why }], seconds: 0 }
  }
  const server = await startPostgres()
  try {
    return await exampleSuite({ ...options, database: () => server.database() })
  } finally {
    await server.stop()
  }
}
