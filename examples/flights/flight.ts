import { defineAggregate, defineEvents, reject } from 'eventuali'
import { z } from 'zod'

/** What happens to a flight. The log is real data, so each event has a validator. */
export const flightEvents = defineEvents({
  /** Dated a day before the departure. */
  FlightScheduled: z.object({
    carrier: z.string(),
    flight: z.number().int(),
    aircraft: z.string().nullish(),
    origin: z.string(),
    destination: z.string(),
    scheduledDeparture: z.iso.datetime(),
    distanceMiles: z.number(),
  }),
  /** Minutes after the schedule; below zero for an early one. */
  FlightDeparted: z.object({ delayMinutes: z.number() }),
  FlightArrived: z.object({ delayMinutes: z.number(), airMinutes: z.number().nullish() }),
  /** Landed somewhere else. */
  FlightDiverted: z.object({}),
  FlightCancelled: z.object({}),
})

/** What is known of one flight after its events. */
export type FlightState = {
  status: 'unknown' | 'scheduled' | 'departed' | 'arrived' | 'diverted' | 'cancelled'
  carrier?: string
  departureDelayMinutes?: number
  arrivalDelayMinutes?: number
}

/** One flight, folded from a stream such as `flight-UA1545-2013-01-01-EWR`. */
export const Flight = defineAggregate('flight', {
  events: flightEvents,
  initial: (): FlightState => ({ status: 'unknown' }),
  evolve: {
    FlightScheduled: (_state, { data }) => ({ status: 'scheduled', carrier: data.carrier }),
    FlightDeparted: (state, { data }) => ({
      ...state,
      status: 'departed',
      departureDelayMinutes: data.delayMinutes,
    }),
    FlightArrived: (state, { data }) => ({
      ...state,
      status: 'arrived',
      arrivalDelayMinutes: data.delayMinutes,
    }),
    FlightDiverted: (state) => ({ ...state, status: 'diverted' }),
    FlightCancelled: (state) => ({ ...state, status: 'cancelled' }),
  },
  commands: {
    depart: (state, input: { delayMinutes: number }) =>
      state.status === 'scheduled'
        ? flightEvents.FlightDeparted(input)
        : reject(`a flight that is ${state.status} cannot depart`),
    cancel: (state) =>
      state.status === 'scheduled'
        ? flightEvents.FlightCancelled({})
        : reject(`a flight that is ${state.status} cannot be cancelled`),
  },
})
