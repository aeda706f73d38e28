import type { DocumentFilter, DocumentQuery, Json } from '../model/index.ts'
import type { CallOptions } from './call-options.ts'

/** A property of a document that finds go by. */
export interface DocumentIndex {
  /** From the document's root: `['address', 'city']`. */
  readonly path: readonly string[]
  readonly type: 'text' | 'number' | 'boolean'
}

/** A physical table of one generation of a read model. */
export interface ModelTable {
  /** `^[a-z][a-z0-9_]{0,55}$` */
  readonly name: string
  readonly shape:
    | { readonly kind: 'documents'; readonly indexes: readonly DocumentIndex[] }
    /**
     * A table of the user's own. `create` is a list of statements, each with `{table}` where the
     * physical name stands (also as a part of an index's name).
     */
    | { readonly kind: 'sql'; readonly create: readonly string[] }
}

/** A document as a collection holds it. */
export interface StoredDocument {
  readonly key: string
  readonly value: Json
  /** Position of the event that wrote it last. */
  readonly position: number
}

/** A row of any table as JSON, for comparing two generations. */
export interface ModelRow {
  readonly key: string
  readonly value: Json
}

/** Reads of read models; a table may be given by its physical name or by a published view's. */
export interface ModelReads {
  /** One document for each key, in the order of the keys. */
  get(
    table: string,
    keys: readonly string[],
    options?: CallOptions,
  ): Promise<readonly (StoredDocument | undefined)[]>
  find(
    table: string,
    query: DocumentQuery,
    options?: CallOptions,
  ): Promise<readonly StoredDocument[]>
  count(table: string, filters: readonly DocumentFilter[], options?: CallOptions): Promise<number>
  /**
   * Rows of a table in key order, in pages of at most `limit`, after a key (exclusive). The key
   * of a document is its own; of an SQL table its primary key's values as a JSON array. The
   * `position` column of a collection is not part of the value.
   */
  rows(
    table: string,
    page: { readonly after?: string | undefined; readonly limit: number },
    options?: CallOptions,
  ): Promise<readonly ModelRow[]>
}

/** Reads and writes of read models in a transaction. */
export interface ModelAccess extends ModelReads {
  /** Makes the table with its indexes; does nothing when it is there. CapabilityError where the
   * store has no SQL and the table is the user's own. */
  create(table: ModelTable): Promise<void>
  /** Removes a table with everything in it; does nothing when it is not there. */
  drop(table: string): Promise<void>
  /** Makes readers of `view` see `table` from the commit on: one name, whatever the generation. */
  publish(view: string, table: string): Promise<void>
  unpublish(view: string): Promise<void>
  /** Writes documents, whether they are there or not. Each key once. */
  put(table: string, documents: readonly StoredDocument[], options?: CallOptions): Promise<void>
  remove(table: string, keys: readonly string[], options?: CallOptions): Promise<void>
  /**
   * Keeps every other transaction that locks the same keys waiting until this one ends, whether
   * the documents are there or not. Locks are taken in key order. A `get` after it sees what the
   * others have committed.
   */
  lock(table: string, keys: readonly string[], options?: CallOptions): Promise<void>
}
