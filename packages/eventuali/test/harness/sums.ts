import { type AggregateDefinition, defineAggregate, defineEvents, type } from '../../src/index.ts'

const events = defineEvents({ Added: type<{ n: number }>() })

/** What is counted, how often, and the last of it: long enough to be worth keeping. */
interface Sums {
  readonly sum: number
  readonly count: number
  readonly last: readonly number[]
}

type AddCommand = { readonly add: (state: Sums, n: number) => ReturnType<typeof events.Added> }

/**
 * An aggregate whose handler counts with what it imports, so that its own source does not show how
 * much an event weighs.
 */
export function sumsOf(
  weigh: (n: number) => number,
): AggregateDefinition<Sums, AddCommand, ReturnType<typeof events.Added>> {
  return defineAggregate('sums', {
    events,
    initial: (): Sums => ({ sum: 0, count: 0, last: [] }),
    evolve: {
      Added: ({ sum, count, last }, { data }) => ({
        sum: sum + weigh(data.n),
        count: count + 1,
        last: [...last.slice(-40), data.n],
      }),
    },
    commands: { add: (_state: Sums, n: number) => events.Added({ n }) },
  })
}
