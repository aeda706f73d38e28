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
import type { Access } from './access.ts'
import { type Row, type Statement, statement } from './connections.ts'
import { recordConflictAt } from './failures.ts'
import { fromPlain, toPlain } from './plain-text.ts'

const columns = 'key, revision, state, due, value'

/** A row of the records, its columns in their order. */
export function toRecord(kind: string, row: Row): StoredRecord {
  const [key, revision, state, due, value] = row
  return {
    kind,
    key: fromPlain(key as string),
    revision: Number(revision),
    state: state === null || state === undefined ? undefined : fromPlain(state),
    due: due === null || due === undefined ? undefined : Number(due),
    value: JSON.parse(value as string),
  }
}

function inOrderOf(
  keys: readonly string[],
  kind: string,
  rows: readonly Row[],
): readonly (StoredRecord | undefined)[] {
  const found = new Map<string, StoredRecord>()
  for (const row of rows) {
    const record = toRecord(kind, row)
    found.set(record.key, record)
  }
  return keys.map((key) => found.get(key))
}

/** In the order in which every transaction locks. */
function sorted(keys: readonly string[]): string[] {
  return [...new Set(keys)].map(toPlain).sort()
}

/** Reads of records; in a transaction they see its own writes. */
export class PostgresRecordReads implements RecordReads {
  protected readonly access: Access
  readonly #get: Statement

  constructor(access: Access) {
    this.access = access
    this.#get = statement(
      `SELECT ${columns} FROM ${access.schema}.records WHERE kind = $1 AND key = ANY ($2::text[])`,
    )
  }

  async get(
    kind: string,
    keys: readonly string[],
    options?: CallOptions,
  ): Promise<readonly (StoredRecord | undefined)[]> {
    if (keys.length === 0) return []
    const values = [toPlain(kind), sorted(keys)]
    return inOrderOf(keys, kind, await this.access.query(this.#get, values, options))
  }

  async list(query: RecordQuery, options?: CallOptions): Promise<readonly StoredRecord[]> {
    const { kind, prefix, after, state, dueUpTo, limit } = query
    const values: unknown[] = [toPlain(kind)]
    const where = ['kind = $1']
    const add = (condition: string, value: unknown): void => {
      where.push(`${condition} $${values.push(value)}`)
    }
    if (state !== undefined) add('state =', toPlain(state))
    if (after !== undefined) add('key >', toPlain(after))
    if (prefix !== undefined && prefix !== '') {
      add('key >=', toPlain(prefix))
      const end = afterPrefix(prefix)
      if (end !== undefined) add('key <', toPlain(end))
    }
    if (dueUpTo !== undefined) add('due <=', dueUpTo)
    const order = dueUpTo === undefined ? 'key' : 'due, key'
    const text = `SELECT ${columns} FROM ${this.access.schema}.records
      WHERE ${where.join(' AND ')} ORDER BY ${order} LIMIT $${values.push(limit)}::bigint`
    const rows = await this.access.query(statement(text), values, options)
    return rows.map((row) => toRecord(kind, row))
  }
}

/** Reads and writes of records in a transaction. */
export class PostgresRecords extends PostgresRecordReads implements RecordAccess {
  readonly #lock: Statement
  readonly #write: Statement

  constructor(access: Access) {
    super(access)
    const { schema } = access
    this.#lock = statement(
      `SELECT ${columns} FROM ${schema}.lock_records_v1($1::integer, $2::text, $3::text[])`,
    )
    this.#write = statement(
      `SELECT array_to_string(${schema}.write_records_v1($1::integer, $2::text[], $3::text[],
        $4::bigint[], $5::text[], $6::double precision[], $7::text[]), ',')`,
    )
  }

  async lock(
    kind: string,
    keys: readonly string[],
    options?: CallOptions,
  ): Promise<readonly (StoredRecord | undefined)[]> {
    if (keys.length === 0) return []
    const values = [toPlain(kind), sorted(keys)]
    return inOrderOf(keys, kind, await this.access.waiting(this.#lock, values, options))
  }

  async write(changes: readonly RecordChange[], options?: CallOptions): Promise<readonly number[]> {
    if (changes.length === 0) return []
    // Rows are locked in the same order by everybody; changes of one record stay in theirs.
    const order = changes.map((change, at) => {
      return { change, at, kind: toPlain(change.kind), key: toPlain(change.key) }
    })
    order.sort((a, b) => compare(a.kind, b.kind) || compare(a.key, b.key) || a.at - b.at)
    const values = [
      order.map(({ kind }) => kind),
      order.map(({ key }) => key),
      order.map(({ change }) => (change.expected === 'any' ? -1 : change.expected)),
      order.map(({ change }) => (change.state === undefined ? null : toPlain(change.state))),
      order.map(({ change }) => change.due ?? null),
      order.map(({ change }) => JSON.stringify(change.value) ?? null),
    ]
    const rows = await this.access.waiting(this.#write, values, options).catch((error) => {
      const conflict = order[(recordConflictAt(error) ?? 0) - 1]?.change
      throw conflict === undefined ? error : new RecordConflictError(conflict.kind, conflict.key)
    })
    const revisions: number[] = []
    ;(rows[0]?.[0] ?? '').split(',').forEach((revision, i) => {
      revisions[(order[i] as (typeof order)[number]).at] = Number(revision)
    })
    return revisions
  }
}

function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1
}
