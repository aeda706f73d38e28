import {
  collection,
  defineAggregate,
  defineEvents,
  defineProcess,
  defineProjection,
  type,
} from 'eventuali'

export const orders = defineEvents({
  OrderPlaced: type<{ customer: string; total: number }>(),
  OrderPaid: type<{ amount: number }>(),
  OrderShipped: type<{ carrier: string }>(),
})

interface OrderState {
  status: 'new' | 'placed' | 'shipped'
  total: number
  paid: number
  carrier?: string
}

export const Order = defineAggregate('order', {
  events: orders,
  initial: (): OrderState => ({ status: 'new', total: 0, paid: 0 }),
  evolve: {
    OrderPlaced: (state, { data }) => ({ ...state, status: 'placed', total: data.total }),
    OrderPaid: (state, { data }) => ({ ...state, paid: state.paid + data.amount }),
    OrderShipped: (state, { data }) => ({ ...state, status: 'shipped', carrier: data.carrier }),
  },
  commands: {},
})

/** What each customer has ordered. */
export const totals = defineProjection({
  name: 'totals',
  version: 1,
  events: [orders],
  collections: { totals: collection<{ orders: number; total: number }>() },
  key: (event) => (event.type === 'OrderPlaced' ? event.data.customer : event.stream),
  orderInsensitive: true,
  handlers: {
    OrderPlaced: ({ data }, ctx) =>
      ctx.collection('totals').patch(data.customer, (was) => ({
        orders: (was?.orders ?? 0) + 1,
        total: (was?.total ?? 0) + data.total,
      })),
  },
})

/** Reminds of orders that nobody pays; those of one customer cannot be dealt with. */
export const reminders = defineProcess({
  name: 'reminders',
  after: 0,
  events: [orders],
  aggregates: [Order],
  correlate: ({ stream }) => stream.slice('order-'.length),
  starts: ['OrderPlaced'],
  initial: () => ({ reminded: 0 }),
  on: {
    OrderPlaced: (state, { data }, ctx) => {
      ctx.after('36500 days', 'remind', null)
      // One order is of a customer whom nobody knows.
      if (data.customer === 'mallory') throw new Error('no such customer')
      return state
    },
  },
  deadlines: { remind: type<null>() },
  onDeadline: { remind: (state) => state },
})
