import { defineAggregate, defineEvents, openStore, type } from 'eventuali'
import { freshStore } from '../fresh-store.ts'

const events = defineEvents({ Stepped: type<{ steps: number }>() })
const Walker = defineAggregate('walker', {
  events,
  initial: () => ({ steps: 0 }),
  evolve: { Stepped: (state, { data }) => ({ steps: state.steps + data.steps }) },
  commands: { walk: (_state, steps: number) => events.Stepped({ steps }) },
})

await using store = await openStore(await freshStore('walkers'), { snapshots: { every: 100 } })
const year = Array.from({ length: 365 }, () => events.Stepped({ steps: 8000 }))
await store.append('walker-ada', year)
const walkers = store.aggregate(Walker)
await walkers.load('ada') // Folds 365 events, and keeps the state.
await store.snapshots.settled()
await walkers.execute('ada', 'walk', 500) // Begins with the kept state.
console.log((await walkers.load('ada')).state.steps, 'steps;', store.snapshots.stats.used, 'used')
