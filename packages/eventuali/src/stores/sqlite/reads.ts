import type { RecordedEvent, StreamInfo } from '../../model/index.ts'
import { askedName, categoryOf } from '../../model/index.ts'
import type { CallOptions, LogQuery, StreamQuery, StreamsQuery } from '../../ports/index.ts'
import type { SqlRow } from './driver.ts'
import type { Names } from './names.ts'
import { isFiltered, type LogFilter, matchesTags, planLog } from './query.ts'
import { assertOnward, pageRows, streamInfo, toEvent } from './rows.ts'
import type { Session } from './session.ts'

const PAGE_SIZE = 1000
/** Positions that one statement looks at: enough for the filter, too few to block the process. */
const WINDOW_FIRST = 4096
const WINDOW_MAX = 65_536
const UNBOUNDED = Number.MAX_SAFE_INTEGER

/** Runs a synchronous read when the connection is free for it. */
export interface ReadAccess {
  run<T>(read: (session: Session, names: Names) => T, options: CallOptions): Promise<T>
}

const namesFrom =
  'SELECT id, version, first_version, state, name FROM eventuali_streams WHERE name >= ? ORDER BY name LIMIT ?'
const namesAfter =
  'SELECT id, version, first_version, state, name FROM eventuali_streams WHERE name > ? ORDER BY name LIMIT ?'

/** The id of a stream, or undefined for one that never was. */
export function streamIdOf(session: Session, names: Names, stream: string): number | undefined {
  const known = names.knownStreamId(stream)
  if (known !== undefined) return known
  const head = session.sql.headByName.get(stream)
  if (head === undefined) return undefined
  names.addStream(head[0] as number, stream)
  return head[0] as number
}

/** Pages of one stream. No statement is open between two of them. */
export async function* streamPages(
  access: ReadAccess,
  query: StreamQuery,
  options: CallOptions,
): AsyncGenerator<readonly RecordedEvent[]> {
  const forward = query.direction === 'forward'
  const { stream, asOf } = query
  const timeColumn = asOf?.by === 'recordedAt' ? 6 : 5
  let from = query.from ?? 1
  let to = query.to ?? UNBOUNDED
  let left = query.limit ?? UNBOUNDED
  while (left > 0 && from <= to) {
    const count = asOf === undefined ? Math.min(left, PAGE_SIZE) : PAGE_SIZE
    const page = await access.run((session, names) => {
      const id = streamIdOf(session, names, stream)
      if (id === undefined) return undefined
      const statement = forward ? session.sql.streamForward : session.sql.streamBackward
      const { rows, cut } = pageRows(session, statement, [id, from, to, count])
      const last = rows.at(-1)?.[2] as number | undefined
      const kept =
        asOf === undefined ? rows : rows.filter((row) => (row[timeColumn] as number) <= asOf.at)
      const events = kept.slice(0, left).map((row) => toEvent(session, names, row, stream))
      return { events, last, ended: !cut && rows.length < count }
    }, options)
    if (page === undefined) return
    if (page.events.length > 0) yield page.events
    if (page.ended || page.last === undefined) return
    left -= page.events.length
    assertOnward(forward ? page.last >= from : page.last <= to)
    if (forward) from = page.last + 1
    else to = page.last - 1
  }
}

interface LogCursor {
  /** Exclusive. */
  after: number
  /** Inclusive. */
  upTo: number
  window: number
}

