// A real event log of a Dutch municipality, applications for building permits, is brought in from
// XES. Each case becomes a stream; what usually follows what becomes a picture. Then the store goes
// out again in the two formats that process mining tools read.
import { join } from 'node:path'
import { exportOcel, exportXes, importXes, openStore } from 'eventuali'
import { freshStore } from '../fresh-store.ts'
import { DirectlyFollows } from './directly-follows.ts'
import { statedCounts } from './stated-counts.ts'

const source = join(import.meta.dirname, '../data/receipt.xes.gz')
await using store = await openStore(await freshStore('permits'))

const { events, streams } = await importXes(store, source, { category: 'permit' })
console.log(`imported ${events} events of ${streams} cases`)

// Running it again stores nothing twice; a cut import would go on where it was.
const again = await importXes(store, source, { category: 'permit' })
console.log(`imported again: ${again.events} new, ${again.duplicates} known`)

// One case, as any stream is read.
console.log('One case:')
for await (const { type, time, metadata } of store.readStream('permit-case-10011')) {
  console.log(`  ${time.toISOString().slice(0, 10)} ${metadata.actor}: ${type}`)
}

// One pass over the log gives the graph of what directly follows what.
const graph = new DirectlyFollows()
for await (const event of store.readAll({ categories: ['permit'] })) graph.add(event)

// The log's own head states how often each activity occurs: the store must give the same.
const stated = statedCounts(source)
const wrong = [...stated.activities].filter(([name, n]) => graph.activities.get(name) !== n)
console.log(`${graph.activities.size} activities; counts unlike the head's: ${wrong.length}`)
console.log(`cases as stated: ${graph.cases === stated.cases}`)
console.log(`events as stated: ${events === stated.events}`)
console.log(`each event but the first of its case is a step: ${graph.stepCount}`)
console.log(`that is events less cases: ${graph.stepCount === stated.events - stated.cases}`)

console.log(`\nThe paths taken at least 100 times, of ${graph.edgeCount}, in Mermaid:\n`)
console.log(graph.mermaid(100))

// Out again. Streaming: neither holds more than a page of events.
let traces = 0
for await (const text of exportXes(store, { categories: ['permit'] })) {
  traces += text.split('<trace>').length - 1
}
console.log(`\nXES: ${traces} traces`)
let ocel = ''
for await (const text of exportOcel(store)) ocel += text
const { objects, events: ocelEvents, eventTypes } = JSON.parse(ocel)
console.log(
  `OCEL 2.0: ${ocelEvents.length} events of ${eventTypes.length} types, ${objects.length} objects`,
)
