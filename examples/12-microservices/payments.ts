import { defineAggregate, defineEvents, defineOutbox, openStore, type Store } from 'eventuali'
import type { TownBroker } from './broker.ts'
import { receiveOnce } from './inbox.ts'
import { orderPlaced, paymentRefused, paymentTaken } from './messages.ts'

const events = defineEvents({
  PaymentTaken: paymentTaken.extend({ cents: orderPlaced.shape.cents }),
  PaymentRefused: paymentRefused,
})

/** A card that may be charged up to 100 euros. */
export const Card = defineAggregate('card', {
  events,
  initial: () => ({ charged: 0 }),
  evolve: {
    PaymentTaken: ({ charged }, { data }) => ({ charged: charged + data.cents }),
    PaymentRefused: (state) => state,
  },
  commands: {
    // A refusal is news for others, so it is an event and no error.
    charge: ({ charged }, { order, cents }: { order: string; cents: number }) =>
      charged + cents > 100_00
        ? events.PaymentRefused({ order, why: 'the card is over its limit' })
        : events.PaymentTaken({ order, cents }),
  },
})

export async function startPayments(url: string, broker: TownBroker): Promise<Store> {
  const store = await openStore(url)
  await broker.subscribe('OrderPlaced', (message) =>
    receiveOnce(store, message, async (tx) => {
      const { order, card, cents } = orderPlaced.parse(message.payload)
      await tx.aggregate(Card).execute(card, 'charge', { order, cents })
    }),
  )
  await store.relay(
    defineOutbox({
      ...{ name: 'payments', after: 0, broker },
      from: { types: ['PaymentTaken', 'PaymentRefused'] },
      topic: (event) => event.type,
      // All that concerns one order keeps its order, whatever card it is paid with.
      key: (event) => (event.data as { order: string }).order,
    }),
  )
  return store
}