/** One page; moves the cursor past what was looked at, whether it matched or not. */
function logPage(
  session: Session,
  names: Names,
  query: LogFilter & Pick<LogQuery, 'direction'>,
  cursor: LogCursor,
  countMax: number,
): readonly RecordedEvent[] {
  const { direction } = query
  const forward = direction === 'forward'
  const after = forward ? cursor.after : Math.max(cursor.after, cursor.upTo - cursor.window)
  const upTo = forward ? Math.min(cursor.upTo, cursor.after + cursor.window) : cursor.upTo
  const plan = planLog(session, names, query, { after, upTo, direction, countMax })
  const page =
    plan === undefined
      ? { rows: [] as SqlRow[], cut: false }
      : pageRows(session, session.prepare(plan.text), plan.values)
  const { rows } = page
  const full = page.cut || rows.length >= countMax
  if (full) {
    const last = rows.at(-1)?.[0] as number
    assertOnward(forward ? last > cursor.after : last <= cursor.upTo)
    if (forward) cursor.after = last
    else cursor.upTo = last - 1
  } else {
    if (forward) cursor.after = upTo
    else cursor.upTo = after
    cursor.window = Math.min(cursor.window * 2, Math.max(WINDOW_MAX, cursor.window))
  }
  const events = rows.map((row) => toEvent(session, names, row))
  const tagged = query.query !== undefined || query.tags !== undefined
  return tagged ? events.filter((event) => matchesTags(event, query)) : events
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Pages of the log. No statement is open between two of them. */
export async function* logPages(
  access: ReadAccess,
  query: LogQuery,
  options: CallOptions,
): AsyncGenerator<readonly RecordedEvent[]> {
  const cursor: LogCursor = {
    after: query.after ?? 0,
    upTo: Math.min(query.upTo, (query.before ?? UNBOUNDED) - 1),
    window: isFiltered(query) ? WINDOW_FIRST : UNBOUNDED,
  }
  let left = query.limit ?? UNBOUNDED
  while (left > 0 && cursor.after < cursor.upTo) {
    const countMax = Math.min(left, query.pageSize ?? PAGE_SIZE)
    const events = await access.run((session, names) => {
      // A caller's bound may lie far beyond the end; windows would go on for ever.
      cursor.upTo = Math.min(cursor.upTo, Number(session.sql.lastPosition.get()?.[0]))
      if (cursor.after >= cursor.upTo) return []
      return logPage(session, names, query, cursor, countMax)
    }, options)
    left -= events.length
    if (events.length > 0) yield events
    else if (cursor.after < cursor.upTo) await turn()
  }
}

/** The first events that match a condition, at most `countMax`, read in one go. */
export function conditionEvents(
  session: Session,
  names: Names,
  filter: Pick<LogFilter, 'query'>,
  after: number,
  countMax: number,
): readonly RecordedEvent[] {
  // Without the end that the head row tells of: it lags behind inside a group.
  const cursor: LogCursor = { after, upTo: UNBOUNDED, window: UNBOUNDED }
  const query = { ...filter, direction: 'forward', includeArchived: true } as const
  const events: RecordedEvent[] = []
  while (cursor.after < cursor.upTo && events.length < countMax) {
    events.push(...logPage(session, names, query, cursor, countMax - events.length))
  }
  return events
}

/** The event with this caller-given id. */
export function eventByIdOf(
  session: Session,
  names: Names,
  stream: string,
  id: string,
): RecordedEvent | undefined {
  const streamId = streamIdOf(session, names, stream)
  if (streamId === undefined) return undefined
  const row = session.sql.byGivenId.get(streamId, id)
  return row === undefined ? undefined : toEvent(session, names, row, stream)
}

/** The row of the event with this caller-given id. */
export function rowByGivenId(session: Session, streamId: number, id: string): SqlRow | undefined {
  return session.sql.byGivenId.get(streamId, id)
}

/** A stream's head for the port. */
export function streamOf(session: Session, name: string): StreamInfo | undefined {
  const head = session.sql.headByName.get(askedName(name))
  return head === undefined ? undefined : streamInfo(session, name, head)
}

/** Pages of streams in the binary order of their names. */
export async function* streamsPages(
  access: ReadAccess,
  query: StreamsQuery,
  options: CallOptions,
): AsyncGenerator<readonly StreamInfo[]> {
  const { category, after, prefix = '' } = query
  let left = query.limit ?? UNBOUNDED
  // A category is its bare name and, further on, all names that begin with it and a dash.
  const asked = category === undefined ? undefined : askedName(category)
  const prefixes = asked === undefined ? [askedName(prefix)] : [asked, `${asked}-`]
  for (const start of prefixes) {
    const exact = asked !== undefined && start === asked
    let from = start
    let exclusive = false
    if (after !== undefined && Buffer.compare(Buffer.from(after), Buffer.from(start)) >= 0) {
      from = after
      exclusive = true
    }
    while (left > 0) {
      const page = await access.run((session) => {
        const statement = session.prepare(exclusive ? namesAfter : namesFrom)
        const rows = statement.all(from, exact ? 1 : PAGE_SIZE)
        const inRange = rows.filter((row) =>
          exact ? row[4] === start : String(row[4]).startsWith(start),
        )
        const wanted = inRange.filter((row) => {
          const name = String(row[4])
          return (
            name.startsWith(prefix) && (category === undefined || categoryOf(name) === category)
          )
        })
        const ended = exact || rows.length < PAGE_SIZE || inRange.length < rows.length
        const next = ended ? undefined : String(rows.at(-1)?.[4])
        const infos = wanted.slice(0, left).map((row) => streamInfo(session, String(row[4]), row))
        return { infos, next }
      }, options)
      left -= page.infos.length
      if (page.infos.length > 0) yield page.infos
      if (page.next === undefined) break
      if (exclusive) {
        assertOnward(Buffer.compare(Buffer.from(page.next), Buffer.from(from)) > 0)
      }
      from = page.next
      exclusive = true
    }
  }
}
