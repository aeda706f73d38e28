// @ts-check

/**
 * What the dashboard shows. The projection keeps it in the store and the page keeps it in the
 * browser, both by the one function below.
 *
 * @typedef {object} Figures
 * @property {number} position The last event that is counted.
 * @property {number} out Bikes that are out now.
 * @property {number} rides Rides that have ended.
 * @property {number} minutes Minutes of those rides.
 * @property {Record<string, { rented: number, returned: number }>} stations
 * @property {{ minute: string, rented: number, returned: number }[]} latest The last minutes.
 */

/**
 * @typedef {object} BikeEvent
 * @property {string} type
 * @property {number} position
 * @property {Date | string} time
 * @property {{ station: string, minutes?: number }} data
 */

/** So many minutes are kept. */
const MINUTES_MAX = 20

/** @returns {Figures} */
export function noFigures() {
  return { position: 0, out: 0, rides: 0, minutes: 0, stations: {}, latest: [] }
}

/**
 * The figures after one more event. One that is counted already changes nothing: a feed gives every
 * event at least once.
 *
 * @param {Figures} was
 * @param {BikeEvent} event
 * @returns {Figures}
 */
export function figuresAfter(was, { type, position, time, data }) {
  if (position <= was.position) return was
  const isRented = type === 'BikeRented'
  const counted = {
    rented: isRented ? 1 : 0,
    returned: isRented ? 0 : 1,
  }
  const minute = new Date(time).toISOString().slice(0, 16)
  return {
    position,
    out: was.out + counted.rented - counted.returned,
    rides: was.rides + counted.returned,
    minutes: was.minutes + (data.minutes ?? 0),
    stations: { ...was.stations, [data.station]: sum(was.stations[data.station], counted) },
    latest: [
      ...was.latest.filter((one) => one.minute !== minute),
      {
        minute,
        ...sum(
          was.latest.find((one) => one.minute === minute),
          counted,
        ),
      },
    ]
      .toSorted((a, b) => (a.minute < b.minute ? -1 : 1))
      .slice(-MINUTES_MAX),
  }
}

/**
 * @param {{ rented: number, returned: number } | undefined} was
 * @param {{ rented: number, returned: number }} more
 */
function sum(was, more) {
  const { rented, returned } = was ?? { rented: 0, returned: 0 }
  return { rented: rented + more.rented, returned: returned + more.returned }
}
