import {
  defineAggregate,
  defineEvents,
  defineOutbox,
  openStore,
  reject,
  type Store,
} from 'eventuali'
import type { TownBroker } from './broker.ts'
import { receiveOnce } from './inbox.ts'
import { orderPlaced, parcelSent, paymentRefused } from './messages.ts'

const events = defineEvents({
  OrderPlaced: orderPlaced,
  OrderSent: parcelSent,
  OrderRefused: paymentRefused,
})

export const Order = defineAggregate('order', {
  events,
  initial: (): { status: string } => ({ status: 'new' }),
  evolve: {
    OrderPlaced: () => ({ status: 'placed' }),
    OrderSent: (_state, { data }) => ({ status: `sent as ${data.parcel}` }),
    OrderRefused: (_state, { data }) => ({ status: `refused, ${data.why}` }),
  },
  commands: {
    place: (state, input: { order: string; card: string; cents: number }) =>
      state.status === 'new' ? events.OrderPlaced(input) : reject('is placed already'),
    markSent: (_state, input: { order: string; parcel: string }) => events.OrderSent(input),
    refuse: (_state, input: { order: string; why: string }) => events.OrderRefused(input),
  },
})

/** The service that customers see. */
export async function startOrders(url: string, broker: TownBroker): Promise<Store> {
  const store = await openStore(url)
  await broker.subscribe('ParcelSent', (message) =>
    receiveOnce(store, message, async (tx) => {
      const sent = parcelSent.parse(message.payload)
      await tx.aggregate(Order).execute(sent.order, 'markSent', sent)
    }),
  )
  await broker.subscribe('PaymentRefused', (message) =>
    receiveOnce(store, message, async (tx) => {
      const refused = paymentRefused.parse(message.payload)
      await tx.aggregate(Order).execute(refused.order, 'refuse', refused)
    }),
  )
  // What is stored goes out, whatever happens in between; only this type is for others.
  const from = { types: ['OrderPlaced'] }
  await store.relay(defineOutbox({ name: 'orders', after: 0, from, broker, topic: 'OrderPlaced' }))
  return store
}
