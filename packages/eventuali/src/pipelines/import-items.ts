import { systemClock, systemRandom } from '../kernel/index.ts'
import {
  batchBytesMax,
  batchCount,
  type ImportOptions,
  type ImportResult,
} from './import-events.ts'
import type { ImportItem, SkippedLine } from './import-lines.ts'
import { ImportTally } from './import-tally.ts'
import type { ImportTarget } from './store-batch.ts'

/** Where the events of a log come from. */
export interface ItemSource {
  /** Events as they can be stored, or why not. */
  readonly items: AsyncIterable<ImportItem | SkippedLine>
  bytesRead(): number
}

/**
 * Stores the events of a log as they come, a batch in one atomic append: what the imports of all
 * logs for process mining have in common. Throws what `importEvents` throws.
 */
export async function importItems(
  target: ImportTarget,
  source: ItemSource,
  options: ImportOptions,
): Promise<ImportResult> {
  const { signal, onProgress, clock = systemClock, random = systemRandom } = options
  const started = clock.monotonic()
  const batchCountMax = batchCount(options.batchCountMax)
  const tally = new ImportTally(target, { clock, random }, options.skipInvalid === true)
  const streams = new Set<string>()
  let items: ImportItem[] = []
  let bytes = 0
  const store = async () => {
    if (items.length > 0) await tally.store(items)
    items = []
    bytes = 0
    const { events, duplicates, skippedCount: skipped } = tally
    onProgress?.({ events, duplicates, skipped, bytesRead: source.bytesRead() })
    signal?.throwIfAborted()
  }
  for await (const item of source.items) {
    if ('reason' in item) {
      tally.skip([item])
      continue
    }
    streams.add(item.stream)
    items.push(item)
    bytes += JSON.stringify(item.event.data).length
    if (items.length >= batchCountMax || bytes >= batchBytesMax) await store()
  }
  await store()
  const { events, duplicates, skipped, skippedCount } = tally
  const seconds = (clock.monotonic() - started) / 1000
  const read = events + duplicates
  return {
    ...{ events, duplicates, streams: streams.size, skipped, skippedCount, seconds },
    eventsPerSecond: seconds > 0 ? read / seconds : read,
  }
}
