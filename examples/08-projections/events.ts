import { defineEvents, type } from 'eventuali'

/** What happens in a bookshop. Each sale is a stream, each title another. */
export const sales = defineEvents({
  BookSold: type<{ title: string; city: string; cents: number }>(),
  BookReturned: type<{ title: string; city: string; cents: number }>(),
})

export const deliveries = defineEvents({
  BooksDelivered: type<{ title: string; count: number }>(),
})
