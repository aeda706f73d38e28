import { isEventualiError } from '../../kernel/index.ts'
import { LogChangedError, SubscriptionChangedError } from '../../model/index.ts'
import type { EventStore, RecordChange, StoredRecord } from '../../ports/index.ts'
import type { ConsumerOptions } from '../consumer-options.ts'
import {
  type EarlierPositions,
  type PartitionValue,
  partitionKeys,
  partitionValue,
  readSubscription,
  recordKinds,
  type SubscriptionRecords,
  type SubscriptionValue,
} from '../ledger/values.ts'
import { Checkpoint } from './checkpoint.ts'
import type { Worker } from './worker.ts'

/** Makes the subscription's records when there are none, and checks that it is the same one. */
export async function ensureSubscription(
  port: EventStore,
  options: ConsumerOptions,
): Promise<SubscriptionRecords> {
  const { name, keyLabel, timeoutMs } = options
  for (;;) {
    const found = await readSubscription(port.records, name)
    if (found !== undefined) {
      const { partitionBy } = found.value
      if (partitionBy !== keyLabel) throw new SubscriptionChangedError(name, partitionBy, keyLabel)
      return found
    }
    // What comes from now on lies above the safe position, gaps that will be filled included.
    const position = options.after === 'end' ? (await port.positions()).safe : options.after
    const changes = newSubscription(options, position, port.incarnation)
    try {
      await port.transaction((tx) => tx.records.write(changes), { timeoutMs })
    } catch (error) {
      // Another process was faster: its records hold.
      if (!isEventualiError(error, 'RECORD_CONFLICT')) throw error
    }
  }
}

function newSubscription(
  { name, partitions, keyLabel }: ConsumerOptions,
  position: number,
  incarnation: string,
): RecordChange[] {
  const value: SubscriptionValue = {
    ...{ generation: 1, partitions, partitionBy: keyLabel },
    ...{ paused: null, next: null, earlier: [] },
  }
  const fresh = { owner: null, epoch: 0, position, incarnation, stopped: null }
  return [
    { kind: recordKinds.subscription, key: name, expected: 0, value },
    ...partitionKeys(name, 1, partitions).map((key) => newPartition(key, fresh)),
  ]
}

function newPartition(key: string, value: PartitionValue): RecordChange {
  return { kind: recordKinds.partition, key, expected: 0, value }
}

/** Whether nobody alive holds a partition. */
export function isFree(record: StoredRecord, worker: Worker): boolean {
  const { owner } = partitionValue(record)
  // An own one that this process does not know of: a claim of unknown outcome. Take it again.
  return owner === null || owner === worker.id || !worker.alive(owner)
}

/**
 * Takes partitions over, with the next epoch. Those that somebody else has taken since they were
 * read are left out. LogChangedError when a checkpoint does not belong to this log.
 */
export async function claimPartitions(
  port: EventStore,
  options: ConsumerOptions,
  worker: Worker,
  seen: SubscriptionRecords,
  wanted: readonly number[],
): Promise<readonly Checkpoint[]> {
  const before = wanted.flatMap((partition) => seen.partitions[partition] ?? [])
  await assertSameLog(port, options.name, before)
  const keys = before.map(({ key }) => key)
  return port.transaction(
    async (tx) => {
      const [subscription] = await tx.records.lock(recordKinds.subscription, [options.name])
      if (subscription?.revision !== seen.revision) return []
      const current = await tx.records.lock(recordKinds.partition, keys)
      const claims: { readonly partition: number; readonly change: RecordChange }[] = []
      current.forEach((record, i) => {
        const partition = wanted[i]
        if (record === undefined || partition === undefined) return
        if (record.revision !== before[i]?.revision) return
        claims.push({ partition, change: claimOf(record, worker.id) })
      })
      const changes = claims.map(({ change }) => change)
      const revisions = await tx.records.write(changes)
      return claims.map(({ partition, change: { kind, key, value = null } }, i) => {
        const revision = revisions[i] ?? 0
        return new Checkpoint(partition, {
          ...{ kind, key, value, revision, state: undefined, due: undefined },
        })
      })
    },
    { timeoutMs: options.timeoutMs },
  )
}

function claimOf(record: StoredRecord, owner: string): RecordChange {
  const before = partitionValue(record)
  const value: PartitionValue = { ...before, owner, epoch: before.epoch + 1 }
  return { kind: recordKinds.partition, key: record.key, expected: record.revision, value }
}

async function assertSameLog(
  port: EventStore,
  name: string,
  records: readonly StoredRecord[],
): Promise<void> {
  let highest = 0
  for (const record of records) {
    const { incarnation, position } = partitionValue(record)
    if (incarnation !== port.incarnation) throw new LogChangedError(incarnation, port.incarnation)
    highest = Math.max(highest, position)
  }
  const { newest } = await port.positions()
  if (highest > newest) {
    throw new LogChangedError(port.incarnation, port.incarnation, { name, highest, newest })
  }
}

/**
 * Changes the count of partitions once all of them have been given back; false when one is still
 * held. The new ones start from the lowest old position and leave out what the old ones have done.
 */
export async function switchGeneration(
  port: EventStore,
  options: ConsumerOptions,
  worker: Worker,
  seen: SubscriptionRecords,
): Promise<boolean> {
  const { next, generation } = seen.value
  if (next === null || !seen.partitions.every((record) => isFree(record, worker))) return false
  const { name, timeoutMs } = options
  return port.transaction(
    async (tx) => {
      const [subscription] = await tx.records.lock(recordKinds.subscription, [name])
      if (subscription?.revision !== seen.revision) return false
      const rows = await tx.records.lock(recordKinds.partition, seen.keys)
      const old = rows.filter((row) => row !== undefined)
      if (old.length < rows.length || !old.every((row) => isFree(row, worker))) return false
      const positions = old.map((row) => partitionValue(row).position)
      const lowest = Math.min(...positions)
      const fresh: PartitionValue = {
        ...{ owner: null, epoch: 0, position: lowest, stopped: null },
        incarnation: port.incarnation,
      }
      const value: SubscriptionValue = {
        ...seen.value,
        ...{ generation: generation + 1, partitions: next.partitions, next: null },
        earlier: stillNeeded(
          [...seen.value.earlier, { partitions: old.length, positions }],
          lowest,
        ),
      }
      const { revision } = subscription
      await tx.records.write([
        { kind: recordKinds.subscription, key: name, expected: revision, value },
        ...old.map(({ kind, key, revision }) => ({ kind, key, expected: revision })),
        ...partitionKeys(name, generation + 1, next.partitions).map((key) =>
          newPartition(key, fresh),
        ),
      ])
      return true
    },
    { timeoutMs },
  )
}

/** The earlier positions that a partition at `lowest` may still come upon. */
export function stillNeeded(
  earlier: readonly EarlierPositions[],
  lowest: number,
): readonly EarlierPositions[] {
  return earlier.filter(({ positions }) => positions.some((position) => position > lowest))
}

/** Forgets earlier positions that all partitions have passed. */
export async function forgetEarlier(port: EventStore, seen: SubscriptionRecords): Promise<void> {
  const lowest = Math.min(...seen.partitions.map((record) => partitionValue(record).position))
  const earlier = stillNeeded(seen.value.earlier, lowest)
  if (earlier.length === seen.value.earlier.length) return
  const value: SubscriptionValue = { ...seen.value, earlier }
  const { name: key } = seen
  await port.transaction((tx) =>
    tx.records.write([{ kind: recordKinds.subscription, key, expected: seen.revision, value }]),
  )
}
