import { type Clock, type Deadline, deadlineIn } from '../../kernel/index.ts'
import {
  askedName,
  categoryOf,
  type RecordedEvent,
  type StreamInfo,
  type StreamState,
} from '../../model/index.ts'
import type {
  AppendCondition,
  AppendOutcome,
  AppendRequest,
  CallOptions,
  LogQuery,
  StreamQuery,
  StreamsQuery,
} from '../../ports/index.ts'
import { type Row, type Statement, statement } from './connections.ts'
import { eventColumns, knowTypes, toEvent } from './event-rows.ts'
import { type LogScan, logPage, pageColumns, rowGroups, scansOf } from './log-query.ts'
import type { TypeNames } from './type-names.ts'

const PAGE_COUNT_FIRST = 256
const PAGE_COUNT_MAX = 1000
/** What a page should weigh; the next one's count follows from the last one's size. */
const PAGE_BYTES_GOAL = 4 * 1024 * 1024
const STREAMS_PAGE_COUNT = 500
const CONFLICT_COUNT_MAX = 100

/** Runs a statement of a read, on some connection or in a transaction. */
export type RunRead = (
  sql: Statement,
  values: readonly unknown[],
  deadline: Deadline,
) => Promise<readonly Row[]>

/** A page of raw rows, and where the next one begins. */
interface RawPage {
  readonly rows: readonly Row[]
  readonly more: boolean
}

function pageBytes(rows: readonly Row[]): number {
  let bytes = 1
  for (const row of rows) bytes += (row[5] ?? row[12] ?? '').length + (row[6]?.length ?? 0) + 200
  return bytes
}

/**
 * How many positions to look at for a page. A bounded range costs little under any plan; without
 * it, a planner that has no statistics yet sorts the rest of the log for each page. Wider when
 * nothing was found, and at last without bound.
 */
function windowWidths(
  query: LogQuery,
  { typeIds, tags }: LogScan,
  count: number,
): readonly number[] {
  const everything =
    typeIds === undefined &&
    tags.length === 0 &&
    query.categories === undefined &&
    query.since === undefined
  const width = everything && query.until === undefined ? count : Math.max(1000, 4 * count)
  return [width, 16 * width, 256 * width, Number.MAX_SAFE_INTEGER]
}

function nextCount(rows: readonly Row[]): number {
  const wanted = Math.floor((PAGE_BYTES_GOAL * rows.length) / pageBytes(rows))
  return Math.max(8, Math.min(PAGE_COUNT_MAX, wanted))
}

/** All reads of events and streams; in a transaction they see its own appends. */
export class Reads {
  readonly #run: RunRead
  readonly #types: TypeNames
  readonly #clock: Clock
  readonly #schema: string
  readonly #timeoutMs: number
  readonly #statements = new Map<string, Statement>()

  constructor(options: {
    readonly run: RunRead
    readonly types: TypeNames
    readonly clock: Clock
    readonly schema: string
    readonly timeoutMs: number
  }) {
    this.#run = options.run
    this.#types = options.types
    this.#clock = options.clock
    this.#schema = options.schema
    this.#timeoutMs = options.timeoutMs
  }

  async *readStream(
    query: StreamQuery,
    options: CallOptions = {},
  ): AsyncGenerator<readonly RecordedEvent[]> {
    const forward = query.direction === 'forward'
    let from = Math.max(1, query.from ?? 1)
    let to = Math.min(query.to ?? Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
    const by = query.asOf?.by === 'recordedAt' ? 'recorded_at' : 'time'
    const moment = query.asOf === undefined ? '' : ` AND e.${by} <= $5::bigint`
    // Versions are dense, so a page is a range of its own size: whatever the planner believes
    // about the table, it cannot sort the whole stream for it.
    const range = forward
      ? 'e.version < greatest($2::bigint, s.first_version) + $4::bigint'
      : 'e.version > least($3::bigint, s.version) - $4::bigint'
    const page = query.asOf === undefined ? ` AND ${range}` : ''
    const sql = this.#statement(
      `SELECT ${pageColumns} FROM ${this.#schema}.streams s
       JOIN ${this.#schema}.events e ON e.stream = s.id
       WHERE s.name = $1 AND e.version >= $2::bigint AND e.version <= $3::bigint${moment}${page}
       ORDER BY e.version ${forward ? 'ASC' : 'DESC'} LIMIT $4::bigint`,
    )
    const fetch = async (limit: number): Promise<RawPage> => {
      const values: unknown[] = [query.stream, from, to, limit]
      if (query.asOf !== undefined) values.push(query.asOf.at)
      const rows = await this.#query(sql, values, options)
      const last = rows.at(-1)
      if (last !== undefined && forward) from = Number(last[2]) + 1
      else if (last !== undefined) to = Number(last[2]) - 1
      return { rows, more: rows.length === limit && from <= to }
    }
    yield* this.#pages(fetch, query.limit, undefined, options)
  }

