import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore, type Store, type VerifyReport } from '../../src/index.ts'
import { systemClock, systemRandom, uuidV7Source } from '../../src/kernel/index.ts'
import type { EventStore } from '../../src/ports/index.ts'
import { openAdapter } from '../../src/store/adapters.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { sharedPlaces } from '../harness/places.ts'
import {
  ledger,
  receipts,
  refunds,
  sale,
  saleEvents,
  shops,
} from '../harness/verify-definitions.ts'

const projections = [shops, receipts, ledger]
const writerCount = 4
const timeoutMs = 900_000

/** A store in full work: writers, changes of streams, subscribers, read models, kept states. */
async function busy(run: Campaign, url: string) {
  const store = await openStore(url, {
    ...{ profile: 'relaxed', events: [saleEvents], unknown: 'allow', snapshots: { every: 5 } },
    ...{ projections, processes: [refunds] },
  })
  await store.projections.start()
  await store.processes.start()
  const group = { partitions: 3 }
  const mail = store.subscribe({ name: 'mail', group, pollIntervalMs: 20 }, () => {})
  let going = true
  let appended = 0
  const writer = async (nr: number): Promise<void> => {
    for (let n = 0; going; n++) {
      const shop = `shop-${run.between(1, 9)}`
      const input = { shop, cents: run.between(1, 999), note: `line ${n}` }
      if (n % 3 === 0) await store.aggregate(sale).execute(`${run.between(1, 40)}`, 'sell', input)
      else {
        const tags = n % 2 === 0 ? [`shop:${shop}`, `writer:${nr}`] : []
        const event = run.between(0, 3) === 0 ? saleEvents.Returned(input) : saleEvents.Sold(input)
        await store.append(`sale-${run.between(1, 40)}`, [{ ...event, tags }])
      }
      appended++
      if (n % 20 === 0) await store.snapshots.take(sale, `${run.between(1, 40)}`)
      await sleep(run.between(0, 6))
    }
  }
  const changer = async (): Promise<void> => {
    for (let n = 0; going; n++) {
      const stream = `note-${n % 5}`
      const noted = Array.from({ length: run.between(2, 30) }, () => ({
        ...{ type: 'Noted', data: { n }, tags: [`round:${n % 7}`] },
      }))
      await store.append(stream, noted, { recreate: true })
      const { version } = (await store.stream(stream)) ?? { version: 1 }
      if (n % 3 === 0) await store.truncate(stream, { before: run.between(1, version) })
      if (n % 3 === 1) await store.deleteStream(stream)
      if (n % 6 === 2) {
        await store.archive(stream)
        await store.archive(stream, { undo: true })
      }
      await sleep(run.between(1, 8))
    }
  }
  const work = [...Array.from({ length: writerCount }, (_, nr) => writer(nr)), changer()]
  const all = Promise.all(work)
  all.catch(() => {})
  return {
    store,
    appended: () => appended,
    stop: async () => {
      going = false
      await all.finally(async () => {
        await mail.stop()
        await store.close()
      })
    },
  }
}

/** Verifies again and again with a connection of its own, as the command line does. */
async function verifyOften(
  store: Store,
  times: number,
  seed: number,
): Promise<readonly VerifyReport[]> {
  const reports: VerifyReport[] = []
  for (let n = 0; n < times; n++) {
    reports.push(await store.verify({ projections, aggregates: [sale], seed: seed + n }))
  }
  return reports
}

async function byteChanged({ store, appended }: Awaited<ReturnType<typeof busy>>): Promise<number> {
  while (appended() < 20) await sleep(20)
  const found = await store.readAll({ types: ['Sold'], limit: 1 }).toArray()
  const position = found[0]?.position ?? 0
  await store.transaction(async (tx) => {
    const sql = tx.sql as {
      query?(text: string, values: readonly unknown[]): Promise<unknown>
      prepare(text: string): { run(...values: readonly unknown[]): unknown }
    }
    const set = (table: string) => `UPDATE ${table} SET data = '{"shop":"x"}' WHERE position = `
    if (sql.query !== undefined) await sql.query(`${set('eventuali.events')}$1`, [position])
    else sql.prepare(`${set('eventuali_events')}?`).run(position)
  })
  return position
}

/** A port that believes that the log ends where it ended at first. */
function stale(port: EventStore): EventStore {
  let first: ReturnType<EventStore['positions']> | undefined
  return new Proxy(port, {
    get(target, name) {
      if (name === 'positions') {
        return () => {
          first ??= target.positions()
          return first
        }
      }
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

describe.each(sharedPlaces())('verify beside everything, $adapter', (place) => {
  beforeAll(() => place.start())
  afterAll(() => place.stop())
  const { adapter } = place

  test.skipIf(place.skip !== undefined)(
    'reports nothing while the store is in use',
    async () => {
      await campaign(`R5 verify beside writers and subscribers, ${adapter}`, async (run) => {
        const url = await place.url()
        const work = await busy(run, url)
        try {
          while (work.appended() < 100) await sleep(20)
          const other = await openStore(url, { profile: 'relaxed' })
          const reports = await verifyOften(
            other,
            run.scaled(adapter === 'sqlite' ? 4 : 2),
            run.seed,
          )
          await other.close()
          for (const { problems } of reports) expect(problems).toEqual([])
          const last = reports.at(-1) as VerifyReport
          expect(last.checkpoints).toBeGreaterThan(5)
          expect(last.snapshots.compared).toBeGreaterThan(0)
          expect(last.projections.map(({ projection }) => projection)).toHaveLength(3)
          run.note(`${reports.length} verifications beside ${work.appended()} appends`)
          run.note(
            `the last over ${last.events} events, ${last.snapshots.compared} states refolded`,
          )
        } finally {
          await work.stop()
        }
      })
    },
    timeoutMs,
  )

  test.skipIf(place.skip !== undefined)(
    'planted: a byte that is changed meanwhile',
    async () => {
      await campaign(`R5 planted: a byte is changed beside writers, ${adapter}`, async (run) => {
        const url = await place.url()
        const work = await busy(run, url)
        try {
          const position = await byteChanged(work)
          const other = await openStore(url, { profile: 'relaxed' })
          const { problems } = await other.verify()
          await other.close()
          expect(problems).toMatchObject([{ kind: 'checksum', position }])
          run.note(`found at ${position} beside ${work.appended()} appends`)
        } finally {
          await work.stop()
        }
      })
    },
    timeoutMs,
  )

  test.skipIf(place.skip !== undefined)(
    'planted: the end of the log is asked once',
    async () => {
      await campaign(`R5 planted: verify asks for the log's end once, ${adapter}`, async (run) => {
        const url = await place.url()
        const work = await busy(run, url)
        try {
          const sources = { clock: systemClock, random: systemRandom }
          const port = await openAdapter(
            url,
            { profile: 'relaxed' },
            { ...sources, ids: uuidV7Source(systemClock, systemRandom) },
          )
          const other = await openStore(stale(port))
          await other.positions()
          const before = work.appended()
          while (work.appended() < before + 30) await sleep(20)
          let count = 0
          for (let n = 0; n < 20 && count === 0; n++) {
            count += (await other.verify()).problems.filter(
              ({ kind }) => kind === 'checkpoint',
            ).length
          }
          await other.close()
          expect(count).toBeGreaterThan(0)
          run.note(`${count} checkpoints seem to be ahead`)
        } finally {
          await work.stop()
        }
      })
    },
    timeoutMs,
  )
})
