import { collection, defineEvents, defineProjection, type } from 'eventuali'

export const shopEvents = defineEvents({
  OrderPlaced: type<{ customer: string; cents: number }>(),
})

/** What each customer has spent; kept by a program of its own, worker.ts. */
export const sales = defineProjection({
  name: 'sales',
  version: 1,
  events: [shopEvents],
  collections: { customers: collection<{ cents: number }>() },
  handlers: {
    OrderPlaced: ({ data: { customer, cents } }, ctx) =>
      ctx.collection('customers').patch(customer, (was = { cents: 0 }) => ({
        cents: was.cents + cents,
      })),
  },
})

/** A service that can be away: a mail server, a bank. */
export class Service {
  readonly name: string
  isUp = true
  calls = 0

  constructor(name: string) {
    this.name = name
  }

  call(): void {
    if (!this.isUp) throw new Error(`the ${this.name} does not answer`)
    this.calls++
  }
}
