import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TargetReport } from '../harness/assault.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { endChildren, startChild } from '../harness/child.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import { plantedRuns } from './input-planted.ts'
import type { InputBeat, InputProgramInput } from './input-program.ts'

let server: PostgresServer | undefined
let postgresUrl: string | undefined

beforeAll(async () => {
  if (postgresSkipReason() !== undefined) return
  server = await startPostgres()
  postgresUrl = await server.database()
})
afterAll(() => server?.stop())

interface Outcome {
  readonly reports: readonly TargetReport[]
  readonly wrong: readonly string[]
}

/** Runs the targets in a process of their own; what it says last tells where it got stuck. */
async function assault(
  run: Campaign,
  more: Partial<InputProgramInput> = {},
  silenceMs = 90_000,
): Promise<Outcome> {
  const input: InputProgramInput = { seed: run.seed, scale: run.scale, postgresUrl, ...more }
  // A bomb must not take the machine with it.
  const nodeOptions = ['--max-old-space-size=700']
  const child = startChild(import.meta.url, './input-program.ts', { input, nodeOptions })
  let last: InputBeat = { target: 'the start', n: 0 }
  let over = false
  const beats = async (): Promise<void> => {
    while (!over) last = await child.message<InputBeat>('beat', silenceMs)
  }
  try {
    const report = child.message<TargetReport[]>('report', 3_600_000)
    const reports = await Promise.race([report, beats().then(() => report)])
    return { reports, wrong: reports.flatMap(({ wrong }) => wrong) }
  } catch (error) {
    const what = error instanceof Error ? error.message.split('\n').slice(0, 3).join(' ') : error
    return { reports: [], wrong: [`after ${last.target} #${last.n}: ${what}`] }
  } finally {
    over = true
    await endChildren([child])
    await sleep(0)
  }
}

describe('malformed input', () => {
  test('is taken as it is or refused by a typed error, and harms nothing', async () => {
    await campaign('R18 malformed input, library and command line', async (run) => {
      const { reports, wrong } = await assault(run)
      const cases = reports.reduce((sum, { cases: count }) => sum + count, 0)
      const refused = reports.reduce((sum, report) => sum + report.refused, 0)
      const slowestMs = Math.max(...reports.map((report) => report.slowestMs))
      const list = reports.map(({ name, cases: count }) => `${name} ${count}`).join(', ')
      run.note(`${cases} cases, ${refused} refused, slowest ${slowestMs.toFixed()} ms of CPU`)
      run.note(list)
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
