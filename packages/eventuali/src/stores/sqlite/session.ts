import { LruMap } from '../../kernel/index.ts'
import type { SqlConnection, SqlStatement } from './driver.ts'

const DYNAMIC_COUNT_MAX = 200

/** An event whose data is no JSON text; the plain statement knows its codec. */
export const insertBody = `INSERT INTO eventuali_events (position, stream_id, version, type_id, id,
  time, recorded_at, schema_version, codec, flags, checksum, tenant, tags, metadata, data)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

/** So many plain rows share a statement; more at once are no faster (measured). */
export const rowsAtOnce = 10

/** That many events whose data is JSON text. */
export const insertRows: string = `INSERT INTO eventuali_events (position, stream_id, version,
  type_id, id, time, recorded_at, schema_version, codec, flags, checksum, tenant, tags, metadata, data)
  VALUES ${Array.from({ length: rowsAtOnce }, () => '(?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)').join(', ')}`

/** In the order that `storedRow` takes them in. */
export const eventColumns: string =
  'e.position, e.stream_id, e.version, e.type_id, e.id, e.time, e.recorded_at, e.schema_version, e.checksum, e.tags, e.metadata, e.data'

const statements = {
  begin: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',
  rollback: 'ROLLBACK',
  lastPosition: 'SELECT last_position FROM eventuali_head WHERE only_row = 1',
  setLastPosition: 'UPDATE eventuali_head SET last_position = ? WHERE only_row = 1',
  headByName: 'SELECT id, version, first_version, state FROM eventuali_streams WHERE name = ?',
  insertHead:
    'INSERT INTO eventuali_streams (name, version, first_version, state) VALUES (?, ?, ?, ?)',
  setHead: 'UPDATE eventuali_streams SET version = ?, first_version = ?, state = ? WHERE id = ?',
  insertType: 'INSERT INTO eventuali_types (name) VALUES (?)',
  typeName: 'SELECT name FROM eventuali_types WHERE id = ?',
  typeId: 'SELECT id FROM eventuali_types WHERE name = ?',
  streamName: 'SELECT name FROM eventuali_streams WHERE id = ?',
  insertEvent: `INSERT INTO eventuali_events (position, stream_id, version, type_id, id, time,
    recorded_at, schema_version, codec, flags, checksum, tenant, tags, metadata, data)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)`,
  insertTag: 'INSERT OR IGNORE INTO eventuali_event_tags VALUES (?, ?, ?)',
  deleteTag: 'DELETE FROM eventuali_event_tags WHERE tag_hash = ? AND position = ?',
  taggedBelow: `SELECT position, tags FROM eventuali_events
    WHERE stream_id = ? AND version < ? AND tags IS NOT NULL`,
  deleteBelow: 'DELETE FROM eventuali_events WHERE stream_id = ? AND version < ?',
  timeAt: 'SELECT time FROM eventuali_events WHERE stream_id = ? AND version = ?',
  anyArchived: 'SELECT 1 FROM eventuali_streams WHERE state = 1 LIMIT 1',
  anyLarge: 'SELECT 1 FROM eventuali_events WHERE flags & 4 LIMIT 1',
} as const

const readStatements: Readonly<Record<'streamForward' | 'streamBackward' | 'byGivenId', string>> = {
  streamForward: `SELECT ${eventColumns} FROM eventuali_events e WHERE e.stream_id = ? AND e.version >= ? AND e.version <= ? ORDER BY e.version LIMIT ?`,
  streamBackward: `SELECT ${eventColumns} FROM eventuali_events e WHERE e.stream_id = ? AND e.version >= ? AND e.version <= ? ORDER BY e.version DESC LIMIT ?`,
  byGivenId: `SELECT ${eventColumns} FROM eventuali_events e WHERE e.stream_id = ? AND e.id = ? AND e.flags & 1`,
}

type StatementName = keyof typeof statements | keyof typeof readStatements

/** A connection with its statements, each prepared once. */
export class Session {
  readonly connection: SqlConnection
  readonly sql: { readonly [name in StatementName]: SqlStatement }
  readonly #dynamic = new LruMap<string, SqlStatement>(DYNAMIC_COUNT_MAX)

  constructor(connection: SqlConnection) {
    this.connection = connection
    const prepared = Object.entries({ ...statements, ...readStatements }).map(([name, sql]) => [
      name,
      connection.prepare(sql),
    ])
    this.sql = Object.fromEntries(prepared)
  }

  /** A statement whose text depends on a query; prepared once as long as it is in use. */
  prepare(text: string): SqlStatement {
    let statement = this.#dynamic.get(text)
    if (statement === undefined) {
      statement = this.connection.prepare(text)
      this.#dynamic.set(text, statement)
    }
    return statement
  }
}
