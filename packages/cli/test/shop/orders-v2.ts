import { defineEvents } from 'eventuali'
import { z } from 'zod'

/** What a branch makes of them: one field more that may be missing, and one that may not. */
export const orders = defineEvents({
  OrderPlaced: z.object({ customer: z.string(), total: z.number(), note: z.string().optional() }),
  OrderPaid: z.object({ amount: z.number() }),
  OrderShipped: z.object({ carrier: z.string(), parcels: z.number() }),
})
