import { systemClock, systemRandom, uuidV7Source } from '../../kernel/index.ts'
import type { EventStore, RecordChange } from '../../ports/index.ts'
import { type OpenSchedules, openSchedules, type ScheduleService } from '../contracts/index.ts'
import { type StoreHooks, wrapStore } from '../wrap.ts'
import type { PortMutant } from './mutant.ts'

const hourMs = 3_600_000
const ids = uuidV7Source(systemClock, systemRandom)

/** The real ones on a store that is not to be trusted with them. */
function over(hooks: StoreHooks): OpenSchedules {
  return (store, clock) => openSchedules(wrapStore(store, hooks), clock)
}

/** What is written of schedules, changed for the worse. */
function writing(spoil: (change: RecordChange) => RecordChange): OpenSchedules {
  return over({
    records: {
      write: (next, changes, options) => {
        const worse = changes.map((change) => (change.kind === 'schedule' ? spoil(change) : change))
        return next.write(worse, options)
      },
    },
  })
}

/** The real ones with some calls replaced. */
function replacing(
  replace: (service: ScheduleService, store: EventStore) => Partial<ScheduleService>,
): OpenSchedules {
  return (store, clock) => {
    const service = openSchedules(store, clock)
    return { ...service, ...replace(service, store) }
  }
}

/**
 * Schedules that break a law: the schedule contract must catch each of them, on any store.
 *
 * @example
 * ```ts
 * import { scheduleMutants } from 'eventuali/testing'
 *
 * for (const mutant of scheduleMutants) console.log(mutant.name, 'fails at', mutant.caughtBy)
 * ```
 */
export const scheduleMutants: readonly PortMutant<OpenSchedules>[] = [
  {
    name: 'fires twice in the store: its events have another id each time',
    caughtBy: 'schedule: wherever the store fails, the effect is there once',
    port: over({
      append: (next, request, options) => {
        const entries = request.entries.map((entry) => ({
          ...entry,
          events: entry.events.map((event) => ({ ...event, id: ids.next(), idGiven: false })),
        }))
        return next.append({ ...request, entries }, options)
      },
    }),
  },
  {
    name: 'loses what was set when its program ends',
    caughtBy: 'schedule: what fell due while no program ran comes later, each once',
    port: replacing((service) => {
      const names: string[] = []
      return {
        at: (name, ...rest) => {
          names.push(name)
          return service.at(name, ...rest)
        },
        stop: async () => {
          for (const name of names) await service.cancel(name)
          await service.stop()
        },
      }
    }),
  },
  {
    name: 'forgets what is taken back',
    caughtBy: 'schedule: one that is taken back does not come',
    port: replacing(() => ({ cancel: async () => {} })),
  },
  {
    name: 'keeps the former one of a name',
    caughtBy: 'schedule: one of the same name takes the place of the former',
    port: replacing((service) => ({
      at: async (name, ...rest) => {
        if ((await service.due(name)) === undefined) await service.at(name, ...rest)
      },
    })),
  },
  {
    name: 'falls due too early',
    caughtBy: 'schedule: comes when its moment has come, once, and not before',
    port: writing((change) =>
      change.due === undefined ? change : { ...change, due: change.due - hourMs },
    ),
  },
  {
    name: 'never falls due',
    caughtBy: 'schedule: comes when its moment has come, once, and not before',
    port: writing(({ due: _due, ...change }) => change),
  },
  {
    name: 'moves a recurrence too far',
    caughtBy: 'schedule: a recurrence loses and doubles nothing when the clocks change',
    port: writing((change) =>
      change.expected === 'any' || change.due === undefined
        ? change
        : { ...change, due: change.due + hourMs },
    ),
  },
]
