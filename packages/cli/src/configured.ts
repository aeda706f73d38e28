import { type AggregateDefinition, type Config, categoryOf, type EventInput } from 'eventuali'
import { Refused } from './exit-codes.ts'
import type { Session } from './session.ts'
import { harmless } from './text-width.ts'

type Target = Config['aggregates'][number]
/** What a definition or a class is to `store.aggregate`. */
export type AnyAggregate = AggregateDefinition<unknown, unknown, EventInput>

const nameOf = (target: Target): string =>
  'aggregateName' in target ? target.aggregateName : target.name

/** The configuration's aggregate that a stream is of, and its id there. */
export async function aggregateOf(
  session: Session,
  stream: string,
): Promise<{ readonly aggregate: AnyAggregate; readonly id: string }> {
  const name = categoryOf(stream)
  const id = stream.slice(name.length + 1)
  if (id === '') {
    throw new Refused(
      `${harmless(stream)} is no stream of an aggregate: those are called NAME-ID, order-17`,
    )
  }
  return { aggregate: await aggregateNamed(session, name), id }
}

/** An aggregate of the configuration. Throws Refused with those that there are. */
export async function aggregateNamed(session: Session, name: string): Promise<AnyAggregate> {
  const { aggregates, file } = await session.config()
  const found = aggregates.find((target) => nameOf(target) === name)
  // A class goes the same way: the store looks at what it gets.
  if (found !== undefined) return found as unknown as AnyAggregate
  throw missing('aggregate', name, aggregates.map(nameOf), file)
}

/** Says that a definition is not in the configuration, and what to do. */
export function missing(
  what: string,
  name: string,
  known: readonly string[],
  file: string | undefined,
): Refused {
  const there = known.length === 0 ? 'there is none' : `there is ${known.map(harmless).join(', ')}`
  const where =
    file === undefined
      ? 'no eventuali.config.ts was found; give --config FILE'
      : `add it to ${what === 'process' ? 'processes' : `${what}s`} in ${file}`
  return new Refused(`no ${what} ${harmless(name)} is configured (${there}); ${where}`)
}

/** All aggregates of the configuration. Throws Refused when there is none. */
export async function allAggregates(session: Session): Promise<readonly AnyAggregate[]> {
  const { aggregates } = await session.config()
  if (aggregates.length > 0) return aggregates as unknown as readonly AnyAggregate[]
  throw new Refused('no aggregate is configured; name them in aggregates of eventuali.config.ts')
}

/** The name of an aggregate of the configuration. */
export const aggregateName = (aggregate: AnyAggregate): string => nameOf(aggregate as never)
