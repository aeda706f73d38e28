import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'
import { collection, defineEvents, defineProjection, type } from '../../src/index.ts'

const january = join(import.meta.dirname, '../../../../examples/data/flights-2013-01.ndjson.gz')

/** What the test needs of the flights. */
export const flightEvents = defineEvents({
  FlightScheduled: type<{ carrier: string; origin: string }>(),
})

/** A carrier of the read model. */
export interface Carrier {
  flights: number
}

/** Lines of the January log from one (inclusive) to another (exclusive), counted from 0. */
export async function* januaryLines(from: number, to: number): AsyncGenerator<string> {
  let at = 0
  for await (const line of createInterface({
    input: createReadStream(january).pipe(createGunzip()),
  })) {
    if (at >= to) return
    if (at++ >= from) yield `${line}\n`
  }
}

interface PgClient {
  query(sql: string, values: readonly string[]): Promise<unknown>
}

interface SqliteConnection {
  prepare(sql: string): { run(...values: string[]): unknown }
}

/**
 * Counts every scheduled flight twice: in a collection by its carrier, in an SQL table by its
 * airport. Both sums are equal whenever a reader sees one generation, whole.
 */
export function flightsProjection(adapter: string) {
  const parameter = adapter === 'postgres' ? '$1' : '?'
  const count = `VALUES (${parameter}, 1)
    ON CONFLICT (code) DO UPDATE SET departures = counted.departures + 1`
  return defineProjection({
    name: 'flights',
    version: 1,
    events: [flightEvents],
    collections: { carriers: collection<Carrier>() },
    tables: {
      airports: 'CREATE TABLE {table} (code TEXT PRIMARY KEY, departures INTEGER NOT NULL)',
    },
    handlers: {
      FlightScheduled: async ({ data: { carrier, origin } }, ctx) => {
        await ctx.collection('carriers').patch(carrier, (was) => ({
          flights: (was?.flights ?? 0) + 1,
        }))
        const text = `INSERT INTO ${ctx.table('airports')} AS counted ${count}`
        if (adapter === 'postgres') await (ctx.sql as PgClient).query(text, [origin])
        else (ctx.sql as SqliteConnection).prepare(text).run(origin)
      },
    },
  })
}
