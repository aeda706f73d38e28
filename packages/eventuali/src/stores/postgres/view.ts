import type { Deadline } from '../../kernel/index.ts'
import { type KeptRow, OperationTimeoutError, systemEventTypes } from '../../model/index.ts'
import type { StoredRecord, StoreView } from '../../ports/index.ts'
import { type Connections, type Row, type Statement, statement } from './connections.ts'
import { eventColumnCount, eventColumns, knowTypes, storedRow } from './event-rows.ts'
import { storageFailure } from './failures.ts'
import { fromPlain, toPlain } from './plain-text.ts'
import { toRecord } from './records.ts'
import type { TypeNames } from './type-names.ts'

const PAGE_COUNT = 1000
const PAGE_BYTES: number = 4 * 1024 * 1024
const FLAGS: number = eventColumnCount
const ARCHIVED: number = eventColumnCount + 1

/**
 * Whether the stream of a `$truncated` event was archived there: the next event of another type
 * tells, since an archived stream takes no other; without one the stream itself.
 */
const rowsText = (schema: string): string => `
  SELECT ${eventColumns}, e.flags, CASE WHEN e.type = $4::integer THEN coalesce(
      (SELECT n.type = $3::integer FROM ${schema}.events n WHERE n.stream = e.stream
        AND n.version > e.version AND n.type <> $4::integer ORDER BY n.version LIMIT 1),
      s.state = 1)::text END
  FROM (SELECT x.position, coalesce(sum(coalesce(pg_column_size(x.data), pg_column_size(x.body)))
          OVER (ORDER BY x.position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
        FROM (SELECT e.position, e.data, e.body FROM ${schema}.events e
              WHERE e.position > $1::bigint AND e.position <= $2::bigint
              ORDER BY e.position LIMIT ${PAGE_COUNT}) x) p
  JOIN ${schema}.events e ON e.position = p.position
  JOIN ${schema}.streams s ON s.id = e.stream
  WHERE p.before < ${PAGE_BYTES} ORDER BY e.position`

const recordsText = (schema: string): string => `
  SELECT key, revision, state, due, value, kind FROM ${schema}.records
  WHERE (kind, key) > ($1::text, $2::text) ORDER BY kind, key LIMIT ${PAGE_COUNT}`

/** What a view needs of the store. */
export interface ViewParts {
  readonly connections: Connections
  readonly types: TypeNames
  readonly schema: string
  /** The safe position, from before. */
  readonly safe: number
  readonly deadline: Deadline
  readonly timeoutMs: number
  /** Throws when the store is being closed. */
  readonly assertOpen: () => void
}

type Run = (sql: Statement, ...values: readonly unknown[]) => Promise<readonly Row[]>

/** Runs `work` in one snapshot, on a connection of the lane for transactions. */
export async function viewSchema<T>(
  parts: ViewParts,
  work: (view: StoreView) => Promise<T>,
): Promise<T> {
  const { connections, deadline, schema, safe, timeoutMs, assertOpen } = parts
  const session = await connections.acquire('transactions', deadline)
  const run: Run = async (sql, ...values) => {
    deadline.signal?.throwIfAborted()
    assertOpen()
    if (deadline.leftMs() <= 0) throw new OperationTimeoutError('the view', timeoutMs)
    try {
      return (await connections.run(session, sql, values, deadline.leftMs())).rows
    } catch (error) {
      if (deadline.leftMs() <= 0) throw new OperationTimeoutError('the view', timeoutMs)
      throw storageFailure('a view', timeoutMs, error)
    }
  }
  let broken = true
  try {
    await run(statement('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'))
    // The first statement is where the view stands still.
    const newest = statement(`SELECT coalesce(max(position), 0) FROM ${schema}.events`)
    const [row] = await run(newest)
    const result = await work(viewOf(parts, run, Math.max(Number(row?.[0]), safe)))
    await run(statement('COMMIT'))
    broken = false
    return result
  } finally {
    // What failed has a transaction open.
    session.release(broken)
  }
}

function viewOf({ types, schema, safe, deadline }: ViewParts, run: Run, newest: number): StoreView {
  const rows = statement(rowsText(schema))
  const records = statement(recordsText(schema))
  const { unarchived, truncated } = systemEventTypes
  return {
    safe,
    newest,
    async *rows({ after, upTo }) {
      await types.find([unarchived, truncated], deadline)
      const marks = [types.idOf(unarchived) ?? -1, types.idOf(truncated) ?? -1]
      for (let last = after; ; ) {
        const found = await run(rows, last, upTo, ...marks)
        if (found.length === 0) return
        await knowTypes(found, types, deadline)
        const page = found.map((row) => keptRow(row, types))
        last = page.at(-1)?.position as number
        yield page
      }
    },
    async *records() {
      for (let after: readonly [string, string] = ['', '']; ; ) {
        const page: StoredRecord[] = []
        for (const row of await run(records, ...after.map(toPlain))) {
          page.push(toRecord(fromPlain(row[5] as string), row))
        }
        const last = page.at(-1)
        if (last === undefined) return
        after = [last.kind, last.key]
        yield page
      }
    },
  }
}

function keptRow(row: Row, types: TypeNames): KeptRow {
  const archived = row[ARCHIVED]
  return {
    ...storedRow(row, types),
    idGiven: (Number(row[FLAGS]) & 1) !== 0,
    ...(archived === null ? {} : { archived: archived === 'true' }),
  }
}
