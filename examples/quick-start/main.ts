// The smallest whole program: events, an aggregate, a store, a command and a read.
import { defineAggregate, defineEvents, openStore, reject, type } from 'eventuali'
import { z } from 'zod'

const events = defineEvents({
  OrderPlaced: z.object({ customer: z.string(), total: z.number() }),
  OrderShipped: type<{ carrier: string }>(),
})

type OrderState = { status: 'new' | 'placed' | 'shipped'; total: number }

const Order = defineAggregate('order', {
  events,
  initial: (): OrderState => ({ status: 'new', total: 0 }),
  evolve: {
    OrderPlaced: (state, { data }) => ({ ...state, status: 'placed', total: data.total }),
    OrderShipped: (state) => ({ ...state, status: 'shipped' }),
  },
  commands: {
    place: (state, input: { customer: string; total: number }) =>
      state.status === 'new' ? events.OrderPlaced(input) : reject('order is already placed'),
  },
})

await using store = await openStore('sqlite:shop.db')
await store.aggregate(Order).at(`o-${Date.now()}`).place({ customer: 'ada', total: 30 })
for await (const event of store.readAll()) console.log(event.stream, event.type, event.data)
