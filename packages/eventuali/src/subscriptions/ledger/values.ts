import { InvalidArgumentError, StorageError } from '../../model/index.ts'
import type { CallOptions, RecordReads, StoredRecord } from '../../ports/index.ts'

/** How far the partitions of an earlier generation had come when the count was changed. */
export type EarlierPositions = {
  readonly partitions: number
  readonly positions: readonly number[]
}

/** Value of a `subscription` record, its key is the name. */
export type SubscriptionValue = {
  /** Grows with every change of the partition count. */
  readonly generation: number
  readonly partitions: number
  /** What kind of key keeps order: `stream`, `tag:course`, … */
  readonly partitionBy: string
  /** Why all processes hold, while they do. */
  readonly paused: { readonly reason: string; readonly at: number } | null
  /** A change of the count that waits until every partition has been given back. */
  readonly next: { readonly partitions: number } | null
  /**
   * Events that an earlier generation has done already, although they lie above the position
   * that this one starts from. Emptied once all of this one's partitions are past them.
   */
  readonly earlier: readonly EarlierPositions[]
}

/** Value of a `partition` record, its key is made by `partitionKey`. */
export type PartitionValue = {
  /** Worker id of the owner. */
  readonly owner: string | null
  /** One more with every owner: what an earlier one writes is refused. */
  readonly epoch: number
  /** Everything of the partition at or below it is done. */
  readonly position: number
  /** Of the log that `position` belongs to. */
  readonly incarnation: string
  /** Nobody takes the partition while it is here. */
  readonly stopped: {
    readonly reason: string
    readonly position: number
    readonly at: number
  } | null
}

/** Value of a `worker` record, its key is the worker's id. */
export type WorkerValue = {
  /** Another number with every renewal; never compared but for equality. */
  readonly beat: number
  readonly ttlMs: number
  readonly subscriptions: readonly string[]
}

export const recordKinds = {
  subscription: 'subscription',
  partition: 'partition',
  worker: 'worker',
  letter: 'letter',
  audit: 'audit',
} as const

const NAME_LENGTH_MAX = 200
export const partitionCountMax = 4096
export const earlierCountMax = 8

/** A name in a key that is cut at slashes. */
function escaped(name: string): string {
  return name.replaceAll('%', '%25').replaceAll('/', '%2F')
}

/** Throws InvalidArgumentError unless it can name a durable subscription. */
export function assertSubscriptionName(name: unknown): asserts name is string {
  if (typeof name !== 'string' || name === '' || !name.isWellFormed()) {
    throw new InvalidArgumentError('name', 'must be a text that is not empty')
  }
  if (escaped(name).length > NAME_LENGTH_MAX || name.includes('\u0000')) {
    throw new InvalidArgumentError('name', `must have at most ${NAME_LENGTH_MAX} characters`)
  }
}

export function assertPartitionCount(partitions: number): void {
  const fits = Number.isSafeInteger(partitions) && partitions >= 1
  if (!fits || partitions > partitionCountMax) {
    throw new InvalidArgumentError(
      'partitions',
      `must be an integer from 1 to ${partitionCountMax}`,
    )
  }
}

/** Keys of all partitions of a generation: `NAME/GENERATION/0007`. */
export function partitionKeys(name: string, generation: number, count: number): string[] {
  const prefix = `${escaped(name)}/${generation}/`
  return Array.from({ length: count }, (_, i) => prefix + String(i).padStart(4, '0'))
}

/** The same for values that nobody has checked; undefined when there can be no such partitions. */
export function partitionKeysOf(
  name: string,
  generation: unknown,
  count: unknown,
): readonly string[] | undefined {
  const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 1
  if (!isCount(generation) || !isCount(count)) return undefined
  if ((count as number) > partitionCountMax) return undefined
  return partitionKeys(name, generation as number, count as number)
}

/** What the keys of all dead letters of a subscription begin with. */
export function letterPrefix(name: string): string {
  return `${escaped(name)}/`
}

/** A record of the subscription, with the partitions' in their order. */
export interface SubscriptionRecords {
  readonly name: string
  readonly value: SubscriptionValue
  readonly revision: number
  readonly keys: readonly string[]
  readonly partitions: readonly StoredRecord[]
}

/** A partition that is missing so often in a row, while nothing changes, will not come. */
const READ_COUNT_MAX = 20

/**
 * Reads a subscription with its partitions; undefined when there is none. Throws StorageError when
 * partitions are missing that its record speaks of.
 */
export async function readSubscription(
  records: RecordReads,
  name: string,
  options?: CallOptions,
): Promise<SubscriptionRecords | undefined> {
  // A change of the count between the two reads leaves no partition: read again then.
  for (let count = 1; ; count++) {
    const [record] = await records.get(recordKinds.subscription, [name], options)
    if (record === undefined) return undefined
    const value = record.value as SubscriptionValue
    const keys = partitionKeys(name, value.generation, value.partitions)
    const found = await records.get(recordKinds.partition, keys, options)
    const partitions = found.filter((partition) => partition !== undefined)
    if (partitions.length === keys.length) {
      return { name, value, revision: record.revision, keys, partitions }
    }
    if (count < READ_COUNT_MAX) continue
    const missing = keys.filter((_, i) => found[i] === undefined).join(', ')
    const cause = new Error(`partition records are missing (${missing}); run eventuali verify`)
    throw new StorageError(`reading the subscription ${JSON.stringify(name)}`, { cause })
  }
}

export function partitionValue(record: StoredRecord): PartitionValue {
  return record.value as PartitionValue
}
