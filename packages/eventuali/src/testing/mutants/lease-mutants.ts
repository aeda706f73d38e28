import type { Clock } from '../../kernel/index.ts'
import type { EventStore, RecordChange, StoredRecord } from '../../ports/index.ts'
import { type JoinLease, joinLease } from '../contracts/index.ts'
import { type StoreHooks, wrapStore } from '../wrap.ts'
import type { PortMutant } from './mutant.ts'

type Value = { readonly [name: string]: unknown }

/** The real lease on a store or a clock that is not to be trusted. */
function over(
  hooks: (store: EventStore) => StoreHooks,
  spoil: (clock: Clock) => Clock = (clock) => clock,
): JoinLease {
  return (store, options) =>
    joinLease(wrapStore(store, hooks(store)), { ...options, clock: spoil(options.clock) })
}

function withValue(record: StoredRecord, patch: Value): StoredRecord {
  return { ...record, value: { ...(record.value as object), ...patch } as never }
}

/** A member that sees the others' leases otherwise than they are. */
function seeing(see: (value: Value) => Value): JoinLease {
  return over(() => ({
    records: {
      list: async (next, query, options) => {
        const found = await next.list(query, options)
        if (query.kind !== 'worker') return found
        return found.map((record) => withValue(record, see(record.value as Value)))
      },
    },
  }))
}

/** A member whose writes are changed, or left out although it takes them for made. */
function writing(change: (change: RecordChange) => RecordChange | undefined): JoinLease {
  return over(() => ({
    records: {
      write: async (next, changes, options) => {
        const kept = changes.map(change)
        const made = kept.filter((one) => one !== undefined)
        const revisions = [...(await next.write(made, options))]
        return kept.map((one, i) =>
          one === undefined ? (Number(changes[i]?.expected) || 0) + 1 : (revisions.shift() ?? 0),
        )
      },
    },
  }))
}

const kind = 'partition'

/** Claims are written; what an owner saves afterwards is not, so nothing is compared. */
function savesNothing(): JoinLease {
  return (store, options) => {
    let claimed = 0
    return writing((change) => {
      if (change.kind !== kind || change.value === undefined) return change
      const { epoch, owner } = change.value as { epoch: number; owner: string | null }
      if (owner !== null && epoch <= claimed) return undefined
      claimed = epoch
      return change
    })(store, options)
  }
}

/**
 * Leases that break a law: the lease contract must catch each of them, on any store.
 *
 * @example
 * ```ts
 * import { leaseMutants } from 'eventuali/testing'
 *
 * for (const mutant of leaseMutants) console.log(mutant.name, 'fails at', mutant.caughtBy)
 * ```
 */
export const leaseMutants: readonly PortMutant<JoinLease>[] = [
  {
    name: 'takes over at once',
    caughtBy: 'lease: a candidate waits a whole ttl from its own first sight',
    port: seeing((value) => ({ ...value, ttlMs: 1 })),
  },
  {
    name: 'takes over after half a ttl',
    caughtBy: 'lease: a candidate waits a whole ttl from its own first sight',
    port: seeing((value) => ({ ...value, ttlMs: Number(value.ttlMs) / 2 })),
  },
  {
    name: 'never takes a beat for unchanged',
    caughtBy: 'lease: is taken over, with the next epoch, once its beat has stopped',
    port: (() => {
      let beat = 0
      return seeing((value) => ({ ...value, beat: ++beat }))
    })(),
  },
  {
    name: 'believes the wall clock',
    caughtBy: 'lease: wall clocks that jump move nothing',
    port: over(
      () => ({}),
      (clock) => ({
        now: () => clock.now(),
        monotonic: () => clock.now(),
        timer: (ms, callback) => clock.timer(ms, callback),
      }),
    ),
  },
  {
    name: 'forgets the epoch: whoever takes itself for the owner may write',
    caughtBy: 'lease: never two owners whose writes are accepted',
    port: writing((change) => (change.kind === kind ? { ...change, expected: 'any' } : change)),
  },
  {
    name: 'does not ask who the owner is when it saves',
    caughtBy: 'lease: who has lost it can write nothing more, whatever it thinks',
    port: savesNothing(),
  },
  {
    name: 'does not count epochs',
    caughtBy: 'lease: is taken over, with the next epoch, once its beat has stopped',
    port: over(() => ({
      records: {
        lock: async (next, of, keys, options) => {
          const found = await next.lock(of, keys, options)
          if (of !== kind) return found
          return found.map((record) => record && withValue(record, { epoch: 0 }))
        },
      },
    })),
  },
  {
    name: 'keeps it when it stops',
    caughtBy: 'lease: moves at once when its owner stops',
    port: writing((change) => {
      const { owner } = (change.value ?? {}) as { owner?: string | null }
      if (change.kind === kind && owner === null && change.expected !== 0) return undefined
      return change.kind === 'worker' && change.value === undefined ? undefined : change
    }),
  },
]
