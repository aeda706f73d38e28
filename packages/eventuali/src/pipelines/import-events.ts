import { type Clock, type Random, systemClock, systemRandom } from '../kernel/index.ts'
import { InvalidArgumentError } from '../model/index.ts'
import type { BatchSource } from './batch-source.ts'
import type { ImportBatch, SkippedLine } from './import-lines.ts'
import { ImportTally } from './import-tally.ts'
import { type PortOrStore, portOf } from './port-or-store.ts'
import { openBatches, type ThreadChoice, threadDefault } from './reading-thread.ts'
import { type ImportSource, sourceNameOf } from './source.ts'
import type { ImportTarget } from './store-batch.ts'

/** How far an import has come; everything counted is stored durably. */
export interface ImportProgress {
  /** Events stored by this run. */
  readonly events: number
  /** Events that the store had already. */
  readonly duplicates: number
  readonly skipped: number
  /** Bytes read from the source, packed ones of a packed source. */
  readonly bytesRead: number
}

/** Options of an import. */
export interface ImportOptions {
  /** Lines in one atomic append; 1,000 when left out, 10,000 at most. */
  readonly batchCountMax?: number | undefined
  /** Goes on after lines that are not events, and reports them; otherwise the first one ends it. */
  readonly skipInvalid?: boolean | undefined
  /**
   * Lines without an id get one made of this name, their stream, their place in it and their
   * text. The file's name without folder and `.gz` when left out. Keep it the same to run again.
   */
  readonly sourceName?: string | undefined
  /** Called after each batch. */
  readonly onProgress?: ((progress: ImportProgress) => void) | undefined
  /** Ends the import after the batch in flight; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** For repeatable runs: the source of time. */
  readonly clock?: Clock | undefined
  /** For repeatable runs: the source of chance. */
  readonly random?: Random | undefined
}

/** What an import did. */
export interface ImportResult {
  /** Events stored by this run. */
  readonly events: number
  /** Events that the store had already. */
  readonly duplicates: number
  /** Streams that the source has events for. */
  readonly streams: number
  /** The first 1,000 lines that were skipped. */
  readonly skipped: readonly SkippedLine[]
  readonly skippedCount: number
  readonly seconds: number
  /** Events read and stored or recognised in a second. */
  readonly eventsPerSecond: number
}

const batchCountDefault = 1000
const batchCountLimit = 10_000
/** A batch of large events is cut short: two of them are in memory at a time. */
export const batchBytesMax: number = 8 * 1024 * 1024

/** Lines or events in one append, as asked for. */
export function batchCount(value: number | undefined): number {
  const count = value ?? batchCountDefault
  if (Number.isSafeInteger(count) && count >= 1 && count <= batchCountLimit) return count
  throw new InvalidArgumentError('batchCountMax', `must be an integer from 1 to ${batchCountLimit}`)
}

/**
 * Imports events from NDJSON (plain or gzip) or a JSON array of CloudEvents, streaming: memory is
 * bounded by the streams of the source, not by its events. Each batch of lines is one atomic
 * append that keeps the order of the lines, so nothing of a batch with a bad line is stored.
 *
 * Running it again stores nothing twice, after an interruption it goes on, with any batch size.
 *
 * A large file that is given by its path is read and parsed in a second thread while this one
 * stores; the thread has ended when the import has. Where none can be started, this one does both.
 *
 * Throws ImportLineError, ImportSourceError, IdempotencyConflictError, StreamArchivedError,
 * StreamDeletedError, InvalidArgumentError, and what the store's `append` throws.
 *
 * @example
 * ```ts
 * import { importEvents, openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * const line = JSON.stringify({ stream: 'order-1', type: 'OrderPlaced', data: { total: 30 } })
 * const result = await importEvents(store, [line], { sourceName: 'orders' })
 * console.log(result.events) // 1
 * ```
 */
export async function importEvents(
  store: PortOrStore<ImportTarget>,
  source: ImportSource,
  options: ImportOptions = {},
): Promise<ImportResult> {
  return importWith(threadDefault, store, source, options)
}

/** `importEvents` with another choice of what is read by a second thread. */
export async function importWith(
  thread: ThreadChoice,
  store: PortOrStore<ImportTarget>,
  source: ImportSource,
  options: ImportOptions = {},
): Promise<ImportResult> {
  const run = new ImportRun(portOf(store), source, options, thread)
  try {
    return await run.go()
  } finally {
    await run.close()
  }
}

class ImportRun {
  readonly #options: ImportOptions
  readonly #clock: Clock
  readonly #tally: ImportTally
  readonly #source: BatchSource
  readonly #startedMs: number

  constructor(
    target: ImportTarget,
    source: ImportSource,
    options: ImportOptions,
    thread: ThreadChoice,
  ) {
    const batchCountMax = batchCount(options.batchCountMax)
    const name = options.sourceName ?? sourceNameOf(source)
    const clock = options.clock ?? systemClock
    const sources = { clock, random: options.random ?? systemRandom }
    this.#options = options
    this.#clock = clock
    this.#tally = new ImportTally(target, sources, options.skipInvalid === true)
    this.#startedMs = clock.monotonic()
    const bounds = { batchCountMax, batchBytesMax }
    const job = { source, name, bounds, now: () => clock.now(), signal: options.signal }
    this.#source = openBatches(job, thread)
  }

  async go(): Promise<ImportResult> {
    // The next batch is read while this one commits, but handed over only after it: positions
    // follow the lines, and nothing may be stored behind a batch that failed.
    let inFlight: Promise<void> = Promise.resolve()
    try {
      for await (const batch of this.#source.batches) {
        await inFlight
        this.#options.signal?.throwIfAborted()
        inFlight = this.#store(batch)
        // Its failure is met at the next `await`; until then it must not count as unhandled.
        inFlight.catch(() => {})
      }
    } finally {
      await inFlight
    }
    return this.#result()
  }

  close(): Promise<void> {
    return this.#source.close()
  }

  async #store(batch: ImportBatch): Promise<void> {
    if (batch.skipped.length > 0) this.#tally.skip(batch.skipped)
    if (batch.items.length > 0) await this.#tally.store(batch.items)
    const { events, duplicates, skippedCount: skipped } = this.#tally
    this.#options.onProgress?.({
      ...{ events, duplicates, skipped },
      bytesRead: this.#source.bytesRead(),
    })
  }

  #result(): ImportResult {
    const seconds = (this.#clock.monotonic() - this.#startedMs) / 1000
    const { events, duplicates, skipped, skippedCount } = this.#tally
    const read = events + duplicates
    return {
      ...{ events, duplicates, streams: this.#source.streamCount(), skipped, skippedCount },
      ...{ seconds, eventsPerSecond: seconds > 0 ? read / seconds : read },
    }
  }
}
