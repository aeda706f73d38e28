import type { Clock, IdSource } from '../../kernel/index.ts'
import { InvalidArgumentError, SubscriptionUnknownError } from '../../model/index.ts'
import type {
  CallOptions,
  EventStore,
  RecordChange,
  RecordReads,
  StoredRecord,
  StoreTransaction,
} from '../../ports/index.ts'
import type { PartitionInfo } from '../consumer-options.ts'
import { type AuditEntry, auditChange } from './audit.ts'
import type { ActorOption } from './dead-letters.ts'
import { recordsChanged } from './hints.ts'
import { lettersIn } from './letters.ts'
import {
  assertPartitionCount,
  earlierCountMax,
  letterPrefix,
  type PartitionValue,
  partitionKeys,
  partitionValue,
  readSubscription,
  recordKinds,
  type SubscriptionRecords,
  type SubscriptionValue,
} from './values.ts'

/** A durable subscription as its records tell, whoever runs it. */
export interface SubscriptionStatus {
  readonly name: string
  /** Everything at or below it is done, in all partitions. */
  readonly position: number
  readonly partitionBy: string
  /** Why all processes hold; undefined when they do not. */
  readonly paused: string | undefined
  /** The count that a change is under way to. */
  readonly nextPartitions: number | undefined
  readonly partitions: readonly Omit<PartitionInfo, 'buffered'>[]
  /**
   * Whether its place is one of another log: the store was restored or forked since. Whoever runs
   * it gets LogChangedError; `reset` gives it a place in this one.
   */
  readonly isForeign: boolean
}

const LIST_PAGE = 500
const NAMES_MAX = 10_000

/**
 * The durable subscriptions of a store, from outside: what a status page shows and what a person
 * does by hand. Everything is recorded in the audit; owners act on it at their next look.
 *
 * @example
 * ```ts
 * import { openStore, type SubscriptionControl } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * const subscriptions: SubscriptionControl = store.subscriptions
 * for (const name of await subscriptions.names()) {
 *   console.log(name, (await subscriptions.status(name))?.position)
 * }
 * ```
 */
export class SubscriptionControl {
  readonly #port: EventStore
  readonly #runtime: { readonly clock: Clock; readonly ids: IdSource }
  readonly #timeoutMs: number

  constructor(
    port: EventStore,
    runtime: { readonly clock: Clock; readonly ids: IdSource },
    timeoutMs: number,
  ) {
    this.#port = port
    this.#runtime = runtime
    this.#timeoutMs = timeoutMs
  }

  /** Names of all durable subscriptions, sorted; those of projections and processes too. */
  async names(): Promise<readonly string[]> {
    const names: string[] = []
    for (;;) {
      const query = { kind: recordKinds.subscription, after: names.at(-1), limit: LIST_PAGE }
      const found = await this.#port.records.list(query, { timeoutMs: this.#timeoutMs })
      names.push(...found.map(({ key }) => key))
      if (found.length < LIST_PAGE || names.length >= NAMES_MAX) return names
    }
  }

