import type { FlightState } from './flight.ts'

interface Sum {
  flights: number
  cancelled: number
  departed: number
  departureDelay: number
  arrived: number
  arrivalDelay: number
  worst: number | undefined
}

/** Adds up flights by carrier, one at a time. */
export class Carriers {
  readonly #sums = new Map<string, Sum>()

  add(flight: FlightState): void {
    if (flight.carrier === undefined) return
    const sum = this.#sumOf(flight.carrier)
    const { departureDelayMinutes: departure, arrivalDelayMinutes: arrival } = flight
    sum.flights++
    if (flight.status === 'cancelled') sum.cancelled++
    if (departure !== undefined) {
      sum.departed++
      sum.departureDelay += departure
    }
    if (arrival !== undefined) {
      sum.arrived++
      sum.arrivalDelay += arrival
    }
    for (const delay of [departure, arrival]) {
      if (delay !== undefined && delay > (sum.worst ?? Number.NEGATIVE_INFINITY)) sum.worst = delay
    }
  }

  /** The table: a carrier a line, by code. Delays are minutes. */
  table(): string {
    const rows = [...this.#sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(rowOf)
    const widths = titles.map((title, i) =>
      Math.max(title.length, ...rows.map((row) => (row[i] ?? '').length)),
    )
    const line = (cells: readonly string[]) =>
      cells.map((cell, i) => cell.padStart(widths[i] ?? 0)).join('  ')
    const rule = widths.map((width) => '-'.repeat(width))
    return [line(titles), line(rule), ...rows.map(line)].join('\n')
  }

  #sumOf(carrier: string): Sum {
    let sum = this.#sums.get(carrier)
    if (sum === undefined) {
      sum = {
        ...{ flights: 0, cancelled: 0, departed: 0, departureDelay: 0, arrived: 0 },
        ...{ arrivalDelay: 0, worst: undefined },
      }
      this.#sums.set(carrier, sum)
    }
    return sum
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

function rowOf([carrier, sum]: readonly [string, Sum]): string[] {
  return [
    carrier,
    String(sum.flights),
    String(sum.cancelled),
    mean(sum.departureDelay, sum.departed),
    mean(sum.arrivalDelay, sum.arrived),
    sum.worst === undefined ? '-' : String(sum.worst),
  ]
}

function mean(total: number, count: number): string {
  return count === 0 ? '-' : (total / count).toFixed(2)
}
