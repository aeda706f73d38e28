import { SchemaTooNewError } from '../../model/index.ts'
import { codecViewStep } from './codec-view.ts'
import type { SqlConnection } from './driver.ts'

/**
 * The schema, step by step. Frozen once released: a change is a new step. Other languages may read
 * these tables; `eventuali_log` is the view for people.
 *
 * `flags`: 1 the caller gave the id, 4 the event is large. `codec`: 0 is JSON text, others
 * are written down in docs/guide/codecs.md.
 * `state`: 0 active, 1 archived, 2 deleted. Times are milliseconds since the epoch.
 *
 * Step 2 is the read side: its records, and the inline projections that writers must run, with
 * those that the append under way runs (never a row outside of a transaction). Step 3 lets the view
 * tell of codecs.
 */
export const steps: readonly string[] = [
  `
  CREATE TABLE eventuali_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE eventuali_head (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    last_position INTEGER NOT NULL
  ) STRICT;
  INSERT INTO eventuali_head VALUES (1, 0);
  CREATE TABLE eventuali_types (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE eventuali_streams (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    first_version INTEGER NOT NULL,
    state INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX eventuali_streams_archived ON eventuali_streams (id) WHERE state = 1;
  CREATE TABLE eventuali_events (
    position INTEGER PRIMARY KEY,
    stream_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    type_id INTEGER NOT NULL,
    id TEXT NOT NULL,
    time INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    codec INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    tenant TEXT,
    tags TEXT,
    metadata TEXT,
    data ANY NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX eventuali_events_version ON eventuali_events (stream_id, version);
  CREATE UNIQUE INDEX eventuali_events_given_id ON eventuali_events (stream_id, id)
    WHERE flags & 1;
  CREATE INDEX eventuali_events_large ON eventuali_events (position) WHERE flags & 4;
  CREATE TABLE eventuali_event_tags (
    tag_hash INTEGER NOT NULL,
    position INTEGER NOT NULL,
    type_id INTEGER NOT NULL,
    PRIMARY KEY (tag_hash, position)
  ) STRICT, WITHOUT ROWID;
  CREATE VIEW eventuali_log AS
    SELECT e.position, s.name AS stream, e.version, t.name AS type, e.data, e.metadata, e.tags,
      strftime('%Y-%m-%dT%H:%M:%fZ', e.time / 1000.0, 'unixepoch') AS time,
      strftime('%Y-%m-%dT%H:%M:%fZ', e.recorded_at / 1000.0, 'unixepoch') AS recorded_at,
      e.id, e.schema_version, e.tenant
    FROM eventuali_events e
    JOIN eventuali_streams s ON s.id = e.stream_id
    JOIN eventuali_types t ON t.id = e.type_id;
  `,
  `
  CREATE TABLE eventuali_records (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    revision INTEGER NOT NULL,
    state TEXT,
    due REAL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, key)
  ) STRICT;
  CREATE INDEX eventuali_records_due ON eventuali_records (kind, due, key) WHERE due IS NOT NULL;
  CREATE INDEX eventuali_records_state ON eventuali_records (kind, state, key)
    WHERE state IS NOT NULL;
  CREATE TABLE eventuali_inline (
    name TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    types TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE eventuali_inline_types (
    type_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (type_id, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE eventuali_inline_admitted (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (name, version)
  ) STRICT, WITHOUT ROWID;
  `,
  codecViewStep,
]

/** The newest schema this library knows. */
export const schemaVersion: number = steps.length

/** Schema of the database; 0 for one without an event log. Throws SchemaTooNewError. */
export function schemaVersionOf(connection: SqlConnection): number {
  const table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'eventuali_meta'"
  if (connection.prepare(table).get() === undefined) return 0
  const value = "SELECT value FROM eventuali_meta WHERE key = 'schema'"
  const found = Number(connection.prepare(value).get()?.[0] ?? 0)
  if (found > schemaVersion) throw new SchemaTooNewError(found, schemaVersion)
  return found
}

/**
 * Takes the schema one step further, in one transaction under the write lock; false when there is
 * nothing left to do. Safe to run from many processes at once, and again after a crash.
 */
export function migrateOneStep(connection: SqlConnection, incarnation: string): boolean {
  if (schemaVersionOf(connection) === schemaVersion) return false
  locked(connection, () => {
    const done = schemaVersionOf(connection)
    const step = steps[done]
    if (step === undefined) return
    connection.exec(step)
    if (done === 0) putMeta(connection, 'incarnation', incarnation)
    putMeta(connection, 'schema', String(done + 1))
  })
  return true
}

/** Takes the last step back, likewise. `assert` throws when that may not be. */
export function rollbackOneStep(
  connection: SqlConnection,
  backOf: (version: number) => string | undefined,
  assert: (version: number) => void,
): void {
  locked(connection, () => {
    const done = schemaVersionOf(connection)
    assert(done)
    connection.exec(backOf(done) ?? '')
    putMeta(connection, 'schema', String(done - 1))
  })
}

function putMeta(connection: SqlConnection, key: string, value: string): void {
  connection.prepare('INSERT OR REPLACE INTO eventuali_meta VALUES (?, ?)').run(key, value)
}

function locked(connection: SqlConnection, work: () => void): void {
  connection.exec('BEGIN IMMEDIATE')
  try {
    work()
    connection.exec('COMMIT')
  } catch (error) {
    if (connection.inTransaction) connection.exec('ROLLBACK')
    throw error
  }
}

/** The incarnation id written when the log was made. */
export function incarnationOf(connection: SqlConnection): string {
  const sql = "SELECT value FROM eventuali_meta WHERE key = 'incarnation'"
  return String(connection.prepare(sql).get()?.[0])
}

/** Whether a log is being put back, and is not whole yet. */
export function isRestoring(connection: SqlConnection): boolean {
  const sql = "SELECT 1 FROM eventuali_meta WHERE key = 'restoring'"
  return connection.prepare(sql).get() !== undefined
}
