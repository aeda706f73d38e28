import type {
  EventStore,
  InlineProjection,
  RecordChange,
  StoreTransaction,
} from '../../ports/index.ts'
import { wrapStore } from '../wrap.ts'
import type { StoreMutant } from './mutant.ts'

/** Undoes everything of a savepoint that fails but the records. */
function keepsRecordsOfSavepoints(store: EventStore): EventStore {
  let written: RecordChange[] = []
  return wrapStore(store, {
    savepoint: async (next, work) => {
      written = []
      try {
        return await next.savepoint(work)
      } catch (error) {
        await next.records.write(written.map((change) => ({ ...change, expected: 'any' as const })))
        throw error
      }
    },
    records: {
      write: (next, changes, options) => {
        written.push(...changes)
        return next.write(changes, options)
      },
    },
  })
}

/** Tells of appends that the barrier of an open transaction should hold back. */
function idleBarrier(store: EventStore): EventStore {
  let isHeld = false
  return wrapStore(store, {
    barrier: async () => {
      isHeld = true
    },
    transaction: async (next, work, options) => {
      try {
        return await next.transaction(work, options)
      } finally {
        isHeld = false
      }
    },
    append: async (next, request, options) => {
      const outcome = next.append(request, options)
      if (next !== store || !isHeld) return outcome
      const entries = request.entries.map(({ stream, events }) => ({
        stream,
        version: events.length,
        positions: events.map((_, i) => i + 1),
        recordedAt: 0,
      }))
      return { ok: true, entries }
    },
  })
}

/** Knows the registered projections, and says in each append what `admit` makes of them. */
function admitting(
  admit: (
    registered: readonly InlineProjection[],
    named: readonly Pick<InlineProjection, 'name' | 'version'>[],
  ) => readonly Pick<InlineProjection, 'name' | 'version'>[],
): StoreMutant['wrap'] {
  return (store) => {
    const registered = new Map<string, InlineProjection>()
    return wrapStore(store, {
      inline: {
        register: (next, projection) => {
          registered.set(projection.name, projection)
          return next.register(projection)
        },
      },
      append: (next, request, options) => {
        const inline = admit([...registered.values()], request.inline ?? [])
        return next.append({ ...request, inline }, options)
      },
    })
  }
}

/** Once a name was admitted in a transaction, it counts for all that comes. */
function admitsForEver(): StoreMutant['wrap'] {
  const admitted: Pick<InlineProjection, 'name' | 'version'>[] = []
  return admitting((_registered, named) => {
    admitted.push(...named)
    return admitted
  })
}

/** Stores that break a law of savepoints, barriers or inline projections. */
export const unitMutants: readonly StoreMutant[] = [
  {
    name: 'keeps the records of a savepoint that failed',
    caughtBy: 'savepoint: a rejection undoes its appends, records and documents',
    wrap: keepsRecordsOfSavepoints,
  },
  {
    name: 'undoes nothing of a savepoint that failed',
    caughtBy: 'savepoint: many after each other, good and bad',
    wrap: (store) => wrapStore(store, { savepoint: (_next, work) => work() }),
  },
  {
    name: 'has a barrier that holds nobody back',
    caughtBy: 'barrier: holds new appends back until the transaction ends',
    wrap: idleBarrier,
  },
  {
    name: 'fails without a code where two barriers cross',
    caughtBy: 'barrier: of two that wait for each other one commits, the other may be told',
    wrap: (store) =>
      wrapStore(store, { barrier: () => Promise.reject(new Error('deadlock detected')) }),
  },
  {
    name: 'swallows the failure of a transaction with a barrier',
    caughtBy: 'barrier: two that wait for each other keep to their bound',
    wrap: (store) =>
      wrapStore(store, {
        barrier: () => Promise.reject(new Error('deadlock detected')),
        transaction: async <T>(next: EventStore, work: (tx: StoreTransaction) => Promise<T>) =>
          next.transaction(work).catch(() => undefined as T),
      }),
  },
  {
    name: 'does not see its own events as the newest',
    caughtBy: 'newestPosition: sees committed events and the own ones',
    wrap: (store) => {
      const first = new WeakMap<object, number>()
      return wrapStore(store, {
        newestPosition: async (next) => {
          const newest = first.get(next) ?? (await next.newestPosition())
          first.set(next, newest)
          return newest
        },
      })
    },
  },
  {
    name: 'takes every append, whatever projections are registered',
    caughtBy: 'inline: an append by one who does not run it is refused',
    wrap: admitting((registered) => registered),
  },
  {
    name: 'takes any version of an inline projection',
    caughtBy: 'inline: another version of it does not count',
    wrap: admitting((registered, named) =>
      registered.filter(({ name }) => named.some((one) => one.name === name)),
    ),
  },
  {
    name: 'remembers the inline projections that an append named',
    caughtBy: 'inline: a name counts for its own append only',
    wrap: (store) => admitsForEver()(store),
  },
  {
    name: 'refuses everything while an inline projection is registered',
    caughtBy: 'inline: an append of other types is not touched',
    wrap: (store) =>
      wrapStore(store, {
        append: async (next, request, options) => {
          const projections = await store.inlineProjections()
          if (projections.length === 0) return next.append(request, options)
          return { ok: false, reason: 'projection-missing', projections }
        },
      }),
  },
]
