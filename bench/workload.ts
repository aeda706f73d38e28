import { type EventInput, type Random, seededRandom } from 'eventuali'

/** Streams that a log holds before it is measured. */
export const streamCount = 1000
/** The event stream whose load is measured. */
export const longStream = 'ledger-1'
export const longStreamEventCount = 1000

const streets = ['Harbour Road', 'Mill Lane', 'Station Street', 'Church Walk', 'Elm Avenue']
const products = ['green tea', 'lamp oil', 'writing paper', 'copper kettle', 'wool blanket']

function pick<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random.next() * values.length)] as T
}

function uuid(random: Random): string {
  const hex = Buffer.from(random.bytes(16)).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`
}

/** An event with about 269 bytes of data and about 120 of metadata, as JSON. */
export type BenchEvent = EventInput & {
  readonly data: object
  readonly metadata: { readonly [key: string]: string }
}

function orderEvent(random: Random): BenchEvent {
  const number = Math.floor(random.next() * 9000) + 1000
  return {
    type: 'OrderPlaced',
    data: {
      orderId: uuid(random),
      customer: { id: `c-${number}`, name: `Customer ${number}`, segment: 'retail' },
      lines: [
        { sku: `sku-${number}`, name: pick(random, products), quantity: 3, price: number / 100 },
      ],
      shipTo: `${number} ${pick(random, streets)}, Springfield`,
      total: (3 * number) / 100,
      currency: 'EUR',
      paid: number % 2 === 0,
    },
    metadata: { correlationId: uuid(random), causationId: uuid(random), actor: `u-${number}` },
  }
}

/** Seeded events and stream names, the same in every run, given out round and round. */
export class Workload {
  readonly #events: readonly BenchEvent[]
  readonly #streams: readonly string[]
  #next = 0

  constructor(seed: number) {
    const random = seededRandom(seed)
    this.#events = Array.from({ length: 1024 }, () => orderEvent(random))
    // Not the same length as the events, so that the two do not go in step.
    this.#streams = Array.from(
      { length: 4099 },
      () => `order-${Math.floor(random.next() * streamCount)}`,
    )
  }

  event(): BenchEvent {
    return this.#events[this.#next++ % this.#events.length] as BenchEvent
  }

  events(count: number): BenchEvent[] {
    return Array.from({ length: count }, () => this.event())
  }

  /** Some existing stream, none twice within a hundred or so. */
  stream(): string {
    return this.#streams[this.#next++ % this.#streams.length] as string
  }
}
