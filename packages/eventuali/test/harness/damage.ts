import { DatabaseSync } from 'node:sqlite'
import type { Random } from '../../src/kernel/index.ts'

/** A value as a column of SQLite gives it. */
export type ColumnValue = number | string | Uint8Array | null

/** The value with one bit of it turned over; text may no longer be text then. */
export function withFlippedBit(value: ColumnValue, random: Random): ColumnValue {
  const below = (count: number): number => Math.floor(random.next() * count)
  if (value === null) return null
  if (typeof value === 'number') {
    // All bits that a whole number of this size may have, and some above.
    const bits = Math.min(50, Math.ceil(Math.log2(value + 2)) + 3)
    const bit = 2 ** below(bits)
    return Math.floor(value / bit) % 2 === 0 ? value + bit : value - bit
  }
  const bytes = Buffer.from(value)
  if (bytes.length === 0) return value
  const at = below(bytes.length)
  bytes[at] = (bytes[at] as number) ^ (1 << below(8))
  return typeof value === 'string' ? bytes : new Uint8Array(bytes)
}

/** One turned bit in a row of events. */
export interface RowFlip {
  readonly position: number
  readonly column: string
}

/** Columns whose damage is told with the position of the event. */
export const placedColumns: ReadonlySet<string> = new Set([
  ...['data', 'metadata', 'id', 'time', 'schema_version', 'tags', 'type_id', 'codec', 'checksum'],
])

/** Columns whose content an event gives back, or that say how to read it. */
export const eventColumns = [
  ...['data', 'data', 'data', 'metadata', 'id', 'time', 'schema_version', 'tags', 'type_id'],
  ...['recorded_at', 'version', 'stream_id', 'codec', 'checksum', 'flags'],
] as const

/** Turns a bit in the row of an event. Undefined when the database refuses such a row. */
export function flipInRow(file: string, random: Random): RowFlip | undefined {
  const connection = new DatabaseSync(file)
  try {
    const below = (count: number): number => Math.floor(random.next() * count)
    const column = eventColumns[below(eventColumns.length)] as string
    const rows = connection
      .prepare(
        `SELECT position, ${column} AS value FROM eventuali_events WHERE ${column} IS NOT NULL`,
      )
      .all() as { position: number; value: ColumnValue }[]
    const row = rows[below(rows.length)]
    if (row === undefined) return undefined
    const value = withFlippedBit(row.value, random)
    const isText = typeof row.value === 'string'
    connection
      .prepare(
        `UPDATE eventuali_events SET ${column} = ${isText ? 'CAST(? AS TEXT)' : '?'} WHERE position = ?`,
      )
      .run(value, row.position)
    return { position: row.position, column }
  } catch (error) {
    // A number that is there already, say.
    if ((error as { errcode?: number }).errcode !== undefined) return undefined
    throw error
  } finally {
    connection.close()
  }
}

/** Turns a bit in the record of a kept state; gives its key. */
export function flipInKeptState(file: string, random: Random): string | undefined {
  const connection = new DatabaseSync(file)
  try {
    const rows = connection
      .prepare("SELECT key, value FROM eventuali_records WHERE kind = 'snapshot'")
      .all() as { key: string; value: string }[]
    const row = rows[Math.floor(random.next() * rows.length)]
    if (row === undefined) throw new Error('no state is kept')
    connection
      .prepare(
        "UPDATE eventuali_records SET value = CAST(? AS TEXT) WHERE kind = 'snapshot' AND key = ?",
      )
      .run(withFlippedBit(row.value, random), row.key)
    return row.key
  } finally {
    connection.close()
  }
}
