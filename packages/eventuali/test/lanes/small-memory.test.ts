import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { campaign } from '../harness/campaign.ts'
import { endChildren, startChild } from '../harness/child.ts'
import { sharedPlaces } from '../harness/places.ts'
import type { SmallMemoryInput, SmallMemoryReport } from './small-memory.ts'

const january = new URL('../../../../examples/data/flights-2013-01.ndjson.gz', import.meta.url)
const source = fileURLToPath(january)

describe.each(sharedPlaces())('$adapter, with 128 MiB for the heap', (place) => {
  beforeAll(() => place.start())
  afterAll(() => place.stop())

  test.skipIf(place.skip ?? (existsSync(source) ? undefined : 'no data'))(
    'the whole January log is imported and read',
    async () => {
      await campaign(`--max-old-space-size=128, ${place.adapter}`, async (run) => {
        const input: SmallMemoryInput = { url: await place.url(), source }
        const nodeOptions = ['--max-old-space-size=128']
        const child = startChild(import.meta.url, './small-memory.ts', { input, nodeOptions })
        try {
          const report = await child.message<SmallMemoryReport>('report', 240_000)
          run.note(`${report.read} events of ${report.streams} streams, ${report.residentMiB} MiB`)
          expect(report.imported).toBe(80_491)
          expect(report.read).toBe(80_491)
        } finally {
          await endChildren([child])
        }
      })
    },
    300_000,
  )
})
