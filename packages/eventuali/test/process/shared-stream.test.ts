import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { campaign, percentile } from '../harness/campaign.ts'
import { sharedPlaces } from '../harness/places.ts'
import { type ClientsJob, fourProcesses, longest, problems } from './four-processes.ts'

describe.each(sharedPlaces())('$adapter, 16 clients in 4 processes', (place) => {
  beforeAll(() => place.start())
  afterAll(() => place.stop())

  test.skipIf(place.skip)('on one stream lose and double nothing', async () => {
    await campaign(`16 clients on one stream, ${place.adapter}`, async (run) => {
      const url = await place.url()
      const appendCount = run.scaled(40)
      const reports = await fourProcesses({ url, appendCount, streamCount: 1, seed: run.seed })
      const latencies = reports.flatMap((report) => report.latenciesMs)
      const delays = reports.map(({ loopDelayP99Ms }) => loopDelayP99Ms)
      const conflicts = reports.reduce((sum, report) => sum + report.conflicts, 0)
      const flushMs = percentile(latencies, 0.5)
      run.note(
        `${latencies.length} appends, ${conflicts} conflicts, longest ${longest(latencies).toFixed()} ms, loop delay p99 ${delays.map((ms) => ms.toFixed()).join(' ')} ms`,
      )
      expect(reports.flatMap(({ errors }) => errors)).toEqual([])
      expect(await problems(url, reports)).toEqual([])
      expect(latencies.length).toBe(16 * appendCount)
      expect(conflicts).toBeGreaterThan(0)
      expect(Math.max(...delays)).toBeLessThan(50 + flushMs)
    })
  })

  test.skipIf(place.skip)('are seen when they double or overwrite', async () => {
    await campaign(`16 clients, planted, ${place.adapter}`, async (run) => {
      for (const [mutant, what] of [
        ['doubles', 'is there 2 times'],
        ['stale-writes', 'saw version'],
      ] as const) {
        const url = await place.url()
        const job: ClientsJob = { url, mutant, appendCount: 10, streamCount: 1, seed: run.seed }
        const wrong = await problems(url, await fourProcesses(job))
        expect(wrong.join()).toContain(what)
        run.note(`${mutant}: ${wrong.length} found`)
      }
    })
  })
})
