import { RecordConflictError } from '../../model/index.ts'
import type { EventStore, RecordChange, StoredRecord, StoreTransaction } from '../../ports/index.ts'
import { type PartitionValue, partitionValue, recordKinds } from '../ledger/values.ts'

/**
 * A partition's record in the hands of its owner.
 *
 * Laws: every write expects the revision that the owner has seen last, and whoever takes the
 * partition over writes it. So of two workers that take themselves for the owner, only the one of
 * the higher epoch can write, and a transaction of the other is rolled back whole.
 */
export class Checkpoint {
  readonly partition: number
  readonly key: string
  #revision: number
  #value: PartitionValue
  #turn: Promise<unknown> = Promise.resolve()
  #inTurn = 0

  constructor(partition: number, record: StoredRecord) {
    this.partition = partition
    this.key = record.key
    this.#revision = record.revision
    this.#value = partitionValue(record)
  }

  /** The position that is saved. */
  get position(): number {
    return this.#value.position
  }

  get epoch(): number {
    return this.#value.epoch
  }

  /** The record as it was read or written last. */
  get record(): StoredRecord {
    const { partition } = recordKinds
    return {
      ...{ kind: partition, key: this.key, value: this.#value, revision: this.#revision },
      ...{ state: undefined, due: undefined },
    }
  }

  /** Whether a write of the record is under way. */
  get busy(): boolean {
    return this.#inTurn > 0
  }

  /** Runs works that write the record one after the other: each must know the revision. */
  async exclusive<T>(work: () => Promise<T>): Promise<T> {
    this.#inTurn += 1
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    try {
      return await turn
    } finally {
      this.#inTurn -= 1
    }
  }

  /** The write that changes it, to be made within `exclusive`; the position never goes back. */
  change(patch: Partial<PartitionValue>): RecordChange {
    const position = Math.max(this.#value.position, patch.position ?? 0)
    const value: PartitionValue = { ...this.#value, ...patch, position }
    return { kind: recordKinds.partition, key: this.key, expected: this.#revision, value }
  }

  /** Takes note that the change is committed. */
  committed(change: RecordChange, revision: number): void {
    this.#revision = revision
    this.#value = change.value as PartitionValue
  }

  /** Within a transaction: keeps a takeover waiting, or throws when it has happened already. */
  async assertHeld(tx: StoreTransaction): Promise<void> {
    const [record] = await tx.records.lock(recordKinds.partition, [this.key])
    if (record === undefined || record.revision !== this.#revision) {
      throw new RecordConflictError(recordKinds.partition, this.key)
    }
  }

  /**
   * Reads the record after a failure, when it is not known what was written. False when the
   * partition belongs to somebody else now.
   */
  async refresh(port: Pick<EventStore, 'records'>): Promise<boolean> {
    const [record] = await port.records.get(recordKinds.partition, [this.key])
    if (record === undefined) return false
    const { owner, epoch } = partitionValue(record)
    if (epoch !== this.#value.epoch || owner !== this.#value.owner) return false
    this.#revision = record.revision
    this.#value = partitionValue(record)
    return true
  }
}
