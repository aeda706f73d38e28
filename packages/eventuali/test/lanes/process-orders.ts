import { defineAggregate, defineEvents, defineProcess, type } from '../../src/index.ts'

/** What happens to an order: it is charged and shipped, and there is a reminder in between. */
export const orderEvents = defineEvents({
  Placed: type<{ order: string }>(),
  Charged: type<{ order: string }>(),
  Shipped: type<{ order: string }>(),
  Reminded: type<{ order: string }>(),
})

/** The account that all orders are charged to, so that commands conflict. */
const Account = defineAggregate('account', {
  events: orderEvents,
  initial: () => ({ charges: 0 }),
  evolve: {
    Placed: (state) => state,
    Charged: ({ charges }) => ({ charges: charges + 1 }),
    Shipped: (state) => state,
    Reminded: (state) => state,
  },
  commands: { charge: (_state, input: { order: string }) => orderEvents.Charged(input) },
})

/** How long after an order its reminder falls due, in milliseconds. */
const REMINDER_MS = 20

/**
 * A command, events and a deadline for each order: every way in which a process has an effect. It
 * ends once it has seen all of them.
 */
export const Fulfilment = defineProcess({
  name: 'fulfilment',
  events: [orderEvents],
  aggregates: [Account],
  after: 0,
  correlate: ({ data }) => data.order,
  starts: ['Placed'],
  initial: () => ({ charged: false, reminded: false }),
  on: {
    Placed: (_state, _event, ctx) => {
      ctx.command(Account, 'all', 'charge', { order: ctx.key })
      ctx.at(new Date(ctx.now.getTime() + REMINDER_MS), 'reminder')
    },
    Charged: (state, _event, ctx) => {
      ctx.append(`shipping-${ctx.key}`, orderEvents.Shipped({ order: ctx.key }))
      if (state.reminded) ctx.complete()
      return { ...state, charged: true }
    },
  },
  deadlines: { reminder: type<null>() },
  onDeadline: {
    reminder: (state, _deadline, ctx) => {
      ctx.append(`reminder-${ctx.key}`, orderEvents.Reminded({ order: ctx.key }))
      if (state.charged) ctx.complete()
      return { ...state, reminded: true }
    },
  },
})
