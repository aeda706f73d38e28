// Three customers book trips. One pays, for one the hotel is full, one never pays. The saga is in
// booking.ts; it survives crashes, so it may also wait for days.
import { openStore, systemClock } from 'eventuali'
import { freshStore } from '../fresh-store.ts'
import { processesAtRest } from '../until.ts'
import { booking } from './booking.ts'
import { Flight, Hotel, payments, Trip } from './trip.ts'

// The store's clock is handed in, so that half an hour passes when we say so.
let passedMs = 0
const clock = { ...systemClock, now: () => systemClock.now() + passedMs }

await using store = await openStore(await freshStore('trips'), { clock, processes: [booking] })
await store.processes.start()

const trips = store.aggregate(Trip)
await store.aggregate(Flight).execute('LH400', 'offer', 10)
await store.aggregate(Hotel).execute('plaza', 'offer', 1)
await store.aggregate(Hotel).execute('ritz', 'offer', 5)

async function show(when: string): Promise<void> {
  await processesAtRest(store)
  console.log(when)
  for (const name of ['ada', 'bob', 'eve']) {
    const { state } = await trips.load(name)
    const saga = await store.processes.get('booking', name)
    if (saga) console.log(`  ${name}: trip ${state.status}; saga ${saga.status}`)
  }
  const seats = (await store.aggregate(Flight).load('LH400')).state.left
  const rooms = (await store.aggregate(Hotel).load('plaza')).state.left
  console.log(`  ${seats} seats left on LH400, ${rooms} rooms at the plaza`)
}

await trips.execute('ada', 'request', { flight: 'LH400', hotel: 'plaza', nights: 3 })
await show('Ada asks for the last room at the plaza')

await trips.execute('bob', 'request', { flight: 'LH400', hotel: 'plaza', nights: 2 })
await show('Bob wants the same; his seat is given back')

await trips.execute('eve', 'request', { flight: 'LH400', hotel: 'ritz', nights: 1 })
await store.append('payment-77', payments.TripPaid({ trip: 'eve' }))
await show('Eve asks and pays')

for (const deadline of await store.processes.deadlines('booking')) {
  console.log(`(waiting: the deadline "${deadline.name.split('/').at(-1)}" of ${deadline.key})`)
}
passedMs = 31 * 60_000
await show('Half an hour later: Ada has not paid')

console.log('What happened to the plaza, and why')
for await (const { type, data } of store.readStream('hotel-plaza')) {
  console.log(`  ${type} ${JSON.stringify(data)}`)
}
