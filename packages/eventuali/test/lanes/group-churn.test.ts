import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { type Place, sharedPlaces } from '../harness/places.ts'
import { caughtUp, startNoting, WorkerGroup } from '../harness/worker-group.ts'
import type { GroupWorkerInput } from './group-worker.ts'

/** Workers come, leave and die for so long; gives what was wrong at the end. */
async function churn(
  run: Campaign,
  place: Place,
  durationMs: number,
  mutant?: GroupWorkerInput['mutant'],
): Promise<string[]> {
  const url = await place.url()
  const store = await openStore(url)
  const group = new WorkerGroup(url, mutant)
  const writer = startNoting(store, run)
  let kills = 0
  let stops = 0
  try {
    await Promise.all(Array.from({ length: 8 }, () => group.start()))
    const endAt = performance.now() + durationMs
    while (performance.now() < endAt) {
      await sleep(run.between(100, 1200))
      const child = run.pick(group.running)
      const how = run.pick(['SIGKILL', 'stop'] as const)
      if (how === 'SIGKILL') kills++
      else stops++
      await group.end(child, how)
      if (run.between(0, 3) > 0) await sleep(run.between(0, 800))
      while (group.running.length < run.between(4, 8)) await group.start()
    }
    await writer.stop()
    const wrong = await caughtUp(group, writer.versions)
    const handled = group.handled()
    const distinct = new Set(handled.map(({ stream, version }) => `${stream} ${version}`)).size
    run.note(
      `${distinct} events, ${handled.length - distinct} handled again, ${kills} kills, ${stops} stops`,
    )
    return wrong
  } finally {
    await writer.stop()
    await group.dispose()
    await store.close()
  }
}

/** A busy machine gives the workers little to handle: longer, until something is wrong. */
async function seen(
  run: Campaign,
  place: Place,
  mutant: GroupWorkerInput['mutant'],
): Promise<string> {
  for (let durationMs = 3000; durationMs < 30_000; durationMs *= 2) {
    const wrong = await churn(run, place, durationMs, mutant)
    if (wrong.length > 0) return wrong.join()
  }
  return 'nothing wrong'
}

const places = sharedPlaces()
const missing = places.flatMap(({ skip }) => skip ?? [])

beforeAll(async () => {
  for (const place of places) if (place.skip === undefined) await place.start()
})

afterAll(async () => {
  for (const place of places) await place.stop()
})

// The stores at the same time: the workers of each wait most of it.
test.skipIf(missing[0])('workers that come and go lose and reorder nothing', async () => {
  await Promise.all(
    places.map((place) =>
      campaign(`R8 8 workers come and go, ${place.adapter}`, async (run) => {
        expect(await churn(run, place, run.scaled(60_000))).toEqual([])
      }),
    ),
  )
})

test.skipIf(missing[0])('workers that forget or reorder are seen', async () => {
  await Promise.all(
    places.map((place) =>
      campaign(`R8 planted: workers forget or reorder, ${place.adapter}`, async (run) => {
        expect(await seen(run, place, 'forgets')).toContain(' to ')
        expect(await seen(run, place, 'reorders')).toContain(' to ')
      }),
    ),
  )
})
