import type { Json } from '../model/index.ts'
import type { CallOptions } from './call-options.ts'

/**
 * A small row of the read side: a checkpoint, a lease, a schedule, a dead letter. One kind of row
 * for all of them keeps the adapters small; what a kind means is written once, above the port.
 */
export interface StoredRecord {
  /** What it is: `partition`, `worker`, `letter`, … */
  readonly kind: string
  /** Unique within the kind. At most 500 characters, compared by code point. */
  readonly key: string
  /** 1 when it was made, one more with every write. */
  readonly revision: number
  readonly value: Json
  /** A word to list by: `parked`, `done`, … */
  readonly state: string | undefined
  /** A number to list by in order: when it falls due, milliseconds since the epoch. */
  readonly due: number | undefined
}

/** One write. Without a `value` the record is removed. */
export interface RecordChange {
  readonly kind: string
  readonly key: string
  /** The revision it must have now; 0: it must not be there; `any`: whatever it is. */
  readonly expected: number | 'any'
  readonly value?: Json | undefined
  readonly state?: string | undefined
  readonly due?: number | undefined
}

/** Which records to list: by key, or with `dueUpTo` by due time and key. */
export interface RecordQuery {
  readonly kind: string
  /** Keys that begin with it. */
  readonly prefix?: string | undefined
  /** Keys after this one only (exclusive); not together with `dueUpTo`. */
  readonly after?: string | undefined
  readonly state?: string | undefined
  /** Records that have a due time at or before it (inclusive), the earliest first. */
  readonly dueUpTo?: number | undefined
  readonly limit: number
}

/** Reads of records: committed ones outside a transaction, its own too inside. */
export interface RecordReads {
  /** One record for each key, in the order of the keys; undefined where there is none. */
  get(
    kind: string,
    keys: readonly string[],
    options?: CallOptions,
  ): Promise<readonly (StoredRecord | undefined)[]>
  /** Records in key order (or due order), at most `limit`. */
  list(query: RecordQuery, options?: CallOptions): Promise<readonly StoredRecord[]>
}

/** Reads and writes of records in a transaction. */
export interface RecordAccess extends RecordReads {
  /**
   * Like `get`, and keeps every other transaction from changing these records until this one ends.
   * Waits for the ones that have changed them; what it gives is what they committed. Locks are
   * taken in key order.
   */
  lock(
    kind: string,
    keys: readonly string[],
    options?: CallOptions,
  ): Promise<readonly (StoredRecord | undefined)[]>
  /**
   * Makes all changes and gives each record's new revision (0 for a removed one).
   *
   * Throws RecordConflictError when a revision is not the expected one; the transaction has to
   * be rolled back then. Of two transactions that expect the same revision at most one commits.
   */
  write(changes: readonly RecordChange[], options?: CallOptions): Promise<readonly number[]>
}
