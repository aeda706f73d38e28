import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore, type Store } from '../../src/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { type Child, endChildren, startChild } from '../harness/child.ts'
import { sharedPlaces } from '../harness/places.ts'
import type { SlowConsumerInput, SlowConsumerReport } from './slow-consumer.ts'

const kinds = ['plain', 'alone', 'group', 'loop'] as const
const growthMaxMiB = 64
/** Has glibc give back what was freed: what is looked for is what the library holds on to. */
const givesBack = { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '262144' }
const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'

/** Text that a database cannot make small. */
function noise(run: Campaign, length: number): string {
  let text = ''
  for (let i = 0; i < length; i++) text += letters[Math.floor(run.random.next() * letters.length)]
  return text
}

/** Large events (90 MiB), very large ones (60 MiB) and 200,000 small ones, in that order. */
async function fill(store: Store, run: Campaign): Promise<number> {
  const large = noise(run, 30 * 1024)
  const huge = noise(run, 1024 * 1024)
  let events = 0
  const append = async (stream: string, count: number, data: (n: number) => object) => {
    const batch = Array.from({ length: count }, (_, n) => ({ type: 'Noted', data: data(n) }))
    await store.append(stream, batch)
    events += count
  }
  await append('warm-1', 100, (n) => ({ n }))
  // Each its own text, so that nothing is shared in memory.
  for (let n = 0; n < 30; n++) {
    await append(`large-${n}`, 100, (i) => ({ text: `${n} ${i} ${large}` }))
  }
  for (let n = 0; n < 60; n++) await append(`huge-${n % 7}`, 1, () => ({ text: `${n} ${huge}` }))
  for (let n = 0; n < 200; n++) {
    await append(`small-${n % 50}`, 1000, (i) => ({ n, i, text: 'a small event of some kind' }))
  }
  return events
}

/** Appends at full speed until told to stop, one call after the other. */
function startProducer(store: Store) {
  let over = false
  let produced = 0
  const produce = async (): Promise<void> => {
    const batch = Array.from({ length: 100 }, (_, i) => ({ type: 'Noted', data: { i } }))
    while (!over) {
      await store.append(`new-${produced % 11}`, batch)
      produced += batch.length
    }
  }
  const running = produce()
  return async (): Promise<number> => {
    over = true
    await running
    return produced
  }
}

describe.each(sharedPlaces())('a consumer that is slower than the log, on $adapter', (place) => {
  let url: string
  let backlog = 0
  const start = (input: Partial<SlowConsumerInput>): Child =>
    startChild(import.meta.url, './slow-consumer.ts', {
      input: { url, name: input.kind, batchIntervalMs: 250, durationMs: 15_000, ...input },
      nodeOptions: ['--expose-gc'],
      env: givesBack,
    })
  const figures = (kind: string, { handled, ...report }: SlowConsumerReport): string =>
    `${kind} ${handled} handled, +${report.residentGrowthMiB} MiB resident, +${report.heapGrowthMiB} MiB held`

  beforeAll(async () => {
    if (place.skip !== undefined) return
    await place.start()
    url = await place.url()
    await using store = await openStore(url)
    await campaign(`backlog, ${place.adapter}`, async (run) => {
      backlog = await fill(store, run)
      run.note(`${backlog} events`)
    })
  })
  afterAll(() => place.stop())

  test.skipIf(place.skip)(
    'takes at most 64 MiB more',
    async () => {
      await campaign(`R15 slow consumers, ${place.adapter}`, async (run) => {
        const store = await openStore(url)
        const durationMs = Math.min(1_800_000, 15_000 * run.scale)
        const children = kinds.map((kind) =>
          // A group handles eight partitions at the same time.
          start({ kind, durationMs, batchIntervalMs: kind === 'group' ? 1000 : 250 }),
        )
        const stop = startProducer(store)
        try {
          const reports = await Promise.all(
            children.map((child) =>
              child.message<SlowConsumerReport>('report', durationMs + 120_000),
            ),
          )
          const produced = await stop()
          run.note(`backlog ${backlog} + ${produced}`)
          for (const [n, kind] of kinds.entries()) {
            const report = reports[n] as SlowConsumerReport
            run.note(figures(kind, report))
          }
          for (const report of reports) {
            expect(report.handled).toBeGreaterThan(0)
            // Otherwise it was not slow, and proves nothing.
            expect(report.handled).toBeLessThan(backlog + produced)
            expect(report.residentGrowthMiB).toBeLessThanOrEqual(growthMaxMiB)
            expect(report.heapGrowthMiB).toBeLessThanOrEqual(growthMaxMiB)
          }
        } finally {
          await stop()
          await endChildren(children)
          await store.close()
        }
      })
    },
    2_400_000,
  )

  test.skipIf(place.skip)('is seen when it keeps what it has not handled', async () => {
    await campaign(`R15 planted: unbounded buffer, ${place.adapter}`, async (run) => {
      const child = start({
        kind: 'alone',
        name: 'planted',
        mutant: 'unbounded-buffer',
        durationMs: 5000,
      })
      try {
        const report = await child.message<SlowConsumerReport>('report')
        run.note(figures('alone', report))
        expect(report.residentGrowthMiB).toBeGreaterThan(growthMaxMiB)
        expect(report.heapGrowthMiB).toBeGreaterThan(growthMaxMiB)
      } finally {
        await endChildren([child])
      }
    })
  })
})
