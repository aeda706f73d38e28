import { join } from 'node:path'
import { defineAggregate, defineEvents, openStore, type } from 'eventuali'
import type { BenchCase, OpenCase } from './paired.ts'

const events = defineEvents({ Moved: type<{ by: number }>() })
const Account = defineAggregate('account', {
  events,
  initial: () => ({ count: 0, sum: 0 }),
  evolve: { Moved: ({ count, sum }, { data }) => ({ count: count + 1, sum: sum + data.by }) },
  commands: { move: (_state, by: number) => events.Moved({ by }) },
})

const one = { eventsPerCall: 1, callsMin: 20 }

async function open(folder: string, eventCount: number): Promise<OpenCase> {
  const place = async (name: string, cache: { readonly bytes: number } | undefined) => {
    const url = `sqlite:${join(folder, `cache-${name}.db`)}`
    // What is to be seen is the work of a command, not the sync of its append.
    const store = await openStore(url, { profile: 'relaxed', cache })
    const moves = Array.from({ length: eventCount }, () => events.Moved({ by: 1 }))
    await store.append('account-1', moves)
    return store
  }
  const stores = [
    await place('held', { bytes: 1024 * 1024 }),
    await place('plain', undefined),
  ] as const
  const run = (store: (typeof stores)[number]) => async (calls: number) => {
    for (let call = 0; call < calls; call++) await store.aggregate(Account).execute('1', 'move', 1)
  }
  return {
    contenders: [
      { name: 'cache', what: 'a command on a state in memory', ...one, run: run(stores[0]) },
      { name: 'no cache', what: 'the same after a load', ...one, run: run(stores[1]) },
    ],
    ratios: [{ of: 'cache', to: 'no cache' }],
    close: async () => {
      for (const store of stores) await store.close()
    },
  }
}

/** What a cache saves a command on a stream in use. */
export function cacheCases(folder: string, quick: boolean): readonly BenchCase[] {
  const eventCount = quick ? 100 : 1000
  return [
    {
      name: `cache: a command behind ${eventCount.toLocaleString('en')} events, SQLite, relaxed`,
      open: () => open(folder, eventCount),
    },
  ]
}
