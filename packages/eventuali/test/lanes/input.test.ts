import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { assailInChild, noteReports } from '../harness/assault-child.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import { plantedRuns } from './input-planted.ts'
import type { InputProgramInput } from './input-program.ts'

let server: PostgresServer | undefined
let postgresUrl: string | undefined

beforeAll(async () => {
  if (postgresSkipReason() !== undefined) return
  server = await startPostgres()
  postgresUrl = await server.database()
})
afterAll(() => server?.stop())

/** Runs the targets in a process of their own. */
function assault(run: Campaign, more: Partial<InputProgramInput> = {}, silenceMs?: number) {
  const input: InputProgramInput = { seed: run.seed, scale: run.scale, postgresUrl, ...more }
  return assailInChild(import.meta.url, './input-program.ts', input, silenceMs)
}

describe('malformed input', () => {
  test('is taken as it is or refused by a typed error, and harms nothing', async () => {
    await campaign('R18 malformed input, library and command line', async (run) => {
      const { reports, wrong } = await assault(run)
      const cases = noteReports(run, reports)
      // One text, so that the first line of a failure says what was found.
      expect(wrong.slice(0, 5).join('\n')).toBe('')
      expect(cases).toBeGreaterThanOrEqual(run.scaled(200_000))
      // A target that takes everything, or nothing, would prove little.
      // Comparing schemas refuses none: what is no schema allows anything.
      for (const { name, codes } of reports) {
        if (name !== 'schemas') expect([name, codes]).not.toEqual([name, []])
      }
      for (const { name, cases: count, refused: no } of reports) {
        expect([name, no < count]).toEqual([name, true])
      }
    })
  }, 3_600_000)

  test.each(plantedRuns)('the harness finds an input that %s', async (...names) => {
    await campaign(`R18 planted: ${names.join(', ')}`, async (run) => {
      const { wrong } = await assault(run, { only: names, scale: 1 }, 20_000)
      run.note(`${wrong.length} found: ${wrong[0]?.slice(0, 120)}`)
      for (const name of names) expect(wrong.join('\n')).toContain(name)
    })
  })
})
