import { defineAggregate, defineEvents, reject } from 'eventuali'
import { z } from 'zod'

const events = defineEvents({
  TicketSold: z.object({ to: z.email(), seat: z.string().regex(/^[A-Z]\d+$/) }),
  SeatChanged: z.object({ seat: z.string().regex(/^[A-Z]\d+$/) }),
  TicketRefunded: z.object({}),
})

export const Ticket = defineAggregate('ticket', {
  events,
  initial: (): { status: 'free' | 'sold' | 'refunded'; seat: string } => ({
    status: 'free',
    seat: '',
  }),
  evolve: {
    TicketSold: (_state, { data }) => ({ status: 'sold', seat: data.seat }),
    SeatChanged: (state, { data }) => ({ ...state, seat: data.seat }),
    TicketRefunded: (state) => ({ ...state, status: 'refunded' }),
  },
  commands: {
    sell: (state, input: { to: string; seat: string }) =>
      state.status === 'free'
        ? events.TicketSold(input)
        : reject('the ticket is sold', { seat: state.seat }),
    changeSeat: (state, seat: string) =>
      state.status === 'sold' ? events.SeatChanged({ seat }) : reject('the ticket is not sold'),
    refund: (state) =>
      state.status === 'sold' ? events.TicketRefunded({}) : reject('there is nothing to refund'),
  },
})
