import { afterEach } from 'vitest'
import { type Clock, seededRandom } from '../kernel/index.ts'
import { defineAggregate, defineEvents, type } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { openStore, type Store } from '../store/index.ts'
import type { SnapshotOptions } from './index.ts'

export const events = defineEvents({
  Added: type<{ key: string; n: number }>(),
  Cleared: type<null>(),
})
export type State = Readonly<Record<string, number>>
export const parts = { events, initial: (): State => ({}), commands: {} }
export const evolve = {
  Added: (
    state: State,
    { data }: { readonly data: { readonly key: string; readonly n: number } },
  ) => ({
    ...state,
    [data.key]: (state[data.key] ?? 0) + data.n,
  }),
  Cleared: (): State => ({}),
}
export const Sums = defineAggregate('sums', {
  ...parts,
  evolve,
  commands: { add: (_state: State, n: number) => events.Added({ key: 'a', n }) },
})
export const added = (n: number, key = 'a') => events.Added({ key, n })

export const stores: Store[] = []
afterEach(async () => {
  for (const store of stores.splice(0)) await store.snapshots.settled()
})

/** A program of its own over the same log. */
export async function program(
  port: EventStore,
  options: SnapshotOptions = {},
  runtime: { readonly clock?: Clock } = {},
): Promise<Store> {
  const random = seededRandom(1)
  const store = await openStore(port, { snapshots: { every: 1, ...options }, random, ...runtime })
  stores.push(store)
  return store
}

/** Loads until the program knows that it may use what is kept, and has kept the newest state. */
export async function warm(store: Store, definition: typeof Sums = Sums, id = '1'): Promise<void> {
  for (let n = 0; n < 2; n++) {
    await store.aggregate(definition).load(id)
    await store.snapshots.settled()
  }
}

/** A log that several programs open. */
export async function memory(): Promise<EventStore> {
  return (await openStore('memory:')).port
}
