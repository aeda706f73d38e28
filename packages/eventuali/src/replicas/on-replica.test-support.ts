import { setTimeout as wait } from 'node:timers/promises'
import type { EventStore, ReadOptions } from '../ports/index.ts'
import { wrapStore } from '../testing/index.ts'
import type { ReplicatedStore } from './index.ts'

/** A replica that has not come this far by then is not waited for: the primary serves the read. */
const WAIT_COUNT_MAX = 500

/**
 * A store with one replica whose every read goes to that replica, as soon as it has reached what
 * the primary holds: what a contract looks at is then what the replica shows.
 */
export function onReplica(
  store: ReplicatedStore,
  onClose: (readCount: number) => void = () => {},
): EventStore {
  const reached = async (): Promise<{ readonly fresh: ReadOptions['fresh']; newest: number }> => {
    const { newest } = await store.positions()
    const fresh = { position: newest, withinMs: Number.POSITIVE_INFINITY }
    for (let i = 0; i < WAIT_COUNT_MAX; i++) {
      if ((store.replicaStatus()[0]?.position ?? 0) >= newest) break
      // Keeps the looks coming.
      await store.positions({ fresh })
      await wait(1)
    }
    return { fresh, newest }
  }
  const wrapped = wrapStore(store, {
    readLog: async function* (next, query, options) {
      const { fresh, newest } = await reached()
      const bounded = { ...query, upTo: Math.min(query.upTo, newest) }
      yield* next.readLog(bounded, { ...options, fresh } as ReadOptions)
    },
    readStream: async function* (next, query, options) {
      const { fresh } = await reached()
      yield* next.readStream(query, { ...options, fresh } as ReadOptions)
    },
    stream: async (next, name, options) => {
      const { fresh } = await reached()
      return next.stream(name, { ...options, fresh } as ReadOptions)
    },
  })
  return {
    ...wrapped,
    // Inside a transaction there is no replica.
    transaction: store.transaction,
    join: store.join,
    streams: async function* (query, options) {
      const { fresh } = await reached()
      yield* store.streams(query, { ...options, fresh } as ReadOptions)
    },
    close: async () => {
      await wrapped.close()
      onClose(store.replicaStatus()[0]?.readCount ?? 0)
    },
  }
}
