import type { Json, RecordedEvent } from '../../model/index.ts'
import type { EventStore } from '../../ports/index.ts'
import { wrapStore } from '../wrap.ts'
import type { StoreMutant } from './mutant.ts'

const withoutSigns = (data: Json): Json => JSON.parse(JSON.stringify(data).replace(/[^ -~]/g, '?'))

/** Gives the data back in ASCII once it was recoded. */
function losingSigns(store: EventStore): EventStore {
  let recoded = false
  return wrapStore(store, {
    recode: async (next, request, options) => {
      const step = await next.recode(request, options)
      recoded = true
      return step
    },
    readStream: async function* (next, query, options) {
      const shown = (event: RecordedEvent) =>
        recoded ? { ...event, data: withoutSigns(event.data as Json) } : event
      for await (const page of next.readStream(query, options)) yield page.map(shown)
    },
  })
}

/** Stores that break the laws of recoding. */
export const recodeMutants: readonly StoreMutant[] = [
  {
    name: 'does not give back exactly what it recoded',
    caughtBy: 'recode: changes how data is stored, and nothing that a reader sees',
    wrap: losingSigns,
  },
  {
    name: 'says that a part of a recoding goes on to the end',
    caughtBy: 'recode: goes part by part, and misses none',
    wrap: (store) =>
      wrapStore(store, {
        recode: async (next, request, options) => {
          const step = await next.recode(request, options)
          return { ...step, position: request.upTo }
        },
      }),
  },
  {
    name: 'recodes beside its transaction',
    caughtBy: 'recode: is undone with its transaction',
    wrap: (store) => {
      const late: (() => Promise<unknown>)[] = []
      return wrapStore(store, {
        recode: (next, request, options) => {
          late.push(() => store.transaction((tx) => tx.recode(request)))
          return next.recode(request, options)
        },
        transaction: async (next, work, options) => {
          try {
            return await next.transaction(work, options)
          } finally {
            for (const again of late.splice(0)) await again()
          }
        },
      })
    },
  },
]
