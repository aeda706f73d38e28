// Three programs share the invoices of a parcel service; one is killed on the way. Every parcel is
// invoiced exactly once all the same, and those of a customer in their order.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { defineEvents, event, openStore, type } from 'eventuali'
import { freshStore } from '../fresh-store.ts'
import { until } from '../until.ts'

const PARCELS = 600
const CUSTOMERS = 40

const events = defineEvents({
  ParcelDelivered: event(type<{ customer: string; cents: number }>(), {
    tags: ({ customer }) => [`customer:${customer}`],
  }),
  Invoiced: type<{ parcel: string; cents: number }>(),
})

const url = await freshStore('invoices')
await using store = await openStore(url, { events: [events] })
const workers = ['anna', 'ben', 'carl'].map((name) =>
  fork(join(import.meta.dirname, 'worker.ts'), [url, name], { stdio: 'inherit' }),
)
try {
  await until(async () => (await owners()).size === 3)
  console.log('three programs share sixteen partitions')

  await store.appendAll(
    Array.from({ length: PARCELS }, (_, n) => ({
      stream: `parcel-${String(n).padStart(4, '0')}`,
      events: events.ParcelDelivered({ customer: `c${n % CUSTOMERS}`, cents: 500 + n }),
    })),
  )
  console.log(`${PARCELS} parcels of ${CUSTOMERS} customers were delivered`)

  // As soon as ben is seen to work, he dies: no goodbye, in the middle of a batch.
  await until(async () => (await invoicesBy()).get('ben') !== undefined)
  await kill(workers[1])
  console.log('ben was killed while he worked')

  await until(async () => (await invoices()).length >= PARCELS)
  const all = await invoices()
  const parcels = new Set(all.map(({ data }) => data.parcel))
  console.log(`${all.length} invoices for ${parcels.size} parcels: each exactly once`)

  const streams = Map.groupBy(all, ({ stream }) => stream)
  const inOrder = [...streams.values()].every((own) =>
    own.every(({ data }, n) => n === 0 || data.parcel > (own[n - 1]?.data.parcel ?? '')),
  )
  console.log(`the parcels of each customer in order: ${inOrder}`)

  const shares = await invoicesBy()
  console.log(`all three have worked: ${shares.size === 3}`)
  await until(async () => (await owners()).size === 2)
  console.log('two programs share sixteen partitions')
} finally {
  for (const worker of workers) if (worker.connected) worker.disconnect()
  await Promise.all(workers.map(ended))
}

/** The programs that own a partition now; a partition may be nobody's for a moment. */
async function owners(): Promise<Set<unknown>> {
  const status = await store.subscriptions.status('invoicing')
  return new Set(status?.partitions.map(({ owner }) => owner).filter((one) => one !== undefined))
}

async function invoices() {
  const found = await store.readAll({ types: ['Invoiced'] }).toArray()
  return found.filter((one) => one.type === 'Invoiced')
}

async function invoicesBy(): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (const { metadata } of await invoices()) {
    const actor = String(metadata.actor)
    counts.set(actor, (counts.get(actor) ?? 0) + 1)
  }
  return counts
}

async function kill(worker: ChildProcess | undefined): Promise<void> {
  worker?.kill('SIGKILL')
  if (worker !== undefined) await ended(worker)
}

async function ended(worker: ChildProcess): Promise<void> {
  if (worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit')
}
