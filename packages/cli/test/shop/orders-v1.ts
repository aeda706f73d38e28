import { defineEvents } from 'eventuali'
import { z } from 'zod'

/** The shop's events with schemas that a store can remember. */
export const orders = defineEvents({
  OrderPlaced: z.object({ customer: z.string(), total: z.number() }),
  OrderPaid: z.object({ amount: z.number() }),
  OrderShipped: z.object({ carrier: z.string() }),
})
