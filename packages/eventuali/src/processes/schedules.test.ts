import { describe, expect, it } from 'vitest'
import { describeStores } from '../../test/harness/adapter-stores.ts'
import type { EventStore, RecordChange, StoreTransaction } from '../ports/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { scheduleCases } from './schedule-cases.test-support.ts'

describeStores('schedules', ({ open }) => {
  for (const { title, run } of scheduleCases) it(title, async () => run(await open()), 60_000)
})

/** A store that changes what a transaction writes to schedules, for the worse. */
function spoilt(
  store: EventStore,
  spoil: (change: RecordChange) => RecordChange | undefined,
): EventStore {
  const writes = (tx: StoreTransaction): StoreTransaction['records'] => ({
    get: (kind, keys) => tx.records.get(kind, keys),
    list: (query) => tx.records.list(query),
    lock: (kind, keys) => tx.records.lock(kind, keys),
    write: (changes) =>
      tx.records.write(
        changes.flatMap((change) => {
          if (change.kind !== 'schedule') return [change]
          const worse = spoil(change)
          return worse === undefined ? [] : [worse]
        }),
      ),
  })
  return new Proxy(store, {
    get: (target, name) => {
      if (name !== 'transaction') {
        const value = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      }
      return (work: (tx: StoreTransaction) => Promise<unknown>, options?: object) =>
        target.transaction((tx) => {
          const records = writes(tx)
          const seen = new Proxy(tx, {
            get: (inner, part) => {
              if (part === 'records') return records
              const value = Reflect.get(inner, part)
              return typeof value === 'function' ? value.bind(inner) : value
            },
          })
          return work(seen)
        }, options)
    },
  })
}

const hourMs = 3_600_000
const mutants: Readonly<Record<string, (change: RecordChange) => RecordChange | undefined>> = {
  'forgets to remove': (change) => (change.value === undefined ? undefined : change),
  'forgets to move on': (change) =>
    change.value !== undefined && change.expected !== 0 && change.due !== undefined
      ? { ...change, due: change.due + hourMs }
      : change,
  'falls due too early': (change) =>
    change.due === undefined ? change : { ...change, due: change.due - hourMs },
  'never falls due': ({ due: _due, ...change }) => change,
}

it('a store that is wrapped and left as it is keeps them', async () => {
  for (const { run } of scheduleCases.slice(0, 4)) {
    await run(spoilt(await openMemoryStore(), (change) => change))
  }
})

describe('a store that does not keep the laws of schedules is found out when it', () => {
  for (const [name, spoil] of Object.entries(mutants)) {
    it(name, async () => {
      let broken = 0
      for (const { run } of scheduleCases.slice(0, 4)) {
        const store = spoilt(await openMemoryStore(), spoil)
        // Endless firing is cut off as well: what it shows is enough.
        const late = new Promise<never>((_resolve, reject) => {
          setTimeout(() => reject(new Error('never ends')), 3000).unref()
        })
        await Promise.race([run(store), late]).catch(() => {
          broken += 1
        })
      }
      expect(broken).toBeGreaterThan(0)
    }, 60_000)
  }
})