  /** Where a subscription stands, or undefined when there is none. */
  async status(name: string): Promise<SubscriptionStatus | undefined> {
    const seen = await readSubscription(this.#port.records, name)
    return seen === undefined ? undefined : statusOf(seen, this.#port.incarnation)
  }

  /** Holds all processes' deliveries until `resume`; they keep their partitions. */
  pause(name: string, options: ActorOption & { readonly reason?: string } = {}): Promise<void> {
    const { reason = 'paused by hand', actor } = options
    return this.#change(
      name,
      { actor, action: 'subscription.pause', details: { reason } },
      (seen) => [changed(seen, { paused: { reason, at: this.#runtime.clock.now() } })],
    )
  }

  /** Goes on after `pause`, and lets stopped partitions try their event again. */
  resume(name: string, { actor }: ActorOption = {}): Promise<void> {
    return this.#change(name, { actor, action: 'subscription.resume' }, (seen, partitions) => [
      changed(seen, { paused: null }),
      ...partitions
        .filter((record) => partitionValue(record).stopped !== null)
        .map((record) => rewritten(record, { stopped: null })),
    ])
  }

  /**
   * Changes the number of partitions: all owners finish what they have at hand and give their
   * partitions back, then the new ones start where the old ones stood, and keys keep their order.
   * Events that one of the old partitions has done are not handed over again.
   */
  repartition(name: string, partitions: number, { actor }: ActorOption = {}): Promise<void> {
    assertPartitionCount(partitions)
    const entry = { actor, action: 'subscription.repartition', details: { partitions } }
    return this.#change(name, entry, (seen) => {
      if (seen.value.earlier.length >= earlierCountMax) {
        throw new InvalidArgumentError('partitions', 'was changed often of late; wait a while')
      }
      if (seen.value.partitions === partitions && seen.value.next === null) return []
      return [changed(seen, { next: { partitions } })]
    })
  }

  /**
   * Sets all partitions to a position of the log as it is now, forward or back; the answer to
   * LogChangedError. Owners lose their partitions and take them again from there.
   */
  reset(name: string, position: number, { actor }: ActorOption = {}): Promise<void> {
    if (!Number.isSafeInteger(position) || position < 0) {
      throw new InvalidArgumentError('position', 'must be a position: 0 or a positive integer')
    }
    const { incarnation } = this.#port
    const entry = { actor, action: 'subscription.reset', details: { position } }
    return this.#change(name, entry, (seen, partitions) => [
      changed(seen, { earlier: [], next: null }),
      ...partitions.map((record) => {
        const epoch = partitionValue(record).epoch + 1
        const patch = { owner: null, epoch, position, incarnation, stopped: null }
        return rewritten(record, patch)
      }),
    ])
  }

  /** Removes a subscription with its checkpoints and dead letters; whoever runs it stops. */
  async drop(name: string, { actor }: ActorOption = {}): Promise<void> {
    await this.#change(name, { actor, action: 'subscription.drop' }, (seen, partitions) => [
      { kind: recordKinds.subscription, key: name, expected: seen.revision },
      ...partitions.map(({ kind, key, revision }) => ({ kind, key, expected: revision })),
    ])
    await this.#dropLetters(name)
  }

  async #dropLetters(name: string): Promise<void> {
    for (const state of ['parked', 'requested', 'done', 'discarded'] as const) {
      let batch: RecordChange[] = []
      const flush = async () => {
        const changes = batch
        batch = []
        await this.#port.transaction((tx) => tx.records.write(changes))
      }
      for await (const { kind, key } of lettersIn(this.#port.records, letterPrefix(name), state)) {
        batch.push({ kind, key, expected: 'any' })
        if (batch.length === LIST_PAGE) await flush()
      }
      if (batch.length > 0) await flush()
    }
  }

  async #change(
    name: string,
    entry: Omit<AuditEntry, 'subject' | 'actor'> & ActorOption,
    change: (seen: SubscriptionRecords, partitions: readonly StoredRecord[]) => RecordChange[],
  ): Promise<void> {
    const { actor = 'unknown', ...rest } = entry
    await this.#port.transaction(
      async (tx) => {
        const seen = await lockSubscription(tx, name)
        if (seen === undefined) throw new SubscriptionUnknownError(name)
        const audit = auditChange(this.#runtime, { ...rest, actor, subject: name })
        await tx.records.write([...change(seen, seen.partitions), audit])
      },
      { timeoutMs: this.#timeoutMs },
    )
    recordsChanged(this.#port)
  }
}

/** Everything at or below it is done, in all partitions. */
function lowestOf({ partitions }: SubscriptionRecords): number {
  return Math.min(...partitions.map((record) => partitionValue(record).position))
}

function statusOf(seen: SubscriptionRecords, incarnation: string): SubscriptionStatus {
  const { partitionBy, paused, next } = seen.value
  const partitions = seen.partitions.map((record, partition) => {
    const { owner, epoch, position, stopped } = partitionValue(record)
    return { partition, owner: owner ?? undefined, epoch, position, stopped: stopped?.reason }
  })
  return {
    ...{ name: seen.name, partitionBy, partitions },
    position: lowestOf(seen),
    isForeign: seen.partitions.some((one) => partitionValue(one).incarnation !== incarnation),
    paused: paused?.reason,
    nextPartitions: next?.partitions,
  }
}

function changed(seen: SubscriptionRecords, patch: Partial<SubscriptionValue>): RecordChange {
  const { name: key, revision: expected, value } = seen
  return { kind: recordKinds.subscription, key, expected, value: { ...value, ...patch } }
}

function rewritten(record: StoredRecord, patch: Partial<PartitionValue>): RecordChange {
  const value: PartitionValue = { ...partitionValue(record), ...patch }
  return { kind: record.kind, key: record.key, expected: record.revision, value }
}

/**
 * Reads a subscription within a transaction and keeps its owners from saving until the end of it.
 * Undefined when there is none.
 */
export async function lockSubscription(
  tx: StoreTransaction,
  name: string,
): Promise<SubscriptionRecords | undefined> {
  const [record] = await tx.records.lock(recordKinds.subscription, [name])
  if (record === undefined) return undefined
  const value = record.value as SubscriptionValue
  const keys = partitionKeys(name, value.generation, value.partitions)
  const found = await tx.records.lock(recordKinds.partition, keys)
  const partitions = found.filter((partition) => partition !== undefined)
  return { name, value, revision: record.revision, keys, partitions }
}

/**
 * The saved position of a subscription (the lowest of its partitions), or undefined when there is
 * none of the name.
 */
export async function savedPosition(
  records: RecordReads,
  name: string,
  options?: CallOptions,
): Promise<number | undefined> {
  const seen = await readSubscription(records, name, options)
  return seen === undefined ? undefined : lowestOf(seen)
}
