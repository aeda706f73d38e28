import {
  type AggregateRepository,
  type AppendAllEntry,
  type AppendAllOptions,
  type AppendOptions,
  type AppendResult,
  append,
  appendAll,
  type ClassRepository,
  type CommandRuntime,
} from '../commands/index.ts'
import type {
  Aggregate,
  AggregateClass,
  AggregateDefinition,
  EventInput,
  StreamInfo,
} from '../model/index.ts'
import type { StoreTransaction } from '../ports/index.ts'
import { repositoryFor } from './aggregates.ts'
import type { ReadStreamOptions } from './read-options.ts'
import { streamPages } from './reads.ts'
import { EventSequence } from './sequence.ts'
import type { StoredEvent } from './store-events.ts'

/**
 * An open transaction, as `store.transaction` hands it to its callback. What it returns is
 * provisional until the commit.
 *
 * @example
 * ```ts
 * import { openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * await store.transaction(async (tx) => {
 *   await tx.append('stock-1', { type: 'Reserved', data: { count: 2 } })
 *   await tx.append('order-1', { type: 'OrderPlaced', data: { total: 30 } })
 * })
 * ```
 */
export class Transaction<E extends EventInput = EventInput> {
  readonly #access: StoreTransaction
  readonly #runtime: CommandRuntime

  constructor(access: StoreTransaction, runtime: CommandRuntime) {
    this.#access = access
    this.#runtime = runtime
  }

  /**
   * The store's own connection, for SQL in the same transaction: a `pg` client, or the SQLite
   * driver's database. Never COMMIT on it. Undefined in memory.
   */
  get sql(): unknown {
    return this.#access.sql
  }

  /** Like `store.append`, in this transaction. */
  append(
    stream: string,
    events: E | readonly E[],
    options?: AppendOptions,
  ): Promise<AppendResult<StoredEvent<E>>> {
    return append(this.#access, this.#runtime, stream, events, options) as Promise<
      AppendResult<StoredEvent<E>>
    >
  }

  /** Like `store.appendAll`, in this transaction. */
  appendAll(
    entries: readonly AppendAllEntry[],
    options?: AppendAllOptions,
  ): Promise<readonly AppendResult[]> {
    return appendAll(this.#access, this.#runtime, entries, options)
  }

  /** Like `store.readStream`; sees what this transaction has appended. */
  readStream(stream: string, options: ReadStreamOptions = {}): EventSequence<StoredEvent<E>> {
    const pages = streamPages(this.#access, this.#runtime, stream, options)
    return new EventSequence(pages as never)
  }

  /** The head of a stream as this transaction sees it. */
  stream(name: string): Promise<StreamInfo | undefined> {
    return this.#access.stream(name)
  }

  /**
   * Like `store.aggregate`, in this transaction. Nothing is tried again inside: a conflict
   * rejects, and with it the transaction, which may be run again as a whole.
   */
  aggregate<S, C, A extends EventInput>(
    definition: AggregateDefinition<S, C, A>,
  ): AggregateRepository<S, C, A>
  aggregate<A extends Aggregate>(aggregateClass: AggregateClass<A>): ClassRepository<A>
  aggregate(definition: unknown): unknown {
    const retry = { ...this.#runtime.retry, retryCountMax: 0 }
    const snapshots = this.#runtime.snapshots?.readOnly
    return repositoryFor(
      this.#access,
      { ...this.#runtime, retry, snapshots, timeoutMs: undefined },
      definition,
    )
  }
}
