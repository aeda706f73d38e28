import { systemClock, systemRandom, uuidV7Source } from '../../kernel/index.ts'
import type { EventStore, StoreTransaction } from '../../ports/index.ts'
import {
  type ConsumerOptions,
  claimPartitions,
  ensureSubscription,
  savedPosition,
  Worker,
} from '../../subscriptions/index.ts'

const TIMEOUT_MS = 10_000

/** A checkpoint in the hands of the owner that claimed it. */
export interface HeldCheckpoint {
  /** One more with every owner. */
  readonly epoch: number
  /** The position that is saved, as far as this owner knows. */
  readonly position: number
  /**
   * Does the effect and saves the position in one transaction. RecordConflictError when somebody
   * else has claimed the checkpoint since: then neither is there.
   */
  save(position: number, effect?: (tx: StoreTransaction) => Promise<unknown>): Promise<void>
  /** Reads again after a failure of unknown outcome; false when somebody else is the owner. */
  refresh(): Promise<boolean>
}

/** Where checkpoints are kept: what the checkpoint contract is about. */
export interface CheckpointStore {
  /**
   * Makes the caller the owner, of a checkpoint at position 0 when there is none of the name.
   * Undefined when somebody else was faster. LogChangedError when it belongs to another log.
   */
  claim(name: string): Promise<HeldCheckpoint | undefined>
  /** The saved position; undefined when there is none. */
  position(name: string): Promise<number | undefined>
}

/** Makes the checkpoints of a store. */
export type CheckpointsOf = (store: EventStore) => CheckpointStore

function optionsOf(name: string): ConsumerOptions {
  return {
    ...{ name, filter: {}, after: 0, partitions: 1, keyLabel: 'stream', maxBatch: 1 },
    ...{ transactional: true, handle: async () => {}, onPoison: 'stop', concurrency: 1 },
    ...{ pollIntervalMs: 1000, timeoutMs: TIMEOUT_MS },
    retry: { retryCountMax: 0, firstDelayMs: 1, delayMaxMs: 1 },
  }
}

/**
 * The checkpoints that subscriptions, projections and processes keep, over the records of any
 * store.
 *
 * @example
 * ```ts
 * import { checkpointsOf, openMemoryStore } from 'eventuali/testing'
 *
 * const checkpoints = checkpointsOf(await openMemoryStore())
 * const held = await checkpoints.claim('orders')
 * console.log(held?.epoch, await checkpoints.position('orders')) // 1 0
 * ```
 */
export const checkpointsOf: CheckpointsOf = (store) => ({
  claim: async (name) => {
    const ids = uuidV7Source(systemClock, systemRandom)
    const worker = new Worker(store, { clock: systemClock, random: systemRandom, ids })
    const seen = await ensureSubscription(store, optionsOf(name))
    const [checkpoint] = await claimPartitions(store, optionsOf(name), worker, seen, [0])
    if (checkpoint === undefined) return undefined
    return {
      epoch: checkpoint.epoch,
      get position() {
        return checkpoint.position
      },
      save: (position, effect) =>
        checkpoint.exclusive(async () => {
          const change = checkpoint.change({ position })
          const [revision = 0] = await store.transaction(
            async (tx) => {
              await effect?.(tx)
              return tx.records.write([change])
            },
            { timeoutMs: TIMEOUT_MS },
          )
          checkpoint.committed(change, revision)
        }),
      refresh: () => checkpoint.exclusive(() => checkpoint.refresh(store)),
    }
  },
  position: (name) => savedPosition(store.records, name),
})
