import { describe, expect, test } from 'vitest'
import { assailInChild, noteReports } from '../../../eventuali/test/harness/assault-child.ts'
import { campaign } from '../../../eventuali/test/harness/campaign.ts'
import { type WireBug, wireBugs } from './wire-planted.ts'

const program = './wire-program.ts'
const fatal: WireBug = 'ends the process'
const bugs = Object.keys(wireBugs) as WireBug[]
const runs = [bugs.filter((bug) => bug !== fatal), [fatal]]

describe('malformed requests and messages', () => {
  test('are answered or refused in order, and harm nothing', async () => {
    await campaign('R18 HTTP and MCP, malformed', async (run) => {
      const { seed, scale } = run
      const { reports, wrong } = await assailInChild(import.meta.url, program, { seed, scale })
      const cases = noteReports(run, reports)
      // One text, so that the first line of a failure says what was found.
      expect(wrong.slice(0, 5).join('\n')).toBe('')
      expect(cases).toBe(run.scaled(12_000))
      // A target that takes everything, or nothing, would prove little.
      for (const { name, cases: count, refused, codes } of reports) {
        expect([name, codes.length > 1, refused < count]).toEqual([name, true, true])
      }
    })
  }, 3_600_000)

  test.each(runs)('the harness finds a server that %s', async (...names) => {
    await campaign(`R18 planted: HTTP, ${names.join(', ')}`, async (run) => {
      const { seed } = run
      const input = { seed, scale: 1, only: names }
      const { wrong } = await assailInChild(import.meta.url, program, input, 20_000)
      run.note(`${wrong.length} found: ${wrong[0]?.slice(0, 120)}`)
      for (const name of names) {
        const found = wrong.filter((what) => what.includes(name)).join('\n')
        expect(found).toMatch(wireBugs[name])
      }
    })
  })
})
