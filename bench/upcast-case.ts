import { join } from 'node:path'
import { defineEvents, event, openStore, type, type Upcaster } from 'eventuali'
import type { BenchCase, OpenCase } from './paired.ts'
import { type BenchEvent, Workload } from './workload.ts'

type Order = BenchEvent['data']

/** A chain of as many upcasters: each adds a field, as most changes of a schema do. */
function definitions(upcasterCount: number) {
  const upcast: Record<number, Upcaster> = {}
  for (let from = 1; from <= upcasterCount; from++) {
    upcast[from] = (data: Order) => ({ ...data, [`added${from}`]: from })
  }
  return defineEvents({ OrderPlaced: event(type<Order>(), { version: upcasterCount + 1, upcast }) })
}

async function open(folder: string, eventCount: number): Promise<OpenCase> {
  const url = `sqlite:${join(folder, 'upcast.db')}`
  const work = new Workload(8)
  const writer = await openStore(url)
  for (let count = 0; count < eventCount; count += 100) {
    await writer.append(work.stream(), work.events(100))
  }
  await writer.close()
  const contender = async (name: string, what: string, upcasterCount: number) => {
    const store = await openStore(url, { events: [definitions(upcasterCount)] })
    const run = async (calls: number) => {
      for (let call = 0; call < calls; call++) {
        let count = 0
        for await (const page of store.readAll().pages()) count += page.length
        if (count !== eventCount) throw new Error(`${count} events read`)
      }
    }
    return { store, name, what, eventsPerCall: eventCount, callsMin: 1, run }
  }
  const one = await contender('1 upcaster', 'a full scan, each event read as the next version', 1)
  const four = await contender('4 upcasters', 'the same through a chain of four', 4)
  const none = await contender('as stored', 'the same scan by definitions of the first version', 0)
  return {
    contenders: [one, four, none],
    ratios: [
      { of: one.name, to: none.name, goal: 0.85 },
      { of: four.name, to: none.name },
    ],
    close: async () => {
      for (const { store } of [one, four, none]) await store.close()
    },
  }
}

/** What it costs to read events of older versions. */
export function upcastCase(folder: string, quick: boolean): BenchCase {
  return {
    name: 'upcasting on a scan, node:sqlite',
    open: () => open(folder, quick ? 2000 : 50_000),
  }
}