  async *readLog(
    query: LogQuery,
    options: CallOptions = {},
  ): AsyncGenerator<readonly RecordedEvent[]> {
    const deadline = this.#deadline(options)
    const scans = await scansOf(query, (names) => this.#types.find(names, deadline))
    const [only] = scans
    if (only === undefined) return
    if (scans.length === 1) yield* this.#scan(query, only, query.limit, options)
    else yield* this.#merge(query, scans, options)
  }

  async eventById(
    stream: string,
    id: string,
    options: CallOptions = {},
  ): Promise<RecordedEvent | undefined> {
    const sql = this.#statement(
      `SELECT ${eventColumns} FROM ${this.#schema}.streams s
       JOIN ${this.#schema}.events e ON e.stream = s.id
       WHERE s.name = $1 AND e.id = $2 AND (e.flags & 3) <> 0 AND (e.flags & 1) = 1`,
    )
    const [event] = await this.#decode(await this.#query(sql, [stream, id], options), options)
    return event
  }

  async stream(name: string, options: CallOptions = {}): Promise<StreamInfo | undefined> {
    const sql = this.#statement(`${this.#infoSelect()} WHERE s.name = $1`)
    const [row] = await this.#query(sql, [askedName(name)], options)
    return row === undefined ? undefined : toInfo(row)
  }

