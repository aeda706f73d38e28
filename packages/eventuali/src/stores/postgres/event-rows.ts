import type { Deadline } from '../../kernel/index.ts'
import { decodeRow, type RecordedEvent, type StoredRow } from '../../model/index.ts'
import type { Row } from './connections.ts'
import type { TypeNames } from './type-names.ts'

/** The columns of an event, of `events e` joined with `streams s`. */
export const eventColumns =
  "e.position, s.name, e.version, e.type, e.id, e.data, e.metadata, e.time, e.recorded_at, e.schema_version, e.tags, e.checksum, encode(e.body, 'base64')"

/** How many columns those are. */
export const eventColumnCount = 13

/** The data of a raw row: JSON text, or the body of another codec. */
export function dataOf(row: Row): string | Uint8Array {
  return row[5] ?? Buffer.from(row[12] ?? '', 'base64')
}

/** What the codec makes an event of; the type's name must be known. */
function contentOf(row: Row, types: TypeNames): Omit<StoredRow, 'checksum'> {
  const time = Number(row[7])
  return {
    position: Number(row[0]),
    stream: row[1] as string,
    version: Number(row[2]),
    type: types.nameOf(row[3] as string) as string,
    id: row[4] as string,
    data: dataOf(row),
    metadata: row[6] ?? '',
    time,
    // The same text most of the time; long numbers take longer to read than to compare.
    recordedAt: row[8] === row[7] ? time : Number(row[8]),
    schemaVersion: Number(row[9]),
    tagsText: row[10] ?? '',
  }
}

/** A raw row with its checksum; the type's name must be known. */
export function storedRow(row: Row, types: TypeNames): StoredRow {
  return { ...contentOf(row, types), checksum: Number(row[11]) }
}

/** Fetches the names of types that other processes have registered meanwhile. */
export async function knowTypes(
  rows: readonly Row[],
  types: TypeNames,
  deadline: Deadline,
): Promise<void> {
  for (const row of rows) {
    if (types.nameOf(row[3] as string) === undefined) return types.refresh(deadline)
  }
}

export function toEvent(row: Row, types: TypeNames): RecordedEvent {
  return decodeRow(contentOf(row, types))
}
