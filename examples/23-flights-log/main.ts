// A month of real flights, from lines of JSON to charts in the browser, which grow while the log is
// read. It runs until Ctrl-C. How the page is tested: in-chromium.ts. The same log in the terminal
// is examples/flights, whose events and table of carriers are used here.
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { importEvents, openStore } from 'eventuali'
import { carrierProjection } from '../flights/carriers.ts'
import { withProgress } from '../flights/progress.ts'
import { freshStore } from '../fresh-store.ts'
import { servePage, stopSignal } from '../web-page.ts'
import { dayProjection } from './days.ts'

const { values } = parseArgs({ options: { port: { type: 'string', default: '4423' } } })
const source = join(import.meta.dirname, '../data/flights-2013-01.ndjson.gz')
const projections = [carrierProjection, dayProjection]

const stop = stopSignal()
await using store = await openStore(await freshStore('flights'), { projections })
await store.projections.start()
await using page = await servePage(store, basename(import.meta.dirname), {
  port: Number(values.port),
  projections,
})
console.log(`The flights are at ${page.url} until Ctrl-C`)

try {
  const size = statSync(source).size
  const { events } = await withProgress('importing', (show) =>
    importEvents(store, source, {
      signal: stop,
      onProgress: ({ bytesRead }) => show(bytesRead / size),
    }),
  )
  const { newest } = await store.positions()
  for (const { name } of projections) {
    await store.projected(name, newest, { signal: stop, timeoutMs: 120_000 })
  }
  console.log(`${events} events are stored and counted, up to position ${newest}`)
  if (!stop.aborted) await once(stop, 'abort')
} catch (error) {
  // Ctrl-C in the middle of it; the next run finds what is there.
  if (!stop.aborted) throw error
}