  async *streams(
    query: StreamsQuery,
    options: CallOptions = {},
  ): AsyncGenerator<readonly StreamInfo[]> {
    let after = query.after ?? ''
    let left = query.limit ?? Number.POSITIVE_INFINITY
    const prefix = askedName(query.prefix ?? '')
    const byCategory = query.category === undefined ? '' : ' AND s.category = $4'
    // The name order is that of bytes, so a prefix is a range.
    const sql = this.#statement(
      `${this.#infoSelect()} WHERE s.name > $1 AND s.name >= $2 AND starts_with(s.name, $2)${byCategory}
       ORDER BY s.name LIMIT $3::bigint`,
    )
    while (left > 0) {
      const limit = Math.min(left, STREAMS_PAGE_COUNT)
      const values: unknown[] = [after, prefix, limit]
      if (query.category !== undefined) values.push(askedName(query.category))
      const rows = await this.#query(sql, values, options)
      if (rows.length === 0) return
      yield rows.map(toInfo)
      left -= rows.length
      if (rows.length < limit) return
      after = (rows.at(-1) as Row)[0] as string
    }
  }

  /** The refusal of a condition, with the events that caused it. */
  async conditionEvents(request: AppendRequest, options: CallOptions): Promise<AppendOutcome> {
    const { query, position } = request.condition as AppendCondition
    const events: RecordedEvent[] = []
    const asked: LogQuery = {
      query,
      after: position,
      direction: 'forward',
      includeArchived: true,
      limit: CONFLICT_COUNT_MAX,
      upTo: Number.MAX_SAFE_INTEGER - 1,
    }
    for await (const page of this.readLog(asked, options)) events.push(...page)
    return { ok: false, reason: 'condition-failed', events, position }
  }

  #infoSelect(): string {
    const time = (version: string): string =>
      `(SELECT e.time FROM ${this.#schema}.events e WHERE e.stream = s.id AND e.version = ${version})`
    return `SELECT s.name, s.version, s.first_version, s.state, ${time('s.first_version')}, ${time('s.version')}
      FROM ${this.#schema}.streams s`
  }

  async *#scan(
    query: LogQuery,
    scan: LogScan,
    limit: number | undefined,
    options: CallOptions,
  ): AsyncGenerator<readonly RecordedEvent[]> {
    const forward = query.direction === 'forward'
    const end = Math.min(query.upTo, Number.MAX_SAFE_INTEGER - 1) + 1
    let after = query.after ?? 0
    let before = Math.min(query.before ?? end, end)
    const fetch = async (count: number): Promise<RawPage> => {
      for (const width of windowWidths(query, scan, count)) {
        const high = forward ? Math.min(before, after + width + 1) : before
        const low = forward ? after : Math.max(after, before - width - 1)
        const bounds = { after: low, before: high, limit: count }
        const { text, values } = logPage(this.#schema, query, scan, bounds)
        const rows = await this.#query(this.#statement(text), values, options)
        const full = rows.length === count
        const end = full ? Number(rows.at(-1)?.[0]) : undefined
        const whole = !full && high === before && low === after
        if (forward) after = end ?? high - 1
        else before = end ?? low + 1
        if (rows.length > 0 || whole) return { rows, more: !whole }
      }
      return { rows: [], more: false }
    }
    // The index goes by hashes; the event's own tags decide.
    const fits = (event: RecordedEvent): boolean => scan.tags.every((t) => event.tags.includes(t))
    const check = scan.tags.length === 0 ? undefined : fits
    yield* this.#pages(fetch, limit, check, options, query.pageSize)
  }

  /** Several scans side by side, each event once. */
  async *#merge(
    query: LogQuery,
    scans: readonly LogScan[],
    options: CallOptions,
  ): AsyncGenerator<readonly RecordedEvent[]> {
    const sign = query.direction === 'forward' ? 1 : -1
    const cursors = scans.map((scan) => ({
      pages: this.#scan(query, scan, undefined, options),
      page: [] as readonly RecordedEvent[],
      at: 0,
      done: false,
    }))
    let left = query.limit ?? Number.POSITIVE_INFINITY
    const countMax = query.pageSize ?? PAGE_COUNT_MAX
    let out: RecordedEvent[] = []
    try {
      while (left > 0) {
        for (const cursor of cursors) {
          if (cursor.done || cursor.at < cursor.page.length) continue
          const next = await cursor.pages.next()
          cursor.done = next.done === true
          cursor.page = next.done === true ? [] : next.value
          cursor.at = 0
        }
        let best: RecordedEvent | undefined
        for (const { page, at } of cursors) {
          const event = page[at]
          if (event === undefined) continue
          if (best === undefined || (event.position - best.position) * sign < 0) best = event
        }
        if (best === undefined) break
        for (const cursor of cursors) {
          if (cursor.page[cursor.at]?.position === best.position) cursor.at++
        }
        out.push(best)
        left--
        if (out.length >= countMax) {
          yield out
          out = []
        }
      }
      if (out.length > 0) yield out
    } finally {
      for (const { pages } of cursors) await pages.return(undefined)
    }
  }

  /** Pages one after another, the next one on its way while the caller has the last. */
  async *#pages(
    fetch: (count: number) => Promise<RawPage>,
    limit: number | undefined,
    check: ((event: RecordedEvent) => boolean) | undefined,
    options: CallOptions,
    pageSize?: number,
  ): AsyncGenerator<readonly RecordedEvent[]> {
    let left = limit ?? Number.POSITIVE_INFINITY
    if (left <= 0) return
    let page = await fetch(Math.min(left, pageSize ?? PAGE_COUNT_FIRST))
    while (page.rows.length > 0) {
      const wanted = Math.min(pageSize ?? PAGE_COUNT_MAX, nextCount(page.rows))
      // With a check behind the query, fewer may be left than were fetched.
      const rest = check === undefined ? left - page.rows.length : left
      const next = page.more && rest > 0 ? fetch(Math.min(rest, wanted)) : undefined
      next?.catch(() => {})
      for await (const events of this.#whole(page.rows, options)) {
        const fitting = (check === undefined ? events : events.filter(check)).slice(0, left)
        left -= fitting.length
        if (fitting.length > 0) yield fitting
      }
      if (next === undefined || left <= 0) return
      page = await next
    }
  }

  /** Decodes a page; large events are fetched a few at a time when it is their turn. */
  async *#whole(
    rows: readonly Row[],
    options: CallOptions,
  ): AsyncGenerator<readonly RecordedEvent[]> {
    for (const group of rowGroups(rows)) {
      const whole = group.large ? await this.#largeRows(group.rows, options) : group.rows
      if (whole.length > 0) yield await this.#decode(whole, options)
    }
  }

  /** The rows again with their data, in the same order. */
  async #largeRows(rows: readonly Row[], options: CallOptions): Promise<readonly Row[]> {
    const sql = this.#statement(
      `SELECT ${eventColumns} FROM ${this.#schema}.events e
       JOIN ${this.#schema}.streams s ON s.id = e.stream WHERE e.position = ANY($1::bigint[])`,
    )
    const positions = rows.map(([position]) => position)
    const found = await this.#query(sql, [`{${positions.join(',')}}`], options)
    const byPosition = new Map(found.map((row) => [row[0], row]))
    return positions.map((at) => byPosition.get(at)).filter((row) => row !== undefined)
  }

  async #decode(rows: readonly Row[], options: CallOptions): Promise<readonly RecordedEvent[]> {
    await knowTypes(rows, this.#types, this.#deadline(options))
    return rows.map((row) => toEvent(row, this.#types))
  }

  #query(
    sql: Statement,
    values: readonly unknown[],
    options: CallOptions,
  ): Promise<readonly Row[]> {
    options.signal?.throwIfAborted()
    return this.#run(sql, values, this.#deadline(options))
  }

  #deadline(options: CallOptions): Deadline {
    return deadlineIn(this.#clock, options.timeoutMs ?? this.#timeoutMs, options.signal)
  }

  #statement(text: string): Statement {
    let known = this.#statements.get(text)
    if (known === undefined) {
      known = statement(text)
      this.#statements.set(text, known)
    }
    return known
  }
}

const states: readonly StreamState[] = ['active', 'archived', 'deleted']

function toInfo(row: Row): StreamInfo {
  const stream = row[0] as string
  const version = Number(row[1])
  const firstVersion = Number(row[2])
  const time = (text: string | null | undefined): Date | undefined =>
    text == null ? undefined : new Date(Number(text))
  return {
    stream,
    category: categoryOf(stream),
    version,
    firstVersion,
    count: version - firstVersion + 1,
    state: states[Number(row[3])] as StreamState,
    firstTime: time(row[4]),
    lastTime: time(row[5]),
  }
}
