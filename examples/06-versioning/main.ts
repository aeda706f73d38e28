// A hotel has changed its mind twice about what a registration is. Three generations of the event
// are in one log; nothing was rewritten, and the code of today knows only today's shape.
import { defineAggregate, openStore, type Store } from 'eventuali'
import { freshStore } from '../fresh-store.ts'
import { first, second, third } from './generations.ts'

const url = await freshStore('hotel')

/** Each generation was a program of its own, deployed in its year. */
async function inItsTime(work: (store: Store) => Promise<unknown>): Promise<void> {
  await using store = await openStore(url)
  await work(store)
}

await inItsTime((store) =>
  store.append('guest-1', first.GuestRegistered({ name: 'Ada King Lovelace', price: 90 })),
)
await inItsTime((store) =>
  store.append(
    'guest-2',
    second.GuestRegistered({
      ...{ first: 'Bob', last: 'Ross' },
      price: { amount: 120, currency: 'USD' },
    }),
  ),
)
await inItsTime((store) =>
  store.append('guest-3', [
    third.GuestJoined({ first: 'Cleo', last: 'Laine', newsletter: true }),
    third.RoomBooked({ amount: 80, currency: 'GBP' }),
  ]),
)

console.log('What is stored, each as it was written:')
await inItsTime(async (store) => {
  for await (const { stream, type, schemaVersion, data } of store.readAll()) {
    console.log(`  ${stream} ${type} v${schemaVersion} ${JSON.stringify(data)}`)
  }
})

console.log('What the program of today reads:')
await using store = await openStore(url, { events: [third] })
for await (const { stream, type, data } of store.readAll()) {
  console.log(`  ${stream} ${type} ${JSON.stringify(data)}`)
}

// A filter finds old events under their new names, also those that are a part of another.
const bookings = await store.readAll({ types: ['RoomBooked'] }).toArray()
console.log(`Bookings, of which two were stored under another name: ${bookings.length}`)

const Guest = defineAggregate('guest', {
  events: third,
  initial: (): { name: string; newsletter: boolean; booked: string } => ({
    ...{ name: '', newsletter: false, booked: '' },
  }),
  evolve: {
    GuestJoined: (state, { data }) => ({
      ...state,
      name: `${data.last}, ${data.first}`,
      newsletter: data.newsletter,
    }),
    RoomBooked: (state, { data }) => ({ ...state, booked: `${data.amount} ${data.currency}` }),
  },
  commands: {},
})
console.log('Aggregates know one shape only:')
for (const id of ['1', '2', '3']) {
  const { state, version } = await store.aggregate(Guest).load(id)
  console.log(`  guest-${id} at version ${version}: ${JSON.stringify(state)}`)
}
