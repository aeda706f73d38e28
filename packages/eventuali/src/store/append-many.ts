import { type CommandRuntime, prepareEvents } from '../commands/index.ts'
import {
  AppendManyError,
  assertStreamName,
  type EventInput,
  InvalidArgumentError,
  jsonTextOf,
  TextEvent,
} from '../model/index.ts'
import { type BatchItem, storeItems } from '../pipelines/index.ts'
import type { EventStore } from '../ports/index.ts'

/** Events of one stream, to be stored behind those before them. */
export interface AppendManyEntry {
  readonly stream: string
  readonly events: EventInput | readonly EventInput[]
}

/** How far it has come; everything counted is stored durably. */
export interface AppendManyProgress {
  /** Events stored by this call. */
  readonly events: number
  /** Events that the store had already, by the ids that they were given. */
  readonly duplicates: number
}

/** Options of `store.appendMany`. */
export interface AppendManyOptions {
  /** Events in one transaction; 1,000 when left out, 10,000 at most. One entry is never cut. */
  readonly batchCountMax?: number | undefined
  /** Called after each transaction. */
  readonly onProgress?: ((progress: AppendManyProgress) => void) | undefined
  /** Ends it after the transaction in flight; it then rejects with an AppendManyError. */
  readonly signal?: AbortSignal | undefined
}

const BATCH_COUNT = 1000
const BATCH_COUNT_LIMIT = 10_000
const BATCH_BYTES_MAX: number = 8 * 1024 * 1024

/** `store.appendMany`. */
export async function appendMany(
  port: EventStore,
  runtime: CommandRuntime,
  entries: Iterable<AppendManyEntry> | AsyncIterable<AppendManyEntry>,
  options: AppendManyOptions,
): Promise<AppendManyProgress> {
  const { batchCountMax = BATCH_COUNT, onProgress, signal } = options
  const fits = Number.isSafeInteger(batchCountMax) && batchCountMax >= 1
  if (!fits || batchCountMax > BATCH_COUNT_LIMIT) {
    throw new InvalidArgumentError(
      'batchCountMax',
      `must be an integer from 1 to ${BATCH_COUNT_LIMIT}`,
    )
  }
  let done: AppendManyProgress = { events: 0, duplicates: 0 }
  let batch: BatchItem[] = []
  let bytes = 0
  const flush = async (): Promise<void> => {
    if (batch.length === 0) return
    signal?.throwIfAborted()
    const { events, duplicates } = await storeItems(port, batch, runtime)
    done = { events: done.events + events, duplicates: done.duplicates + duplicates }
    batch = []
    bytes = 0
    onProgress?.(done)
  }
  try {
    for await (const { stream, events } of entries) {
      assertStreamName(stream)
      const prepared = await prepareEvents(runtime, stream, events)
      if (batch.length > 0 && batch.length + prepared.events.length > batchCountMax) await flush()
      for (const event of prepared.events) {
        // The text is made here, for its size, and the store takes it as it is.
        const text = jsonTextOf(event.data, 'data')
        bytes += text.length
        batch.push({ stream, event: new TextEvent(event, text) })
      }
      if (bytes >= BATCH_BYTES_MAX) await flush()
    }
    await flush()
  } catch (cause) {
    throw new AppendManyError(done.events, { cause })
  }
  return done
}
