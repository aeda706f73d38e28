// Imports a month of real flights into a SQLite file, keeps a table of carriers as a projection,
// and folds each flight through its aggregate to see that both tell the same.
// Run it with `npm start`; a second run finds the events already there.
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { importEvents, openStore, type Store } from 'eventuali'
import { carrierProjection, FoldedCarriers, tableOf } from './carriers.ts'
import { Flight } from './flight.ts'
import { withProgress } from './progress.ts'

// Loads that are under way at a time: enough to keep a database busy, few enough for its queue.
const CONCURRENCY = 64

const source = join(import.meta.dirname, '../data/flights-2013-01.ndjson.gz')
const database = process.argv[2] ?? 'flights.db'

/** Folds every flight of the log through the aggregate. */
async function foldFlights(
  store: Store,
  flightCount: number,
  show: (share: number) => void,
): Promise<{ carriers: FoldedCarriers; events: number; flights: number }> {
  const carriers = new FoldedCarriers()
  const flights = store.aggregate(Flight)
  let events = 0
  let folded = 0
  for await (const page of store.streams({ category: Flight.name }).pages()) {
    const ids = page.map(({ stream }) => stream.slice(Flight.name.length + 1)).values()
    const fold = async () => {
      for (const id of ids) {
        const { state, version } = await flights.load(id)
        carriers.add(state)
        events += version
        folded++
        show(folded / flightCount)
      }
    }
    // They share one iterator of ids, so each flight is folded by whoever comes first.
    await Promise.all(Array.from({ length: CONCURRENCY }, fold))
  }
  return { carriers, events, flights: folded }
}

const number = (value: number) => Math.round(value).toLocaleString('en-US')
const rate = (events: number, seconds: number) =>
  `${seconds.toFixed(2)} seconds, ${number(events / Math.max(seconds, 0.001))} events/s`

await using store = await openStore(`sqlite:${database}`, { projections: [carrierProjection] })
await store.projections.start()
console.log(`Flights that left New York City in January 2013, in ${database}\n`)

const size = statSync(source).size
const imported = await withProgress('importing', (show) =>
  importEvents(store, source, { onProgress: ({ bytesRead }) => show(bytesRead / size) }),
)

// The read model follows by itself; here we want to read what was just written.
const { newest } = await store.positions()
const waited = performance.now()
await store.projected(carrierProjection.name, newest, { timeoutMs: 120_000 })
const projectedSeconds = (performance.now() - waited) / 1000
const table = tableOf(await store.collection(carrierProjection, 'carriers').find())

const started = performance.now()
const folded = await withProgress('folding  ', (show) => foldFlights(store, imported.streams, show))
const foldSeconds = (performance.now() - started) / 1000

console.log(table)
console.log('\nDelays are minutes; the worst is of a departure or an arrival.\n')
if (imported.events === 0) {
  console.log(
    `import: the events are already there, ${number(imported.duplicates)} recognised in ${rate(imported.duplicates, imported.seconds)}`,
  )
} else {
  console.log(
    `import: ${number(imported.events)} events stored in ${rate(imported.events, imported.seconds)}`,
  )
  if (imported.duplicates > 0) {
    console.log(`        ${number(imported.duplicates)} more were already there`)
  }
}
console.log(
  `fold:   ${number(folded.events)} events of ${number(folded.flights)} flights in ${rate(folded.events, foldSeconds)}`,
)
console.log(
  `table:  kept by a projection, current ${projectedSeconds.toFixed(2)} seconds after the import; ${
    tableOf(folded.carriers.carriers) === table ? 'the fold gives the same' : 'THE FOLD DIFFERS'
  }`,
)
console.log(`
What to try next:
  npx eventuali query --store sqlite:${database} --stream flight-UA1545-2013-01-01-EWR
  npx eventuali query --store sqlite:${database} --type FlightCancelled --reverse --limit 5
  npx eventuali streams --store sqlite:${database} --prefix flight-HA
  npx eventuali export --store sqlite:${database} --stream flight-UA1545-2013-01-01-EWR
  npx eventuali verify --store sqlite:${database}
  npm start
The last one stores nothing twice. The aggregate is examples/flights/flight.ts, the projection
examples/flights/carriers.ts; how to write your own is in docs/guide/quick-start.md.`)
