import {
  type KeptRow,
  RestoredPart,
  type StreamState,
  systemEventTypes,
  textOfRow,
} from '../../model/index.ts'
import type { RestoreRequest, StoredRecord, StoreView } from '../../ports/index.ts'
import type { MemoryLog, MemoryRow } from './log.ts'

const PAGE_COUNT = 1000
const { truncated, unarchived } = systemEventTypes

/** The log and the records as they are now, whatever becomes of them. */
export function viewOf(log: MemoryLog, records: readonly StoredRecord[]): StoreView {
  const rows = log.rows.slice()
  const archived = archivedAt(log, rows)
  const position = log.lastPosition
  return {
    safe: position,
    newest: position,
    async *rows({ after, upTo }, options = {}) {
      let page: KeptRow[] = []
      for (const row of rows) {
        if (row.position <= after || row.position > upTo) continue
        page.push(row.type === truncated ? { ...row, archived: archived.has(row.position) } : row)
        if (page.length < PAGE_COUNT) continue
        yield page
        page = []
        options.signal?.throwIfAborted()
      }
      if (page.length > 0) yield page
    },
    async *records(options = {}) {
      for (let from = 0; from < records.length; from += PAGE_COUNT) {
        yield records.slice(from, from + PAGE_COUNT)
        options.signal?.throwIfAborted()
      }
    },
  }
}

/**
 * Positions of the `$truncated` events of streams that were archived there. The next event of
 * another type tells, since an archived stream takes no other; without one the stream itself.
 */
function archivedAt(log: MemoryLog, rows: readonly MemoryRow[]): ReadonlySet<number> {
  const found = new Set<number>()
  const later = new Map<string, boolean>()
  for (let at = rows.length - 1; at >= 0; at--) {
    const { stream, type, position } = rows[at] as MemoryRow
    if (type !== truncated) later.set(stream, type === unarchived)
    else if (later.get(stream) ?? log.stream(stream)?.state === 'archived') found.add(position)
  }
  return found
}

/** Puts rows back into a log that a transaction may change. */
export function restorePart(log: MemoryLog, { rows, upTo }: RestoreRequest): void {
  const names = new Set(rows.map(({ stream }) => stream))
  const known = [...names].flatMap((name) => {
    const stream = log.stream(name)
    if (stream === undefined) return []
    const { version, firstVersion, state } = stream
    return [[name, { version, firstVersion, state }] as const]
  })
  const part = new RestoredPart(new Map(known), log.lastPosition)
  for (const row of rows) part.add(row)
  for (const row of part.rows) log.add(memoryRow(row))
  for (const [name, before] of part.reduced) log.removeBelow(name, before)
  for (const [name, head] of part.heads) {
    const stream = log.writable(name)
    stream.version = head.version
    stream.firstVersion = head.firstVersion
    stream.state = head.state as StreamState
  }
  log.lastPosition = Math.max(log.lastPosition, rows.at(-1)?.position ?? 0, upTo ?? 0)
}

function memoryRow(row: KeptRow): MemoryRow {
  const { archived, ...kept } = row
  // Read once, so that what cannot be read is refused here and not by a later reader.
  textOfRow(row)
  const tags = row.tagsText === '' ? [] : (JSON.parse(row.tagsText) as string[])
  return { ...kept, tags, checksum: undefined }
}
