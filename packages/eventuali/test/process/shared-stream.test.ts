import { statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { campaign, percentile } from '../harness/campaign.ts'
import { type Child, endChildren, startChild } from '../harness/child.ts'
import { sharedPlaces } from '../harness/places.ts'
import type { ClientsInput, ClientsReport } from './clients.ts'

type Job = Omit<ClientsInput, 'clients' | 'timeoutMs'>

/** Four processes with four clients each; `meanwhile` runs while they do. */
async function fourProcesses(job: Job, meanwhile?: () => Promise<void>): Promise<ClientsReport[]> {
  // The store is there before they meet, so that they meet in appending.
  await (await openStore(job.url)).close()
  const children: Child[] = [0, 1, 2, 3].map((n) => {
    const clients = [0, 1, 2, 3].map((m) => `p${n}c${m}`)
    const input: ClientsInput = { ...job, clients, timeoutMs: 30_000, seed: job.seed + 10 * n }
    return startChild(import.meta.url, './clients.ts', { input })
  })
  try {
    await Promise.all(children.map((child) => child.message('ready')))
    for (const child of children) child.send({})
    const reports = children.map((child) => child.message<ClientsReport>('report'))
    await Promise.all([Promise.all(reports), meanwhile?.()])
    return await Promise.all(reports)
  } finally {
    await endChildren(children)
  }
}

/** The largest of many: `Math.max(...)` of all appends of a fast disk overflows the stack. */
function longest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0)
}

/** What is wrong with the log, seen beside what was acknowledged. */
async function problems(url: string, reports: readonly ClientsReport[]): Promise<string[]> {
  const store = await openStore(url)
  try {
    const wrong = (await store.verify()).problems.map(({ reason }) => reason)
    const stored = new Map<string, number>()
    for await (const event of store.readAll({ upTo: 'newest' })) {
      const { mark, after } = event.data as { mark: string; after: number | null }
      stored.set(mark, (stored.get(mark) ?? 0) + 1)
      if (after !== null && event.version !== after + 1) {
        wrong.push(`${mark} saw version ${after} and became ${event.version}`)
      }
    }
    for (const mark of reports.flatMap((report) => report.acknowledged)) {
      if (!stored.has(mark)) wrong.push(`${mark} is lost`)
    }
    for (const [mark, count] of stored) if (count > 1) wrong.push(`${mark} is there ${count} times`)
    return wrong
  } finally {
    await store.close()
  }
}

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
        const job: Job = { url, mutant, appendCount: 10, streamCount: 1, seed: run.seed }
        const wrong = await problems(url, await fourProcesses(job))
        expect(wrong.join()).toContain(what)
        run.note(`${mutant}: ${wrong.length} found`)
      }
    })
  })
})

const [sqlite] = sharedPlaces()

describe('sqlite, 16 writers beside a long reader', () => {
  afterAll(() => sqlite?.stop())

  test('are never told that the file is busy, and the log stays bounded', async () => {
    await campaign('R23 short, SQLite', async (run) => {
      const url = (await sqlite?.url()) ?? ''
      const file = url.slice('sqlite:'.length)
      const durationMs = 12_000 * run.scale
      let walBytes = 0
      // A read of the library that lasts all the time; it must not hold the log's tail. (A foreign
      // connection that keeps one snapshot open does, and SQLite has no way around it.)
      const longReader = async (): Promise<void> => {
        const store = await openStore(url)
        const endAt = performance.now() + durationMs - 2000
        try {
          while (performance.now() < endAt) {
            for await (const event of store.readAll({ upTo: 'newest' })) {
              if (event.position % 50 !== 0) continue
              walBytes = Math.max(walBytes, statSync(`${file}-wal`).size)
              await sleep(20)
              if (performance.now() > endAt) break
            }
            await sleep(20)
          }
        } finally {
          await store.close()
        }
      }
      const job: Job = { url, durationMs, streamCount: 40, seed: run.seed }
      const reports = await fourProcesses(job, longReader)
      const latencies = reports.flatMap((report) => report.latenciesMs)
      const bytes = statSync(file).size
      run.note(
        `${latencies.length} appends, longest ${longest(latencies).toFixed()} ms, log up to ${(walBytes / 2 ** 20).toFixed(1)} MiB, database ${(bytes / 2 ** 20).toFixed(1)} MiB`,
      )
      expect(reports.flatMap(({ errors }) => errors)).toEqual([])
      expect(longest(latencies)).toBeLessThan(5000)
      expect(walBytes).toBeLessThanOrEqual(64 * 2 ** 20)
      expect(await problems(url, reports)).toEqual([])
    })
  })
})
