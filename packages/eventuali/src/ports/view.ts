import type { KeptRow } from '../model/index.ts'
import type { CallOptions } from './call-options.ts'
import type { StoredRecord } from './records.ts'

/** The store as it stood at one moment. What is written meanwhile is not seen. */
export interface StoreView {
  /** No event at or below it is missing here, or will ever appear. */
  readonly safe: number
  /** The highest position that is seen here. */
  readonly newest: number
  /**
   * Pages of the log's rows in position order, never empty pages: of all streams, whatever their
   * state. A `$truncated` event says whether its stream was archived there.
   */
  rows(
    range: { readonly after: number; readonly upTo: number },
    options?: CallOptions,
  ): AsyncIterable<readonly KeptRow[]>
  /** Pages of all records, by kind and key. */
  records(options?: CallOptions): AsyncIterable<readonly StoredRecord[]>
}

/** The next part of a log that is put back. */
export interface RestoreRequest {
  /** In log order, above all that is there; positions, versions, ids and times as they were. */
  readonly rows: readonly KeptRow[]
  /** No append ever gets a position up to this one; the rows' last one when left out. */
  readonly upTo?: number | undefined
  /** The log is whole with this part: the store may be opened by everybody again. */
  readonly last: boolean
}
