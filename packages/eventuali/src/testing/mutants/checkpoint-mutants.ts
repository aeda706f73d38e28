import type { EventStore, RecordChange, StoredRecord } from '../../ports/index.ts'
import { type CheckpointsOf, checkpointsOf, type HeldCheckpoint } from '../contracts/index.ts'
import { type StoreHooks, wrapStore } from '../wrap.ts'
import type { PortMutant } from './mutant.ts'

const kind = 'partition'
type Value = { readonly [name: string]: unknown }

/** The real ones on a store that is not to be trusted with them. */
function over(hooks: (store: EventStore) => StoreHooks): CheckpointsOf {
  return (store) => checkpointsOf(wrapStore(store, hooks(store)))
}

/** The real ones, with a worse way to save. */
function saving(
  save: (held: HeldCheckpoint, store: EventStore, name: string) => HeldCheckpoint['save'],
): CheckpointsOf {
  return (store) => {
    const checkpoints = checkpointsOf(store)
    return {
      ...checkpoints,
      claim: async (name) => {
        const held = await checkpoints.claim(name)
        if (held === undefined) return undefined
        const { epoch, position } = held
        return { epoch, position, refresh: () => held.refresh(), save: save(held, store, name) }
      },
    }
  }
}

function patched(change: RecordChange, patch: Value): RecordChange {
  return change.kind !== kind || change.value === undefined
    ? change
    : { ...change, value: { ...(change.value as object), ...patch } as never }
}

function seenAs(record: StoredRecord | undefined, patch: Value): StoredRecord | undefined {
  if (record?.kind !== kind) return record
  return { ...record, value: { ...(record.value as object), ...patch } as never }
}

/**
 * Checkpoints that break a law: the checkpoint contract must catch each of them, on any store.
 *
 * @example
 * ```ts
 * import { checkpointMutants } from 'eventuali/testing'
 *
 * for (const mutant of checkpointMutants) console.log(mutant.name, 'fails at', mutant.caughtBy)
 * ```
 */
export const checkpointMutants: readonly PortMutant<CheckpointsOf>[] = [
  {
    name: 'does not compare before it sets',
    caughtBy: 'checkpoint: an owner of before can save nothing more',
    port: over(() => ({
      records: {
        write: (next, changes, options) => {
          const any = (change: RecordChange): RecordChange =>
            change.kind === kind ? { ...change, expected: 'any' } : change
          return next.write(changes.map(any), options)
        },
      },
    })),
  },
  {
    name: 'goes backwards',
    caughtBy: 'checkpoint: never goes backwards',
    port: saving((held, store, name) => async (position, effect) => {
      await held.save(position, effect)
      const [record] = await store.records.list({ kind, prefix: `${name}/`, limit: 1 })
      if (record === undefined) return
      const change = patched({ ...record, expected: 'any' }, { position })
      await store.transaction((tx) => tx.records.write([change]))
      await held.refresh()
    }),
  },
  {
    name: 'gives every owner the same epoch',
    caughtBy: 'checkpoint: every owner has the next epoch',
    port: over(() => ({
      records: {
        lock: async (next, of, keys, options) =>
          (await next.lock(of, keys, options)).map((record) => seenAs(record, { epoch: 0 })),
      },
    })),
  },
  {
    name: 'ignores the epoch: a claim leaves the record as it is',
    caughtBy: 'checkpoint: of owners at the same time one can save',
    port: over((store) => ({
      records: {
        write: async (next, changes, options) => {
          const [change] = changes
          if (changes.length !== 1 || change?.kind !== kind) return next.write(changes, options)
          const [found] = await store.records.get(kind, [change.key])
          const before = (found?.value as { epoch?: number } | undefined)?.epoch ?? 0
          const after = (change.value as { epoch?: number }).epoch ?? 0
          if (after > before && before === 0 && found !== undefined) return [found.revision]
          return next.write(changes, options)
        },
      },
    })),
  },
  {
    name: 'saves the position before the effect',
    caughtBy: 'checkpoint: is saved with its effect or not at all',
    port: saving((held, store) => async (position, effect) => {
      await held.save(position)
      await store.transaction(async (tx) => effect?.(tx))
    }),
  },
  {
    name: 'does the effect in a transaction of its own',
    caughtBy: 'checkpoint: an owner of before can save nothing more',
    port: saving((held, store) => async (position, effect) => {
      await store.transaction(async (tx) => effect?.(tx))
      await held.save(position)
    }),
  },
  {
    name: 'takes any log for its own',
    caughtBy: 'checkpoint: one of another log is refused',
    port: over((store) => ({
      records: {
        get: async (next, of, keys, options) => {
          const found = await next.get(of, keys, options)
          return found.map((record) => seenAs(record, { incarnation: store.incarnation }))
        },
      },
    })),
  },
]
