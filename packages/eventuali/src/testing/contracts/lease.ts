import {
  type Clock,
  type IdSource,
  seededRandom,
  systemClock,
  uuidV7Source,
} from '../../kernel/index.ts'
import type { RecordedEvent } from '../../model/index.ts'
import type { EventStore, StoreTransaction } from '../../ports/index.ts'
import { startConsumer, Worker } from '../../subscriptions/index.ts'

/** What a member of the lease contract is told. */
export interface LeaseOptions {
  /** Of the lease: all members of a name are candidates for it. */
  readonly name: string
  /** The member's own clock, as each machine has one. */
  readonly clock: Clock
  /** An owner whose beat is seen unchanged for this long counts as gone. */
  readonly ttlMs: number
  /** How often a member looks. */
  readonly pollMs: number
  /** The work that the lease guards: events of this category, above this position. */
  readonly category: string
  readonly after: number
  /**
   * Done by whoever takes itself for the owner, once for each event, in a transaction that may
   * only commit while it is the owner.
   */
  work(tx: StoreTransaction, event: RecordedEvent): Promise<void>
}

/** One candidate for a lease: what the lease contract is about. */
export interface LeaseMember {
  /** The epoch under which it takes itself for the owner; undefined while it does not. */
  readonly epoch: number | undefined
  /** Whether it has looked and knows who the owner is. */
  readonly settled: boolean
  /** Gives the lease back. */
  stop(): Promise<void>
}

/** Makes a member on a store. */
export type JoinLease = (store: EventStore, options: LeaseOptions) => LeaseMember

/**
 * Ids in the order of joining, whatever time it is for a member: shares are dealt in the order of
 * ids, and two of one millisecond would sort by chance, the later member first now and then.
 */
const memberIds: IdSource = (() => {
  const random = seededRandom(Math.trunc(systemClock.monotonic() * 1000))
  const front = uuidV7Source(systemClock, random).next().slice(0, 24)
  let count = 0
  return { next: () => front + String(++count).padStart(12, '0') }
})()

/**
 * The lease that subscriptions, projections and processes hold, over the records of any store: a
 * consumer with one partition.
 *
 * @example
 * ```ts
 * import { joinLease, manualClock, openMemoryStore } from 'eventuali/testing'
 *
 * const member = joinLease(await openMemoryStore(), {
 *   name: 'orders',
 *   clock: manualClock(),
 *   ttlMs: 1000,
 *   pollMs: 100,
 *   category: 'order',
 *   after: 0,
 *   work: async (_tx, event) => console.log(event.type),
 * })
 * await member.stop()
 * ```
 */
export const joinLease: JoinLease = (store, options) => {
  const { name, clock, ttlMs, pollMs, category, after, work } = options
  const runtime = { clock, random: seededRandom(1), ids: memberIds }
  const worker = new Worker(store, runtime, { ttlMs })
  const consumer = startConsumer(
    store,
    worker,
    {
      ...{ name, after, filter: { categories: [category] }, partitions: 1, keyLabel: 'stream' },
      ...{ maxBatch: 1, transactional: true, onPoison: 'stop', concurrency: 1 },
      ...{ pollIntervalMs: pollMs, timeoutMs: 10_000 },
      retry: { retryCountMax: 2, firstDelayMs: 1, delayMaxMs: 2 },
      handle: async ({ tx, events }) => {
        for (const event of events) await work(tx as StoreTransaction, event)
      },
    },
    runtime,
  )
  return {
    get epoch() {
      const [partition] = consumer.partitions()
      return partition?.owner === worker.id ? partition.epoch : undefined
    },
    get settled() {
      const { state } = consumer
      return state === 'standby' || state === 'live'
    },
    stop: async () => {
      await consumer.stop()
      await worker.stop()
    },
  }
}
