import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { campaign } from '../harness/campaign.ts'
import type { Child } from '../harness/child.ts'
import { sharedPlaces } from '../harness/places.ts'
import { caughtUp, leaseTtlMs, startNoting, WorkerGroup } from '../harness/worker-group.ts'

describe.each(sharedPlaces())('a consumer group on $adapter', (place) => {
  beforeAll(() => place.start())
  afterAll(() => place.stop())

  test.skipIf(place.skip)('hands the partitions of a killed worker over in time', async () => {
    await campaign(`R8 hand-over after SIGKILL, ${place.adapter}`, async (run) => {
      const url = await place.url()
      const store = await openStore(url)
      const group = new WorkerGroup(url)
      const writer = startNoting(store, run)
      const delaysMs: number[] = []
      try {
        await group.start()
        for (let round = 0; round < run.scaled(3); round++) {
          const heir = await group.start()
          const victim = group.running.find((child) => child !== heir) as Child
          // Both have work before one of them dies.
          while (group.of(heir).length < 20 || group.of(victim).length < 20) await sleep(20)
          const theirs = new Set(
            group
              .of(victim)
              .slice(-200)
              .map(({ stream }) => stream),
          )
          const diedAtMs = Number(process.hrtime.bigint()) / 1e6
          await group.end(victim, 'SIGKILL')
          for (const stream of theirs)
            await store
              .append(stream, { type: 'Noted', data: {} })
              .then(({ version }) => writer.versions.set(stream, version))
          const takenOver = () =>
            group
              .of(heir)
              .filter((h) => h.atMs > diedAtMs && theirs.delete(h.stream))
              .at(-1)?.atMs
          let lastMs = diedAtMs
          while (theirs.size > 0 && lastMs - diedAtMs < 30_000) {
            await sleep(10)
            lastMs = takenOver() ?? lastMs
          }
          expect(theirs.size).toBe(0)
          delaysMs.push(lastMs - diedAtMs)
        }
        await writer.stop()
        expect(await caughtUp(group, writer.versions)).toEqual([])
        run.note(`handed over after ${delaysMs.map((ms) => ms.toFixed()).join(', ')} ms`)
        for (const ms of delaysMs) expect(ms).toBeLessThan(leaseTtlMs + 1000 + 1000)
      } finally {
        await writer.stop()
        await group.dispose()
        await store.close()
      }
    })
  })
})
