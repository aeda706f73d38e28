import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore, type Store } from '../../src/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { startChild } from '../harness/child.ts'
import { type Place, sharedPlaces, showsPlanted } from '../harness/places.ts'
import type { SnapshotAudit } from './snapshot-audit.ts'
import type { SnapshotWorkerInput } from './snapshot-worker.ts'

const moments = ['appended', 'before', 'written', 'kept'] as const
const streamCount = 4
const every = 3

interface Report {
  readonly kills: number
  readonly acknowledged: number
  /** Loads that began with a kept state. */
  readonly used: number
  /** What is not as it should be. */
  readonly wrong: readonly string[]
}

/** Programs that command aggregates and die, and a look at all of it after each. */
async function rounds(run: Campaign, place: Place, heavy: boolean): Promise<Report> {
  const url = await place.url()
  const wrong: string[] = []
  let [kills, acknowledged, used] = [0, 0, 0]
  for (let round = 0; round < run.scaled(12); round++) {
    const when = moments[round % moments.length] as (typeof moments)[number]
    const dies = { when, count: run.between(1, when === 'appended' ? 60 : 12) }
    const input: SnapshotWorkerInput = { url, every, streamCount, dies, heavy }
    const child = startChild(import.meta.url, './snapshot-worker.ts', { input })
    if ((await child.ended) === 'SIGKILL') kills++
    const lines = child.output().split('\n').slice(0, -1)
    acknowledged += lines.length
    await using store = await openStore(url)
    wrong.push(...(await lost(store, lines)))
    // Beside the other program, since what runs the tests shows functions in a text of its own.
    const audit = startChild(import.meta.url, './snapshot-audit.ts', {
      input: { url, streamCount },
    })
    const found = await audit.message<SnapshotAudit>('audited')
    wrong.push(...found.wrong)
    used += found.used
  }
  return { kills, acknowledged, used, wrong }
}

async function lost(store: Store, lines: readonly string[]): Promise<readonly string[]> {
  const wrong: string[] = []
  for (const line of lines) {
    const [id, version, n] = line.split(' ').map(Number)
    const [event] = await store.readStream(`sums-${id}`, { from: version, limit: 1 }).toArray()
    if ((event?.data as { n?: number } | undefined)?.n !== n) wrong.push(`lost: ${line}`)
  }
  return wrong
}

describe.each(sharedPlaces())('states kept by programs that die: $adapter', (place) => {
  beforeAll(() => place.start(), 60_000)
  afterAll(() => place.stop())
  const it = place.skip === undefined ? test : test.skip

  it('are what a fold gives, whenever the program dies', async () => {
    await campaign(`snapshots killed, ${place.adapter}`, async (run) => {
      const { kills, acknowledged, used, wrong } = await rounds(run, place, false)
      run.note(`${kills} kills, ${acknowledged} acknowledged, ${used} loads with a kept state`)
      expect(wrong).toEqual([])
      expect(kills).toBe(run.scaled(12))
      expect(acknowledged).toBeGreaterThan(0)
      expect(used).toBeGreaterThan(0)
    })
  })

  if (!showsPlanted(place)) return
  it('the harness finds states that other code has kept', async () => {
    await campaign(`snapshots killed, planted, ${place.adapter}`, async (run) => {
      const { wrong } = await rounds(run, place, true)
      run.note(`${wrong.length} complaints`)
      expect(wrong.join()).toContain('kept: ')
      // The probe sees it too: no load gave such a state.
      expect(wrong.filter((text) => text.startsWith('loaded: '))).toEqual([])
    })
  })
})
