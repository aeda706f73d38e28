import {
  categoryOf,
  decodeRow,
  expandedBytes,
  type RecordedEvent,
  StorageError,
  type StoredRow,
  type StreamInfo,
  type StreamState,
} from '../../model/index.ts'
import type { SqlRow, SqlStatement, SqlValue } from './driver.ts'
import type { Names } from './names.ts'
import type { Session } from './session.ts'

/** Flag bits of an event's row. */
export const flagIdGiven = 1
export const flagLarge = 4

/** From this size on a row counts as large, and pages are measured before they are read. */
export const largeEventBytes: number = 8 * 1024
const PAGE_BYTES_MAX = 4 * 1024 * 1024

/** A row with its names. `stream` spares the lookup where it is known. */
export function storedRow(
  session: Session,
  names: Names,
  row: SqlRow,
  stream?: string | undefined,
): StoredRow {
  return {
    position: row[0] as number,
    stream: stream ?? names.streamName(session.sql, row[1] as number),
    version: row[2] as number,
    type: names.typeName(session.sql, row[3] as number),
    id: row[4] as string,
    time: row[5] as number,
    recordedAt: row[6] as number,
    schemaVersion: row[7] as number,
    checksum: row[8] as number,
    tagsText: (row[9] as string | null) ?? '',
    metadata: (row[10] as string | null) ?? '',
    data: row[11] as string | Uint8Array,
  }
}

/** A row as an event. Throws CorruptEventError. */
export function toEvent(
  session: Session,
  names: Names,
  row: SqlRow,
  stream?: string | undefined,
): RecordedEvent {
  return decodeRow(storedRow(session, names, row, stream))
}

/**
 * The rows of a page. Where events may be large they are taken one by one up to a number of
 * bytes, so that a page of a thousand of them does not fill the memory.
 */
export function pageRows(
  session: Session,
  statement: SqlStatement,
  values: readonly SqlValue[],
): { readonly rows: readonly SqlRow[]; readonly cut: boolean } {
  if (session.sql.anyLarge.get() === undefined) {
    return { rows: statement.all(...values), cut: false }
  }
  const rows: SqlRow[] = []
  let bytes = 0
  for (const row of statement.iterate(...values)) {
    rows.push(row)
    bytes += expandedBytes(row[11] as string | Uint8Array) + String(row[10] ?? '').length
    if (bytes > PAGE_BYTES_MAX) return { rows, cut: true }
  }
  return { rows, cut: false }
}

/** Throws StorageError where reading on would lead in circles, as a damaged page may. */
export function assertOnward(isOnward: boolean): void {
  if (isOnward) return
  const cause = new Error('rows are not in their order: the file is damaged; see `verify`')
  throw new StorageError('reading on', { cause })
}

const states: readonly StreamState[] = ['active', 'archived', 'deleted']

/** What the state column means. */
export function stateOf(value: SqlValue | undefined): StreamState {
  return states[value as number] ?? 'active'
}

/** What the state column holds. */
export function stateValue(state: StreamState): number {
  return states.indexOf(state)
}

/** A stream's head row (id, version, first_version, state) for the port. */
export function streamInfo(session: Session, stream: string, head: SqlRow): StreamInfo {
  const [id, version, firstVersion] = head as readonly number[] as [number, number, number]
  const first = session.sql.timeAt.get(id, firstVersion)?.[0]
  const last = session.sql.timeAt.get(id, version)?.[0]
  return {
    stream,
    category: categoryOf(stream),
    version,
    firstVersion,
    count: version - firstVersion + 1,
    state: stateOf(head[3]),
    firstTime: first === undefined ? undefined : new Date(first as number),
    lastTime: last === undefined ? undefined : new Date(last as number),
  }
}
