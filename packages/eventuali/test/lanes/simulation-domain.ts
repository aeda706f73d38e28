import {
  type CollectionDefinition,
  collection,
  defineDecision,
  defineEvents,
  defineProjection,
  event,
  reject,
  type,
} from '../../src/index.ts'
import { sumsOf } from '../harness/sums.ts'

/** Seats of one show: no more may be taken, whatever goes wrong. */
export const SEAT_COUNT = 3

/** What the actors of the simulation append beside sums and orders. */
export const worldEvents = defineEvents({
  Noted: type<{ n: number }>(),
  Seated: event(type<{ show: number; seat: number; guest: string }>(), {
    tags: ({ show }) => [`show:${show}`],
  }),
  Echoed: type<{ of: string }>(),
})

/** Sums with kept states. */
export const Sums = sumsOf((n) => n)

/** Takes the next seat of a show, while there is one. */
export const takeSeat = defineDecision({
  events: worldEvents,
  query: (input: { show: number; guest: string }) => ({
    types: ['Seated'],
    tags: [`show:${input.show}`],
  }),
  initial: () => ({ taken: 0 }),
  evolve: { Seated: ({ taken }) => ({ taken: taken + 1 }) },
  decide: ({ taken }, { show, guest }) =>
    taken < SEAT_COUNT
      ? {
          stream: `seat-${show}`,
          events: worldEvents.Seated({ show, seat: taken + 1, guest }),
        }
      : reject('the show is sold out'),
})

/** What a read model knows of a stream: enough to show an event that came twice or not at all. */
export interface Tally {
  readonly count: number
  readonly sum: number
  readonly version: number
}

/** One event more. */
export function tallied(was: Tally | undefined, version: number, n: number): Tally {
  return { count: (was?.count ?? 0) + 1, sum: (was?.sum ?? 0) + n, version }
}

function tallyOf(name: 'asyncTally' | 'inlineTally', mode: 'async' | 'inline') {
  const collections: Record<string, CollectionDefinition<Tally>> = { [name]: collection<Tally>() }
  return defineProjection({
    ...{ name, version: 1, mode, events: [worldEvents], collections },
    from: { categories: ['note'] },
    handlers: {
      Noted: ({ stream, version, data }, ctx) =>
        ctx.collection(name).patch(stream, (was) => tallied(was, version, data.n)),
    },
  })
}

/** The same read model behind the log and in the appends. */
export const asyncTally = tallyOf('asyncTally', 'async')
export const inlineTally = tallyOf('inlineTally', 'inline')
