// A live dashboard in the browser: a read model for where it stands, the feed for what comes, a
// page without a build step. It runs until Ctrl-C. How the page is tested: in-chromium.ts.
import { once } from 'node:events'
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { openStore } from 'eventuali'
import { freshStore } from '../fresh-store.ts'
import { servePage, stopSignal } from '../web-page.ts'
import { bikeEvents, city } from './city.ts'
import { makeTraffic } from './traffic.ts'

const { values } = parseArgs({
  options: {
    /** Where the page is. */
    port: { type: 'string', default: '4413' },
    /** A store to go on with; an empty one when left out. */
    store: { type: 'string' },
    /** Nobody rents bikes here: the events come from elsewhere. */
    quiet: { type: 'boolean', default: false },
  },
})

const stop = stopSignal()
await using store = await openStore(values.store ?? (await freshStore('bikes')), {
  events: [bikeEvents],
  projections: [city],
})
await store.projections.start()
await using page = await servePage(store, basename(import.meta.dirname), {
  port: Number(values.port),
  projections: [city],
})
console.log(`The dashboard is at ${page.url} until Ctrl-C`)

if (values.quiet) await once(stop, 'abort')
else await makeTraffic(store, stop)
