import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type * as Library from 'eventuali'

/**
 * Appends one event after the other with the library of another checkout, and prints the CPU time
 * of one in microseconds: of all threads of the process, user and system, warm.
 */
const [, , root = '', url = '', countText = '0'] = process.argv
const entry = join(root, 'packages/eventuali/dist/index.js')
const { defineEvents, openStore, type } = (await import(
  pathToFileURL(entry).href
)) as typeof Library

const events = defineEvents({
  OrderPlaced: type<{ readonly sku: string; readonly count: number; readonly cents: number }>(),
})
const store = await openStore(url, { profile: 'relaxed', events: [events] })
const count = Number(countText)
const append = async (from: number, to: number): Promise<void> => {
  for (let n = from; n < to; n++) {
    const event = events.OrderPlaced({ sku: `sku-${n % 97}`, count: n % 7, cents: n })
    await store.append(`order-${n % 500}`, event)
  }
}
const warmUp = Math.ceil(count / 2)
await append(0, warmUp)
const before = process.cpuUsage()
await append(warmUp, warmUp + count)
const { user, system } = process.cpuUsage(before)
await store.close()
console.log((user + system) / count)
