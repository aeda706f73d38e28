import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'

/** A table as the page has it: a row for each label. */
export type Rows = readonly (readonly (string | number)[])[]

/** The figures of one carrier, or of all. */
export interface Counted {
  readonly flights: number
  readonly cancelled: number
  /** Mean minutes, to two places. */
  readonly delay: number
  readonly days: Rows
}

interface Line {
  readonly stream: string
  readonly type: string
  readonly data: {
    readonly carrier?: string
    readonly scheduledDeparture?: string
    readonly delayMinutes?: number
  }
}

/** New York in January is this far behind UTC, in which the lines are. */
const ZONE_MS = 5 * 60 * 60_000

/**
 * What the page should show, counted from the lines of the file and nothing else: no store, no
 * projection, and the carriers and days from what the lines say, not from the names of streams.
 */
export async function countedFrom(file: string): Promise<FlightFile> {
  const flights = new Map<string, Line[]>()
  const lines = createInterface(createReadStream(file).pipe(createGunzip()))
  for await (const text of lines) {
    const line = JSON.parse(text) as Line
    const held = flights.get(line.stream)
    if (held === undefined) flights.set(line.stream, [line])
    else held.push(line)
  }
  return new FlightFile([...flights.values()].map(flightOf))
}

interface OneFlight {
  readonly carrier: string
  readonly day: number
  readonly isCancelled: boolean
  readonly departure: number | undefined
  readonly arrival: number | undefined
}

function flightOf(lines: readonly Line[]): OneFlight {
  const delay = (type: string) => lines.find((line) => line.type === type)?.data.delayMinutes
  const scheduled = lines.find(({ type }) => type === 'FlightScheduled')?.data
  return {
    carrier: scheduled?.carrier ?? '',
    day: new Date(Date.parse(scheduled?.scheduledDeparture ?? '') - ZONE_MS).getUTCDate(),
    isCancelled: lines.some(({ type }) => type === 'FlightCancelled'),
    departure: delay('FlightDeparted'),
    arrival: delay('FlightArrived'),
  }
}

function mean(values: readonly (number | undefined)[]): number {
  const known = values.filter((value) => value !== undefined)
  if (known.length === 0) return 0
  return Number((known.reduce((sum, value) => sum + value, 0) / known.length).toFixed(2))
}

/** The flights of a file. */
export class FlightFile {
  readonly #flights: readonly OneFlight[]

  constructor(flights: readonly OneFlight[]) {
    this.#flights = flights
  }

  /** The table of carriers: mean minutes late at departure and at arrival. */
  get carriers(): Rows {
    const byCarrier = Map.groupBy(this.#flights, ({ carrier }) => carrier)
    return [...byCarrier]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([carrier, found]) => [
        carrier,
        mean(found.map(({ departure }) => departure)),
        mean(found.map(({ arrival }) => arrival)),
      ])
  }

  /** The figures of one carrier, of all when left out. */
  of(carrier?: string): Counted {
    const chosen = this.#flights.filter((one) => carrier === undefined || one.carrier === carrier)
    const cancelled = (found: readonly OneFlight[]) =>
      found.filter(({ isCancelled }) => isCancelled).length
    const byDay = [...Map.groupBy(chosen, ({ day }) => day)].sort(([a], [b]) => a - b)
    return {
      flights: chosen.length,
      cancelled: cancelled(chosen),
      delay: mean(chosen.map(({ departure }) => departure)),
      days: byDay.map(([day, found]) => [day, found.length, cancelled(found)]),
    }
  }
}
