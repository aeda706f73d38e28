import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { campaign, percentile } from '../harness/campaign.ts'
import { endChildren, startChild } from '../harness/child.ts'
import { sharedPlaces } from '../harness/places.ts'
import type { ListenerInput, ListenerReport } from './listener.ts'

describe.each(sharedPlaces())('$adapter, a subscriber in another process', (place) => {
  beforeAll(() => place.start())
  afterAll(() => place.stop())

  test.skipIf(place.skip)('gets events soon, and rests while there are none', async () => {
    await campaign(`delivery across processes, ${place.adapter}`, async (run) => {
      const url = await place.url()
      await using store = await openStore(url)
      const input: ListenerInput = { url }
      const child = startChild(import.meta.url, './listener.ts', { input })
      try {
        await child.message('ready')
        child.send({})
        const idleShare = await child.message<number>('idle')
        const sentAtMs: number[] = []
        for (let n = 0; n < run.scaled(150); n++) {
          // Pauses of all lengths: right after the last event, and when the listener sleeps.
          await sleep(n % 3 === 0 ? run.between(100, 250) : run.between(0, 10))
          sentAtMs.push(Number(process.hrtime.bigint()) / 1e6)
          await store.append(`delivery-${n % 7}`, { type: 'Sent', data: n })
        }
        await store.append('delivery-0', { type: 'Finished', data: null })
        const { handledAtMs } = await child.message<ListenerReport>('report')
        const delays = handledAtMs.map(([n, atMs]) => atMs - (sentAtMs[n] ?? Number.NaN))
        const p99 = percentile(delays, 0.99)
        run.note(
          `p50 ${percentile(delays, 0.5).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, idle CPU ${(100 * idleShare).toFixed(2)} %`,
        )
        expect(handledAtMs.map(([n]) => n)).toEqual(sentAtMs.map((_, n) => n))
        expect(p99).toBeLessThan(250)
        expect(idleShare).toBeLessThan(0.01)
      } finally {
        await endChildren([child])
      }
    })
  })
})
