import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type * as Library from 'eventuali'

/**
 * Appends one event after the other with the library of another checkout. For each message it does
 * so many, and answers with the CPU time of one in microseconds: of all threads of the process,
 * user and system. An empty message ends it.
 */
const [, , root = '', url = ''] = process.argv
const entry = join(root, 'packages/eventuali/dist/index.js')
const { defineEvents, openStore, type } = (await import(
  pathToFileURL(entry).href
)) as typeof Library

const events = defineEvents({
  OrderPlaced: type<{ readonly sku: string; readonly count: number; readonly cents: number }>(),
})
const store = await openStore(url, { profile: 'relaxed', events: [events] })
let done = 0

async function append(count: number): Promise<number> {
  const before = process.cpuUsage()
  for (const to = done + count; done < to; done++) {
    const event = events.OrderPlaced({ sku: `sku-${done % 97}`, count: done % 7, cents: done })
    await store.append(`order-${done % 500}`, event)
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / count
}

process.on('message', async (count: number) => {
  if (count > 0) process.send?.(await append(count))
  else {
    await store.close()
    process.disconnect()
  }
})
process.send?.(0)
