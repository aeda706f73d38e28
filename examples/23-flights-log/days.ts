import { collection, defineProjection } from 'eventuali'
import { flightEvents } from '../flights/flight.ts'

/** What is known of a carrier's day: a document of the read model. Delays are minutes. */
export type CarrierDay = {
  carrier: string
  day: string
  flights: number
  cancelled: number
  departed: number
  departureDelay: number
}

const counts = ['flights', 'cancelled', 'departed', 'departureDelay'] as const

/** The carrier and the day that a flight's stream is named by: `flight-UA1545-2013-01-01-EWR`. */
export function namesOf(stream: string): { carrier: string; day: string } {
  const [, carrier, day] = /^flight-(\w\w)\d+-(\d{4}-\d\d-\d\d)-/.exec(stream) ?? []
  if (carrier === undefined || day === undefined) throw new Error(`${stream} is no flight's stream`)
  return { carrier, day }
}

/** The document of a flight's carrier and day with more in it. */
function more(stream: string, add: Partial<Pick<CarrierDay, (typeof counts)[number]>>) {
  const { carrier, day } = namesOf(stream)
  const none = { carrier, day, flights: 0, cancelled: 0, departed: 0, departureDelay: 0 }
  const change = (was: CarrierDay = none): CarrierDay => {
    const sums = counts.map((count) => [count, was[count] + (add[count] ?? 0)])
    return { ...was, ...Object.fromEntries(sums) }
  }
  return [`${day} ${carrier}`, change] as const
}

/** The days of each carrier, beside the table of carriers that examples/flights keeps. */
export const dayProjection = defineProjection({
  name: 'days',
  version: 1,
  events: [flightEvents],
  collections: { days: collection<CarrierDay>({ indexes: { carrier: 'text' } }) },
  handlers: {
    FlightScheduled: ({ stream }, ctx) =>
      ctx.collection('days').patch(...more(stream, { flights: 1 })),
    FlightCancelled: ({ stream }, ctx) =>
      ctx.collection('days').patch(...more(stream, { cancelled: 1 })),
    FlightDeparted: ({ stream, data: { delayMinutes: departureDelay } }, ctx) =>
      ctx.collection('days').patch(...more(stream, { departed: 1, departureDelay })),
  },
})
