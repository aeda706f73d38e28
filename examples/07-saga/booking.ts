import { defineProcess, type } from 'eventuali'
import { Flight, Hotel, payments, places, Trip, trips } from './trip.ts'

type State = { flight: boolean; hotel: boolean; paid: boolean }

const tripOf = (stream: string) => stream.slice('trip-'.length)

/**
 * Books a flight and a hotel for a trip, then waits for the money. Each step says how it is taken
 * back; when a step is refused, or the money does not come, the steps that were done are undone,
 * the last one first.
 */
export const booking = defineProcess({
  name: 'booking',
  events: [trips, places, payments],
  aggregates: [Trip, Flight, Hotel],
  // Which trip an event belongs to.
  correlate: (event) =>
    event.data !== null && 'trip' in event.data ? event.data.trip : tripOf(event.stream),
  starts: ['TripRequested'],
  initial: (): State => ({ flight: false, hotel: false, paid: false }),
  on: {
    TripRequested: (state, { data }, ctx) => {
      ctx
        .command(Flight, data.flight, 'take', ctx.key)
        .undoneBy(Flight, data.flight, 'giveBack', ctx.key)
      ctx
        .command(Hotel, data.hotel, 'take', ctx.key)
        .undoneBy(Hotel, data.hotel, 'giveBack', ctx.key)
      ctx.after('30 minutes', 'unpaid')
      return state
    },
    PlaceTaken: (state, { stream }) =>
      stream.startsWith('flight-') ? { ...state, flight: true } : { ...state, hotel: true },
    TripPaid: (state, _event, ctx) => {
      ctx.cancel('unpaid')
      ctx.command(Trip, ctx.key, 'confirm')
      ctx.complete()
      return { ...state, paid: true }
    },
  },
  deadlines: { unpaid: type<null>() },
  onDeadline: {
    unpaid: (state, _deadline, ctx) => {
      ctx.compensate('not paid within 30 minutes')
      return state
    },
  },
  // A refused command compensates by itself; this is told when all of it is taken back.
  onCompensated: (state, { reason }, ctx) => {
    ctx.command(Trip, ctx.key, 'fail', reason)
    return state
  },
})
