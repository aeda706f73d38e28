import { collection, defineProjection } from 'eventuali'
import { type FlightState, flightEvents } from './flight.ts'

/** What is known of a carrier: a document of the read model. Delays are minutes. */
export type Carrier = {
  code: string
  flights: number
  cancelled: number
  departed: number
  departureDelay: number
  arrived: number
  arrivalDelay: number
  worst: number | null
}

const none = (code: string): Carrier => ({
  ...{ code, flights: 0, cancelled: 0, departed: 0, departureDelay: 0, arrived: 0 },
  ...{ arrivalDelay: 0, worst: null },
})

const worse = (worst: number | null, delay: number): number => Math.max(worst ?? delay, delay)

/**
 * The carriers as a read model that is kept while events come in. Only a flight's first event says
 * whose it is; the others find out through a second collection, by the flight's stream.
 */
export const carrierProjection = defineProjection({
  name: 'carriers',
  version: 1,
  events: [flightEvents],
  collections: {
    carriers: collection<Carrier>(),
    flightCarriers: collection<{ carrier: string }>(),
  },
  handlers: {
    FlightScheduled: async ({ stream, data: { carrier } }, ctx) => {
      await ctx.collection('flightCarriers').put(stream, { carrier })
      await ctx.collection('carriers').patch(carrier, (was = none(carrier)) => ({
        ...was,
        flights: was.flights + 1,
      }))
    },
    FlightDeparted: async ({ stream, data: { delayMinutes } }, ctx) => {
      const { carrier } = (await ctx.collection('flightCarriers').get(stream)) ?? unknown
      await ctx.collection('carriers').patch(carrier, (was = none(carrier)) => ({
        ...was,
        departed: was.departed + 1,
        departureDelay: was.departureDelay + delayMinutes,
        worst: worse(was.worst, delayMinutes),
      }))
    },
    FlightArrived: async ({ stream, data: { delayMinutes } }, ctx) => {
      const { carrier } = (await ctx.collection('flightCarriers').get(stream)) ?? unknown
      await ctx.collection('carriers').patch(carrier, (was = none(carrier)) => ({
        ...was,
        arrived: was.arrived + 1,
        arrivalDelay: was.arrivalDelay + delayMinutes,
        worst: worse(was.worst, delayMinutes),
      }))
    },
    FlightCancelled: async ({ stream }, ctx) => {
      const { carrier } = (await ctx.collection('flightCarriers').get(stream)) ?? unknown
      await ctx.collection('carriers').patch(carrier, (was = none(carrier)) => ({
        ...was,
        cancelled: was.cancelled + 1,
      }))
    },
  },
})

const unknown = { carrier: '??' }

/** The same sums by another way: from the folded states of flights. */
export class FoldedCarriers {
  readonly #sums = new Map<string, Carrier>()

  add(flight: FlightState): void {
    const { carrier, departureDelayMinutes: departure, arrivalDelayMinutes: arrival } = flight
    if (carrier === undefined) return
    const sum = this.#sums.get(carrier) ?? none(carrier)
    this.#sums.set(carrier, sum)
    sum.flights++
    if (flight.status === 'cancelled') sum.cancelled++
    if (departure !== undefined) {
      sum.departed++
      sum.departureDelay += departure
      sum.worst = worse(sum.worst, departure)
    }
    if (arrival !== undefined) {
      sum.arrived++
      sum.arrivalDelay += arrival
      sum.worst = worse(sum.worst, arrival)
    }
  }

  get carriers(): Carrier[] {
    return [...this.#sums.values()]
  }
}

const titles = [
  'carrier',
  'flights',
  'cancelled',
  'mean departure delay',
  'mean arrival delay',
  'worst delay',
] as const

/** The table: a carrier a line, by code. */
export function tableOf(carriers: readonly Carrier[]): string {
  const rows = carriers.toSorted((a, b) => (a.code < b.code ? -1 : 1)).map(cellsOf)
  const widths = titles.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => (row[i] ?? '').length)),
  )
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => cell.padStart(widths[i] ?? 0)).join('  ')
  const rule = widths.map((width) => '-'.repeat(width))
  return [line(titles), line(rule), ...rows.map(line)].join('\n')
}

function cellsOf(carrier: Carrier): string[] {
  return [
    carrier.code,
    String(carrier.flights),
    String(carrier.cancelled),
    mean(carrier.departureDelay, carrier.departed),
    mean(carrier.arrivalDelay, carrier.arrived),
    String(carrier.worst ?? '-'),
  ]
}

function mean(total: number, count: number): string {
  return count === 0 ? '-' : (total / count).toFixed(2)
}
