import { defineAggregate, defineEvents, reject, type } from 'eventuali'

const orders = defineEvents({
  OrderPlaced: type<{ sku: string; cents: number }>(),
  OrderPaid: type<{ payment: string }>(),
  OrderCancelled: type<{ why: string }>(),
})

export const Order = defineAggregate('order', {
  events: orders,
  initial: (): { status: 'new' | 'placed' | 'paid' | 'cancelled' } => ({ status: 'new' }),
  evolve: {
    OrderPlaced: () => ({ status: 'placed' }),
    OrderPaid: () => ({ status: 'paid' }),
    OrderCancelled: () => ({ status: 'cancelled' }),
  },
  commands: {
    place: (state, input: { sku: string; cents: number }) =>
      state.status === 'new' ? orders.OrderPlaced(input) : reject('the order is placed'),
    pay: (state, payment: string) =>
      state.status === 'placed' ? orders.OrderPaid({ payment }) : reject(`is ${state.status}`),
    cancel: (state, why: string) =>
      state.status === 'cancelled' ? undefined : orders.OrderCancelled({ why }),
  },
})

const payments = defineEvents({
  CardCharged: type<{ cents: number; order: string }>(),
  CardRefunded: type<{ cents: number; order: string }>(),
})

/** A customer's card, with a limit. */
export const Card = defineAggregate('card', {
  events: payments,
  initial: () => ({ charged: 0 }),
  evolve: {
    CardCharged: (state, { data }) => ({ charged: state.charged + data.cents }),
    CardRefunded: (state, { data }) => ({ charged: state.charged - data.cents }),
  },
  commands: {
    charge: (state, input: { cents: number; order: string }) =>
      state.charged + input.cents > 100_00
        ? reject('the card is over its limit')
        : payments.CardCharged(input),
    refund: (_state, input: { cents: number; order: string }) => payments.CardRefunded(input),
  },
})

const goods = defineEvents({
  GoodsReceived: type<{ count: number }>(),
  GoodsTaken: type<{ order: string }>(),
})

export const Stock = defineAggregate('stock', {
  events: goods,
  initial: () => ({ left: 0 }),
  evolve: {
    GoodsReceived: (state, { data }) => ({ left: state.left + data.count }),
    GoodsTaken: (state) => ({ left: state.left - 1 }),
  },
  commands: {
    receive: (_state, count: number) => goods.GoodsReceived({ count }),
    take: (state, order: string) =>
      state.left > 0 ? goods.GoodsTaken({ order }) : reject('out of stock'),
  },
})
