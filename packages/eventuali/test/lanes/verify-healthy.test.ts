import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { campaign } from '../harness/campaign.ts'
import { endChildren, startChild } from '../harness/child.ts'
import { sharedPlaces } from '../harness/places.ts'
import type { HealthyInput, HealthyReport } from './verify-healthy.ts'

/** A soak of scale 10 makes the first a million. */
const eventCounts: Readonly<Record<string, number>> = { sqlite: 100_000, postgres: 8000 }
const nodeOptions = ['--max-old-space-size=128']
const timeoutMs = 3_600_000

async function verified(input: HealthyInput): Promise<HealthyReport> {
  const child = startChild(import.meta.url, './verify-healthy.ts', { input, nodeOptions })
  try {
    return await child.message<HealthyReport>('report', timeoutMs)
  } finally {
    await endChildren([child])
  }
}

describe.each(sharedPlaces())('verify with 128 MiB for the heap, $adapter', (place) => {
  beforeAll(() => place.start())
  afterAll(() => place.stop())
  const { adapter } = place

  test.skipIf(place.skip !== undefined)(
    'reports nothing of a long and healthy log',
    async () => {
      await campaign(`R5 verify a healthy log, ${adapter}`, async (run) => {
        const eventCount = run.scaled(eventCounts[adapter] ?? 0)
        const report = await verified({ url: await place.url(), eventCount, keeps: false })
        expect(report).toMatchObject({ problems: [], events: eventCount, compared: 200, rows: 500 })
        const { streams, fillSeconds, verifySeconds, residentMiB } = report
        run.note(`${eventCount} events in ${streams} streams, ${residentMiB} MiB resident`)
        run.note(`${fillSeconds.toFixed(1)} s to fill, ${verifySeconds.toFixed(1)} s to verify`)
      })
    },
    timeoutMs,
  )
})

test(
  'planted: a verify that keeps what it reads has too little',
  async () => {
    const [place] = sharedPlaces()
    if (place === undefined) throw new Error('no place for a file')
    try {
      await campaign(`R5 planted: verify keeps what it reads, ${place.adapter}`, async (run) => {
        const eventCount = 150_000
        const kept = verified({ url: await place.url(), eventCount, keeps: true })
        await expect(kept).rejects.toThrow(/ended with|heap/)
        run.note(`${eventCount} events are too many for it`)
      })
    } finally {
      await place.stop()
    }
  },
  timeoutMs,
)
