import { collection, defineProjection } from 'eventuali'
import { orders } from './events.ts'

/** What each customer has bought. A fault: what came back is not taken off. */
export const sales = defineProjection({
  name: 'sales',
  version: 1,
  events: [orders],
  collections: { customers: collection<{ total: number }>() },
  handlers: {
    OrderPlaced: ({ data: { customer, total } }, ctx) =>
      ctx.collection('customers').patch(customer, (was) => ({ total: (was?.total ?? 0) + total })),
    OrderReturned: () => {},
  },
})
