import { defineEvents, type } from 'eventuali'

export const orders = defineEvents({
  OrderPlaced: type<{ customer: string; total: number }>(),
  OrderReturned: type<{ customer: string; total: number }>(),
})
