import { InvalidArgumentError, isSystemType, type RecordedEvent } from '../model/index.ts'
import type { CallOptions, EventStore, LogQuery } from '../ports/index.ts'
import { type PortOrStore, portOf } from './port-or-store.ts'

/** What an export needs of a store. */
export type ExportSource = Pick<EventStore, 'readLog' | 'readStream' | 'positions'>

/** Options of an export; without any it is the whole log. */
export interface ExportOptions extends CallOptions {
  /** Only the events of this stream, in version order. */
  readonly stream?: string | undefined
  /** Only the events of streams of these categories. */
  readonly categories?: readonly string[] | undefined
  /** Only events of these types. */
  readonly types?: readonly string[] | undefined
  /** Only events that carry all of these tags. */
  readonly tags?: readonly string[] | undefined
  /** Only events above this position, to go on where an earlier export ended. */
  readonly after?: number | undefined
}

/** One event as a line of an export, without the line's end. */
function exportLine(event: RecordedEvent): string {
  const { stream, version, position, type, id, time, data, metadata, schemaVersion, tags } = event
  let hasMetadata = false
  for (const _ in metadata) {
    hasMetadata = true
    break
  }
  return JSON.stringify({
    stream,
    version,
    position,
    type,
    id,
    time: time.toISOString(),
    data,
    ...(hasMetadata ? { metadata } : undefined),
    ...(tags.length > 0 ? { tags } : undefined),
    ...(schemaVersion !== 1 ? { schemaVersion } : undefined),
  })
}

/**
 * Exports events as NDJSON text, a page of whole lines at a time and no faster than it is taken.
 * Importing it elsewhere gives the same events in the same order, with their ids, times, metadata
 * and tags. Archived streams are included; the store's own events (`$archived`, …) are not.
 *
 * A whole export ends at the safe position as it was when the export began.
 *
 * @example
 * ```ts
 * import { exportEvents, openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * await store.append('order-1', { type: 'OrderPlaced', data: { total: 30 } })
 * for await (const lines of exportEvents(store)) process.stdout.write(lines)
 * ```
 */
export async function* exportEvents(
  store: PortOrStore<ExportSource>,
  options: ExportOptions = {},
): AsyncGenerator<string, void, void> {
  for await (const page of pagesOf(portOf(store), options)) {
    let text = ''
    for (const event of page) {
      if (!isSystemType(event.type)) text += `${exportLine(event)}\n`
    }
    if (text !== '') yield text
  }
}

async function* pagesOf(
  store: ExportSource,
  options: ExportOptions,
): AsyncGenerator<readonly RecordedEvent[]> {
  const { stream, categories, types, tags, after, signal, timeoutMs } = options
  const call: CallOptions = { signal, timeoutMs }
  if (stream === undefined) {
    const { safe } = await store.positions(call)
    const query: LogQuery = {
      categories,
      types,
      tags,
      after,
      direction: 'forward',
      includeArchived: true,
      upTo: safe,
    }
    yield* store.readLog(query, call)
    return
  }
  if ((categories ?? types ?? tags ?? after) !== undefined) {
    throw new InvalidArgumentError('stream', 'cannot be joined with other filters')
  }
  yield* store.readStream({ stream, direction: 'forward' }, call)
}
