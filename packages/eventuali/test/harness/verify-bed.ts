import { openStore, replay, type Store } from '../../src/index.ts'
import type { Campaign } from './campaign.ts'
import { ledger, receipts, refunds, sale, saleEvents, shops } from './verify-definitions.ts'

const projections = [shops, receipts, ledger]
const shopCount = 5
/** Only an archived stream tells of it: with it or without it, a read model is as it may be. */
export const archivedShop = 'shop-archived'

function eventOf(run: Campaign, i: number) {
  const shop = `shop-${run.between(1, shopCount)}`
  const cents = run.between(1000, 9999)
  const note = `line ${i} of a receipt`
  const tags = [[], [], [`shop:${shop}`], [`shop:${shop}`, `day:${run.between(1, 9)}`]]
  const more = {
    ...{ tags: run.pick(tags), metadata: run.between(0, 2) === 0 ? {} : { actor: 'ada lovelace' } },
    ...(run.between(0, 3) === 0 ? { id: `given-${i}-${run.between(0, 1e9)}` } : {}),
  }
  const kind = run.between(0, 9)
  if (kind < 7) return { ...saleEvents.Sold({ shop, cents, note }), ...more }
  if (kind < 9) return { ...saleEvents.Returned({ shop, cents, note }), ...more }
  return { ...saleEvents.Renamed({ shop, name: `name ${i}` }), ...more }
}

async function fillLog(run: Campaign, store: Store): Promise<void> {
  for (let n = 1; n <= 20; n++) {
    for (let part = 0; part < 3; part++) {
      const count = run.between(2, 4)
      const events = Array.from({ length: count }, (_, i) => eventOf(run, n * 100 + part * 10 + i))
      await store.append(`sale-${n}`, events)
    }
  }
  // Archived later: a refold of today knows nothing of this shop, the read model does.
  await store.append('audit-1', saleEvents.Renamed({ shop: archivedShop, name: 'gone' }))
  await store.append('audit-2', eventOf(run, 2))
  // Of no read model: one that remembers removed events is not what a refold gives.
  for (let n = 3; n <= 4; n++) await store.append(`audit-${n}`, noted(n))
}

async function changeStreams(store: Store): Promise<void> {
  await store.archive('audit-1')
  await store.archive('audit-2')
  await store.archive('audit-2', { undo: true })
  await store.append(
    'audit-3',
    Array.from({ length: 4 }, (_, n) => noted(n)),
  )
  await store.truncate('audit-3', { before: 3 })
  await store.deleteStream('audit-4')
}

const noted = (n: number) => ({ type: 'Noted', data: { text: `note ${n}` } })

/** Everything that keeps a position, brought to where the log ends. */
async function followLog(store: Store): Promise<void> {
  await store.projections.start()
  await store.processes.start()
  const parted = { name: 'mail', group: { partitions: 3 }, pollIntervalMs: 20 } as const
  const mail = store.subscribe(parted, () => {})
  const handler = ({ stream }: { readonly stream: string }) => {
    if (stream === 'sale-2') throw new Error('this one is not liked')
  }
  const poisoned = { name: 'letters', onPoison: 'park', retry: { retryCountMax: 0 } } as const
  const letters = store.subscribe({ ...poisoned, pollIntervalMs: 20 }, handler)
  const { newest } = await store.positions()
  await mail.reached(newest, { timeoutMs: 60_000 })
  await letters.reached(newest, { timeoutMs: 60_000 })
  await Promise.all([mail.stop(), letters.stop()])
  for (const { name } of projections) await store.projected(name, newest, { timeoutMs: 60_000 })
  for (let n = 1; n <= 20; n++) await store.snapshots.take(sale, `${n}`)
  await replay(store, { into: () => {}, resume: { name: 'nightly' } })
  await store.schemas.list()
}

/** Fills a new store with a small log and one of everything that stands beside it. */
export async function makeBed(run: Campaign, url: string): Promise<void> {
  const store = await openStore(url, {
    ...{ profile: 'relaxed', events: [saleEvents], unknown: 'allow', snapshots: { every: 1 } },
    ...{ projections, processes: [refunds] },
  })
  try {
    // An inline projection has to be registered before the first append.
    await store.projections.start()
    await fillLog(run, store)
    await changeStreams(store)
    await followLog(store)
  } finally {
    await store.close()
  }
}

/** What `verify` is to fold again in such a store. */
export const verifiable = { projections, aggregates: [sale] }
