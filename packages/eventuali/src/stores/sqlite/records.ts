import { RecordConflictError } from '../../model/index.ts'
import type {
  CallOptions,
  RecordAccess,
  RecordChange,
  RecordQuery,
  RecordReads,
  StoredRecord,
} from '../../ports/index.ts'
import { afterPrefix } from '../sql/index.ts'
import type { WriteAccess } from './access.ts'
import type { SqlRow, SqlValue } from './driver.ts'
import type { ReadAccess } from './reads.ts'
import type { Session } from './session.ts'

const columns = 'kind, key, revision, state, due, value'
const one = `SELECT ${columns} FROM eventuali_records WHERE kind = ? AND key = ?`
const insert =
  'INSERT OR IGNORE INTO eventuali_records (kind, key, revision, state, due, value) VALUES (?, ?, 1, ?, ?, ?)'
const update = `UPDATE eventuali_records SET revision = revision + 1, state = ?, due = ?, value = ?
  WHERE kind = ? AND key = ? AND revision = ?`
const upsert = `INSERT INTO eventuali_records (kind, key, revision, state, due, value)
  VALUES (?, ?, 1, ?, ?, ?)
  ON CONFLICT (kind, key) DO UPDATE SET revision = revision + 1, state = excluded.state,
    due = excluded.due, value = excluded.value
  RETURNING revision`
const remove = 'DELETE FROM eventuali_records WHERE kind = ? AND key = ? AND revision = ?'
const removeAny = 'DELETE FROM eventuali_records WHERE kind = ? AND key = ?'

/** A row of the records, its columns in their order. */
export function toRecord(row: SqlRow): StoredRecord {
  return {
    kind: row[0] as string,
    key: row[1] as string,
    revision: row[2] as number,
    state: (row[3] as string | null) ?? undefined,
    due: (row[4] as number | null) ?? undefined,
    value: JSON.parse(row[5] as string),
  }
}

function recordsOf(
  session: Session,
  kind: string,
  keys: readonly string[],
): readonly (StoredRecord | undefined)[] {
  const statement = session.prepare(one)
  return keys.map((key) => {
    const row = statement.get(kind, key)
    return row === undefined ? undefined : toRecord(row)
  })
}

function listRecords(session: Session, query: RecordQuery): readonly StoredRecord[] {
  const { kind, prefix = '', after, state, dueUpTo, limit } = query
  const values: SqlValue[] = [kind]
  let where = 'kind = ?'
  const add = (condition: string, value: SqlValue | undefined): void => {
    if (value === undefined) return
    where += ` AND ${condition}`
    values.push(value)
  }
  if (prefix !== '') {
    add('key >= ?', prefix)
    add('key < ?', afterPrefix(prefix))
  }
  add('key > ?', after)
  add('state = ?', state)
  add('due <= ?', dueUpTo)
  const order = dueUpTo === undefined ? 'key' : 'due, key'
  const text = `SELECT ${columns} FROM eventuali_records WHERE ${where} ORDER BY ${order} LIMIT ?`
  return session
    .prepare(text)
    .all(...values, limit)
    .map(toRecord)
}

/** The new revision; 0 for a removed record. Throws RecordConflictError. */
function writeRecord(session: Session, change: RecordChange): number {
  const { kind, key, expected, value, state = null, due = null } = change
  const expect = (held: boolean): void => {
    if (!held) throw new RecordConflictError(kind, key)
  }
  const changed = (text: string, ...values: readonly SqlValue[]): boolean =>
    Number(session.prepare(text).run(...values).changes) > 0
  if (value === undefined) {
    if (expected === 'any') changed(removeAny, kind, key)
    else if (expected === 0) expect(session.prepare(one).get(kind, key) === undefined)
    else expect(changed(remove, kind, key, expected))
    return 0
  }
  const text = JSON.stringify(value)
  if (expected === 'any') {
    return Number(session.prepare(upsert).get(kind, key, state, due, text)?.[0])
  }
  if (expected === 0) {
    expect(changed(insert, kind, key, state, due, text))
    return 1
  }
  expect(changed(update, state, due, text, kind, key, expected))
  return expected + 1
}

/** Records that are committed, or in a transaction its own too. */
export class SqliteRecordReads implements RecordReads {
  readonly #access: ReadAccess

  constructor(access: ReadAccess) {
    this.#access = access
  }

  get(
    kind: string,
    keys: readonly string[],
    options: CallOptions = {},
  ): Promise<readonly (StoredRecord | undefined)[]> {
    return this.#access.run((session) => recordsOf(session, kind, keys), options)
  }

  list(query: RecordQuery, options: CallOptions = {}): Promise<readonly StoredRecord[]> {
    return this.#access.run((session) => listRecords(session, query), options)
  }
}

/** Records in a transaction. SQLite's one lock keeps all others out. */
export class SqliteRecords extends SqliteRecordReads implements RecordAccess {
  readonly #access: WriteAccess

  constructor(access: WriteAccess) {
    super(access)
    this.#access = access
  }

  lock(
    kind: string,
    keys: readonly string[],
    options: CallOptions = {},
  ): Promise<readonly (StoredRecord | undefined)[]> {
    return this.#access.write('lock', (session) => recordsOf(session, kind, keys), options)
  }

  write(changes: readonly RecordChange[], options: CallOptions = {}): Promise<readonly number[]> {
    const work = (session: Session) => changes.map((change) => writeRecord(session, change))
    return this.#access.write('write', work, options)
  }
}
