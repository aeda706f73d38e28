import { defineEvents, defineOutbox, openStore, type Store } from 'eventuali'
import type { TownBroker } from './broker.ts'
import { receiveOnce } from './inbox.ts'
import { parcelSent, paymentTaken } from './messages.ts'

const events = defineEvents({ ParcelSent: parcelSent })

/** Needs no aggregate: what is paid is sent. */
export async function startShipping(url: string, broker: TownBroker): Promise<Store> {
  const store = await openStore(url)
  await broker.subscribe('PaymentTaken', (message) =>
    receiveOnce(store, message, async (tx) => {
      const { order } = paymentTaken.parse(message.payload)
      await tx.append(`parcel-${order}`, events.ParcelSent({ order, parcel: `P-${order}` }))
    }),
  )
  const from = { types: ['ParcelSent'] }
  await store.relay(defineOutbox({ name: 'shipping', after: 0, from, broker, topic: 'ParcelSent' }))
  return store
}
