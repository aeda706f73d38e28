import { type Clock, type Deadline, sleep } from '../../kernel/index.ts'
import {
  expandedBytes,
  type KeptRow,
  OperationTimeoutError,
  systemEventTypes,
} from '../../model/index.ts'
import type { StoredRecord, StoreView } from '../../ports/index.ts'
import type { SqlRow } from './driver.ts'
import { Names } from './names.ts'
import { toRecord } from './records.ts'
import { flagIdGiven, storedRow } from './rows.ts'
import { eventColumns, type Session } from './session.ts'

const PAGE_COUNT = 1000
const PAGE_BYTES: number = 4 * 1024 * 1024
const FLAGS = 12
const ARCHIVED = 13

/**
 * Whether the stream of a `$truncated` event was archived there: the next event of another type
 * tells, since an archived stream takes no other; without one the stream itself.
 */
const rowsText = (truncated: number, unarchived: number): string => `
  SELECT ${eventColumns}, e.flags, CASE WHEN e.type_id = ${truncated} THEN coalesce(
    (SELECT n.type_id = ${unarchived} FROM eventuali_events n WHERE n.stream_id = e.stream_id
      AND n.version > e.version AND n.type_id <> ${truncated} ORDER BY n.version LIMIT 1),
    (SELECT s.state = 1 FROM eventuali_streams s WHERE s.id = e.stream_id)) END
  FROM eventuali_events e WHERE e.position > ? AND e.position <= ?
  ORDER BY e.position LIMIT ${PAGE_COUNT}`
const records = `SELECT kind, key, revision, state, due, value FROM eventuali_records
  WHERE (kind, key) > (?, ?) ORDER BY kind, key LIMIT ${PAGE_COUNT}`

/** What a view needs beside the connection. */
export interface ViewParts {
  readonly clock: Clock
  readonly deadline: Deadline
  readonly timeoutMs: number
  /** Makes errors of the driver ours. */
  readonly read: <R>(work: () => R) => R
  /** Throws when the store is being closed. */
  readonly assertOpen: () => void
}

/** The store as it is in the transaction that is open on a connection, or while no one writes. */
export function viewOf(session: Session, parts: ViewParts): StoreView {
  const names = new Names()
  const position = Number(session.sql.lastPosition.get()?.[0])
  const truncated = names.typeId(session.sql, systemEventTypes.truncated) ?? -1
  const unarchived = names.typeId(session.sql, systemEventTypes.unarchived) ?? -1
  const turn = async (): Promise<void> => {
    const { clock, deadline, timeoutMs, assertOpen } = parts
    if (deadline.leftMs() <= 0) throw new OperationTimeoutError('the view', timeoutMs)
    // Lets the appends of this process in.
    await sleep(clock, 0, deadline.signal)
    assertOpen()
  }
  return {
    safe: position,
    newest: position,
    async *rows({ after, upTo }) {
      const statement = session.prepare(rowsText(truncated, unarchived))
      for (let last = after; ; ) {
        const page = parts.read(() => pageOf(session, names, statement.iterate(last, upTo)))
        if (page.length === 0) return
        last = page.at(-1)?.position as number
        yield page
        await turn()
      }
    },
    async *records() {
      const statement = session.prepare(records)
      for (let after: readonly [string, string] = ['', '']; ; ) {
        const page: StoredRecord[] = parts.read(() => statement.all(...after).map(toRecord))
        const last = page.at(-1)
        if (last === undefined) return
        after = [last.kind, last.key]
        yield page
        await turn()
      }
    },
  }
}

function pageOf(session: Session, names: Names, rows: Iterable<SqlRow>): readonly KeptRow[] {
  const page: KeptRow[] = []
  let bytes = 0
  for (const row of rows) {
    page.push(keptRow(session, names, row))
    bytes += expandedBytes(row[11] as string | Uint8Array)
    if (bytes >= PAGE_BYTES) break
  }
  return page
}

function keptRow(session: Session, names: Names, row: SqlRow): KeptRow {
  const archived = row[ARCHIVED]
  return {
    ...storedRow(session, names, row),
    idGiven: ((row[FLAGS] as number) & flagIdGiven) !== 0,
    ...(archived === null ? {} : { archived: archived === 1 }),
  }
}
