// A parcel service keeps what happens to each parcel. This is the store alone, without aggregates:
// append, read back, ask the log, follow it.
import { defineEvents, event, isEventualiError, openStore, type } from 'eventuali'
import { z } from 'zod'
import { freshStore } from '../fresh-store.ts'

const parcels = defineEvents({
  // A validator runs before anything is stored: the data came from outside.
  ParcelAccepted: event(z.object({ customer: z.string(), grams: z.number().int().positive() }), {
    // Tags are how events of many streams are found again.
    tags: ({ customer }) => [`customer:${customer}`],
  }),
  ParcelScanned: type<{ depot: string }>(),
  ParcelDelivered: type<{ to: string }>(),
})

await using store = await openStore(await freshStore('parcels'), { events: [parcels] })

// 1. Append. A stream is a name; its category is what stands before the first `-`.
console.log('1. Append')
const accepted = await store.append(
  'parcel-1001',
  parcels.ParcelAccepted({ customer: 'ada', grams: 1200 }),
  { expectedVersion: 0 }, // The parcel must be new.
)
console.log(`  ${accepted.stream} is at version ${accepted.version}`)

// Several events are stored together or not at all.
await store.append('parcel-1001', [
  parcels.ParcelScanned({ depot: 'Hamburg' }),
  parcels.ParcelScanned({ depot: 'Bonn' }),
])
// So are several streams: a customer hands in two parcels at once.
await store.appendAll([
  { stream: 'parcel-1002', events: parcels.ParcelAccepted({ customer: 'bob', grams: 300 }) },
  { stream: 'parcel-1003', events: parcels.ParcelAccepted({ customer: 'ada', grams: 80 }) },
])

// 2. What may go wrong has a code.
console.log('2. Refused')
const tryTo = async (what: string, work: () => Promise<unknown>) => {
  try {
    await work()
  } catch (error) {
    if (!isEventualiError(error)) throw error
    console.log(`  ${what}: ${error.code}`)
  }
}
await tryTo('accepted twice', () =>
  store.append('parcel-1001', parcels.ParcelAccepted({ customer: 'eve', grams: 1 }), {
    expectedVersion: 0,
  }),
)
await tryTo('weighs nothing', () =>
  store.append('parcel-1004', parcels.ParcelAccepted({ customer: 'eve', grams: 0 })),
)

// 3. A scanner that is not sure whether its message arrived sends it again, with the same id.
console.log('3. Sent twice, stored once')
const scan = parcels.ParcelScanned({ depot: 'Hamburg' }, { id: 'scanner-7-000412' })
await store.append('parcel-1002', scan)
const again = await store.append('parcel-1002', scan)
console.log(`  duplicate: ${again.duplicate}, version still ${again.version}`)

// 4. Read one parcel, in the order of its versions.
console.log('4. One stream')
for await (const { version, type, data } of store.readStream('parcel-1001')) {
  console.log(`  ${version} ${type} ${JSON.stringify(data)}`)
}

// 5. Read the log: all parcels of a customer, all scans, the newest first.
console.log('5. The log')
const ofAda = await store.readAll({ tags: ['customer:ada'] }).toArray()
console.log(`  ada sent ${ofAda.map(({ stream }) => stream).join(' and ')}`)
const scans = store.readAll({ types: ['ParcelScanned'], direction: 'backward', limit: 2 })
for await (const { stream, data } of scans) console.log(`  ${stream} was in ${data.depot}`)

// 6. Follow it: first what is there, then what comes. Nothing is skipped in between.
console.log('6. Follow')
const following = (async () => {
  for await (const event of store.subscribe({ types: ['ParcelDelivered'] })) {
    if (event.type === 'ParcelDelivered') console.log(`  ${event.stream}: to ${event.data.to}`)
    if (event.stream === 'parcel-1003') break // Leaving the loop ends the subscription.
  }
})()
await store.append('parcel-1001', parcels.ParcelDelivered({ to: 'a neighbour' }))
await store.append('parcel-1003', parcels.ParcelDelivered({ to: 'carol' }))
await following

// 7. What is there, and is it whole?
console.log('7. Streams')
for await (const { stream, version } of store.streams({ category: 'parcel' })) {
  console.log(`  ${stream} has ${version} events`)
}
const { ok, events } = await store.verify()
console.log(`verified ${events} events: ${ok ? 'all is well' : 'DAMAGED'}`)
