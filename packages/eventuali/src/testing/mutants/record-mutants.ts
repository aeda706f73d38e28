import { compareText } from '../../kernel/index.ts'
import type { EventStore, RecordChange, StoredRecord } from '../../ports/index.ts'
import { wrapStore } from '../wrap.ts'
import type { StoreMutant } from './mutant.ts'

const withoutExpectation = (change: RecordChange): RecordChange => ({ ...change, expected: 'any' })

/** A lock gives what was there when the transaction was asked for, not when its turn came. */
function staleLocks(store: EventStore): EventStore {
  const known = new Map<string, { readonly kind: string; readonly key: string }>()
  const id = (kind: string, key: string) => JSON.stringify([kind, key])
  let seen = new Map<string, StoredRecord | undefined>()
  return wrapStore(store, {
    transaction: async (next, work, options) => {
      const before = new Map<string, StoredRecord | undefined>()
      for (const [name, { kind, key }] of known) {
        before.set(name, (await next.records.get(kind, [key]))[0])
      }
      return next.transaction((tx) => {
        // Transactions of the store below come one after the other.
        seen = before
        return work(tx)
      }, options)
    },
    records: {
      lock: async (_next, kind, keys) => keys.map((key) => seen.get(id(kind, key))),
      write: (next, changes, options) => {
        for (const { kind, key } of changes) known.set(id(kind, key), { kind, key })
        return next.write(changes.map(withoutExpectation), options)
      },
    },
  })
}

/** What was written to records in a transaction that fails is written once more after it. */
function recordsOutlive(store: EventStore): EventStore {
  let written: RecordChange[] = []
  return wrapStore(store, {
    transaction: async (next, work, options) => {
      try {
        return await next.transaction((tx) => {
          written = []
          return work(tx)
        }, options)
      } catch (error) {
        const changes = written.map(withoutExpectation)
        await next.transaction((tx) => tx.records.write(changes))
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

/** Stores that break a law of records. */
export const recordMutants: readonly StoreMutant[] = [
  {
    name: 'ignores the expected revision of a record',
    caughtBy: 'records: another revision than the expected one is a conflict',
    wrap: (store) =>
      wrapStore(store, {
        records: {
          write: (next, changes, options) => next.write(changes.map(withoutExpectation), options),
        },
      }),
  },
  {
    name: 'lets two make the same record',
    caughtBy: 'records: of transactions that make the same record one commits',
    wrap: (store) =>
      wrapStore(store, {
        records: {
          write: (next, changes, options) => {
            const any = (change: RecordChange) =>
              change.expected === 0 ? withoutExpectation(change) : change
            return next.write(changes.map(any), options)
          },
        },
      }),
  },
  {
    name: 'does not count the revisions of a record',
    caughtBy: 'records: each write is the next revision and replaces everything',
    wrap: (store) =>
      wrapStore(store, {
        records: {
          get: async (next, kind, keys, options) =>
            (await next.get(kind, keys, options)).map(
              (record) => record && { ...record, revision: 1 },
            ),
        },
      }),
  },
  {
    name: 'keeps the state of a record that is written without one',
    caughtBy: 'records: each write is the next revision and replaces everything',
    wrap: (store) =>
      wrapStore(store, {
        records: {
          write: async (next, changes, options) => {
            const kept: RecordChange[] = []
            for (const change of changes) {
              const [before] = await next.get(change.kind, [change.key])
              kept.push({ ...change, state: change.state ?? before?.state })
            }
            return next.write(kept, options)
          },
        },
      }),
  },
  {
    name: 'gives records in the order of keys, whatever was asked for',
    caughtBy: 'records: get gives one for each key, in the order asked for',
    wrap: (store) =>
      wrapStore(store, {
        records: {
          get: (next, kind, keys, options) => next.get(kind, keys.toSorted(compareText), options),
        },
      }),
  },
  {
    name: 'lists what is due by key',
    caughtBy: 'records: what is due comes earliest first, then by key',
    wrap: (store) =>
      wrapStore(store, {
        records: {
          list: async (next, query, options) => {
            const found = await next.list(query, options)
            if (query.dueUpTo === undefined) return found
            return found.toSorted((a, b) => compareText(a.key, b.key))
          },
        },
      }),
  },
  {
    name: 'takes the time up to which records are due for exclusive',
    caughtBy: 'records: what is due comes earliest first, then by key',
    wrap: (store) =>
      wrapStore(store, {
        records: {
          list: (next, query, options) => {
            const dueUpTo = query.dueUpTo === undefined ? undefined : query.dueUpTo - 1
            return next.list({ ...query, dueUpTo }, options)
          },
        },
      }),
  },
  {
    name: 'takes the prefix of keys without regard to case',
    caughtBy: 'records: a prefix is taken literally',
    wrap: (store) =>
      wrapStore(store, {
        records: {
          list: async (next, { prefix = '', ...query }, options) => {
            const found = await next.list(query, options)
            const lower = prefix.toLowerCase()
            return found.filter(({ key }) => key.toLowerCase().startsWith(lower))
          },
        },
      }),
  },
  {
    name: 'lists records in the order of UTF-16',
    caughtBy: 'records: list goes by key, in the order of code points',
    wrap: (store) =>
      wrapStore(store, {
        records: {
          list: async (next, query, options) =>
            (await next.list(query, options)).toSorted((a, b) => (a.key < b.key ? -1 : 1)),
        },
      }),
  },
  {
    name: 'does not wait for the lock of a record',
    caughtBy: 'records: a lock gives what the one before has committed',
    wrap: staleLocks,
  },
  {
    name: 'keeps records of a transaction that was rolled back',
    caughtBy: 'records: what is rolled back leaves nothing',
    wrap: recordsOutlive,
  },
]
