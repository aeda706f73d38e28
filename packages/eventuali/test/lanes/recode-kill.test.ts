import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore, type RecodeResult, type Store } from '../../src/index.ts'
import type { CodecOptions } from '../../src/model/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { startChild } from '../harness/child.ts'
import { type Place, sharedPlaces, showsPlanted } from '../harness/places.ts'
import type { RecodeWorkerInput } from './recode-worker.ts'

const eventCount = 400
const batchSize = 10
const moments = ['before', 'written', 'committed'] as const
const targets: readonly CodecOptions[] = [
  { encoding: 'msgpack', compress: { with: 'zstd', above: 300 } },
  { compress: { with: 'brotli', above: 100 } },
  {},
  { encoding: 'msgpack' },
]

const dataOf = (i: number) => ({ i, text: `line ${i} `.repeat(1 + (i % 60)), at: [i, null] })

/** The log as text, one line for each event. */
async function linesOf(store: Store): Promise<readonly string[]> {
  const events = await store.readAll({ upTo: 'newest' }).toArray()
  return events.map((event) => JSON.stringify(event))
}

interface Report {
  readonly kills: number
  readonly resumed: number
  readonly appended: number
  /** What is not as it should be. */
  readonly wrong: readonly string[]
}

/** Recodes to each target in processes that die, beside a writer, and looks at the log after it. */
async function recodeRounds(run: Campaign, place: Place, skips: boolean): Promise<Report> {
  const url = await place.url()
  const store = await openStore(url)
  const wrong: string[] = []
  let [kills, resumed, appended] = [0, 0, 0]
  try {
    const events = Array.from({ length: eventCount }, (_, i) => ({
      type: 'Saved',
      data: dataOf(i),
    }))
    for (let i = 0; i < eventCount; i += 20) {
      await store.append(`page-${i % 7}`, events.slice(i, i + 20))
    }
    for (const codec of targets) {
      const before = await linesOf(store)
      const live = writer(store)
      let result: RecodeResult | undefined
      for (let n = 0; result === undefined; n++) {
        const when = moments[(kills + n) % moments.length] as (typeof moments)[number]
        const dies = n < run.scaled(4) ? { when, batch: run.between(1, 8) } : undefined
        const input: RecodeWorkerInput = { url, codec, batchSize, dies, skips }
        const child = startChild(import.meta.url, './recode-worker.ts', { input })
        const told = child.message<RecodeResult>('recoded', 60_000).catch(() => undefined)
        if ((await child.ended) === 'SIGKILL') kills++
        result = await told
        if (dies === undefined && result === undefined) throw new Error('recoding did not end')
      }
      if (result.resumedAfter > 0) resumed++
      appended += await live.stop()
      wrong.push(...(await wrongIn(store, before, codec, result.upTo)))
    }
  } finally {
    await store.close()
  }
  return { kills, resumed, appended, wrong }
}

/** Appends as long as it is let, with JSON as its own codec. */
function writer(store: Store): { stop(): Promise<number> } {
  let going = true
  const count = (async () => {
    let n = 0
    for (; going && n < 2000; n++) {
      await store.append(`live-${n % 3}`, { type: 'Saved', data: dataOf(n) })
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return n
  })()
  return {
    stop: () => {
      going = false
      return count
    },
  }
}

async function wrongIn(
  store: Store,
  before: readonly string[],
  codec: CodecOptions,
  upTo: number,
): Promise<readonly string[]> {
  const wrong: string[] = []
  const after = await linesOf(store)
  before.forEach((line, i) => {
    if (after[i] !== line) wrong.push(`event ${i} reads as another one: ${after[i]}`)
  })
  const report = await store.verify()
  wrong.push(...report.problems.map(({ reason }) => reason))
  const request = { codec, after: 0, upTo, countMax: 10_000 }
  const { changed } = await store.port.transaction((tx) => tx.recode(request))
  if (changed > 0) wrong.push(`${changed} events were left as they were`)
  return wrong
}

describe.each(sharedPlaces())('recoding that is killed: $adapter', (place) => {
  beforeAll(() => place.start(), 60_000)
  afterAll(() => place.stop())
  const it = place.skip === undefined ? test : test.skip

  it('ends after all, beside a writer, and has changed nothing that is read', async () => {
    await campaign(`recoding killed, ${place.adapter}`, async (run) => {
      const { kills, resumed, appended, wrong } = await recodeRounds(run, place, false)
      run.note(`${kills} kills, ${resumed} of ${targets.length} resumed, ${appended} appended`)
      expect(wrong).toEqual([])
      expect(kills).toBeGreaterThanOrEqual(run.scaled(8))
      expect(resumed).toBeGreaterThan(0)
      expect(appended).toBeGreaterThan(0)
    })
  })

  if (!showsPlanted(place)) return
  it('the harness finds batches that are noted and not done', async () => {
    await campaign(`recoding killed, planted, ${place.adapter}`, async (run) => {
      const { wrong } = await recodeRounds(run, place, true)
      run.note(`${wrong.length} complaints`)
      expect(wrong.join()).toContain('were left as they were')
    })
  })
})
