import type { RecordedEvent } from '../../model/index.ts'
import type { PartitionFold } from './options.ts'

/** What the tests make of a log: of each stream the number of events and their order. */
export type Sums = Record<string, { count: number; trail: number }>

/** Not the same for another order. */
export const mix = (trail: number, n: number): number => (trail * 31 + n + 1) % 1_000_003

export const fold: PartitionFold<Sums> = {
  initial: () => ({}),
  evolve: (state, { stream, data }: RecordedEvent) => {
    const { count, trail } = state[stream] ?? { count: 0, trail: 0 }
    const { n, throws } = data as { n: number; throws?: string }
    if (throws !== undefined) throw new RangeError(throws)
    state[stream] = { count: count + 1, trail: mix(trail, n) }
    return state
  },
  merge: (one, other) => ({ ...one, ...other }),
}
