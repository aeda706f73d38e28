import type { Clock, Deadline } from '../../kernel/index.ts'
import {
  ForkTargetExistsError,
  OperationTimeoutError,
  systemEventTypes,
} from '../../model/index.ts'
import type { ForkOutcome, ForkRequest } from '../../ports/index.ts'
import { type Connections, type Row, statement } from './connections.ts'
import { isConnectionLoss, sqlStateOf } from './failures.ts'
import { makeTables, type RunText } from './migrations.ts'

/** Rows of one statement, between two of which a fork can be stopped. */
const PART_COUNT = 5000
const REDUCED_COUNT_MAX = 100

const { unarchived, archived, deleted, truncated } = systemEventTypes

/** The statements of a copy from one schema into another. */
function statements(source: string, target: string) {
  const part = `SELECT coalesce(max(position), $2::bigint) FROM (
    SELECT position FROM ${source}.events WHERE position > $1::bigint AND position <= $2::bigint
    ORDER BY position LIMIT ${PART_COUNT}) p`
  return {
    makeChanges: `CREATE TABLE ${target}.fork_changes (
      stream bigint, version bigint, position bigint, kind text, PRIMARY KEY (stream, version))`,
    dropChanges: `DROP TABLE ${target}.fork_changes`,
    types: `INSERT INTO ${target}.types (id, name) OVERRIDING SYSTEM VALUE
      SELECT id, name FROM ${source}.types`,
    part,
    // Both sides were made by the same steps, so that the columns are the same.
    events: `WITH copied AS (INSERT INTO ${target}.events SELECT * FROM ${source}.events
        WHERE position > $1::bigint AND position <= $2::bigint RETURNING 1)
      SELECT count(*) FROM copied`,
    changes: `INSERT INTO ${target}.fork_changes
      SELECT e.stream, e.version, e.position, t.name
      FROM ${source}.events e JOIN ${source}.types t ON t.id = e.type
      WHERE e.position > $1::bigint AND e.position <= $2::bigint AND t.name IN (
        '${unarchived}', '${archived}', '${deleted}', '${truncated}')`,
    newest: `SELECT coalesce(max(position), 0) FROM ${source}.events`,
    tags: `INSERT INTO ${target}.event_tags SELECT * FROM ${source}.event_tags
      WHERE (tag_hash, position) > ($1::bigint, $2::bigint)
        AND (tag_hash, position) <= ($3::bigint, $4::bigint) AND position <= $5::bigint`,
    tagPart: `SELECT tag_hash, position FROM ${source}.event_tags
      WHERE (tag_hash, position) > ($1::bigint, $2::bigint)
      ORDER BY tag_hash, position OFFSET ${PART_COUNT - 1} LIMIT 1`,
    streamPart: `SELECT id FROM ${source}.streams WHERE id > $1::bigint
      ORDER BY id OFFSET ${PART_COUNT - 1} LIMIT 1`,
    streams: streamsStatement(source, target),
    analyze: `ANALYZE ${target}.events`,
    sequences: ['types', 'streams'].map(
      (table) => `SELECT setval(pg_get_serial_sequence('${target}.${table}', 'id'), max(id))
        FROM ${target}.${table} HAVING max(id) IS NOT NULL`,
    ),
    position: `SELECT setval('${target}.events_position', $1::bigint) WHERE $1::bigint > 0`,
    safe: `UPDATE ${target}.safe_position SET position = $1::bigint`,
    reduced: `SELECT s.name, count(*) OVER () FROM ${source}.streams s
      WHERE s.id IN (SELECT stream FROM ${target}.fork_changes
        WHERE kind IN ('${deleted}', '${truncated}') AND position > $1::bigint)
      ORDER BY s.name LIMIT ${REDUCED_COUNT_MAX}`,
  }
}

/**
 * What a stream was is told by its last change that is kept. When that was truncated away, only
 * `$truncated` can have followed it; then the next change tells, or what the stream is today.
 */
const streamsStatement = (source: string, target: string): string => `
  WITH copied AS (INSERT INTO ${target}.streams (id, name, category, version, first_version, state)
    SELECT s.id, s.name, s.category, v.last, v.first, coalesce(
      (SELECT CASE WHEN c.kind = '${unarchived}' THEN 0 WHEN c.kind = '${archived}' THEN 1
          WHEN c.version = v.last THEN 2 ELSE 0 END
        FROM ${target}.fork_changes c
        WHERE c.stream = s.id AND c.kind <> '${truncated}' AND c.position <= $3::bigint
        ORDER BY c.version DESC LIMIT 1),
      CASE WHEN NOT EXISTS (SELECT 1 FROM ${target}.fork_changes c
        WHERE c.stream = s.id AND c.version = v.last AND c.kind = '${truncated}') THEN 0 END,
      (SELECT CASE WHEN c.kind = '${unarchived}' THEN 1 ELSE 0 END FROM ${target}.fork_changes c
        WHERE c.stream = s.id AND c.kind <> '${truncated}' AND c.position > $3::bigint
        ORDER BY c.version LIMIT 1),
      s.state)
    FROM ${source}.streams s
    CROSS JOIN LATERAL (SELECT max(e.version) AS last, min(e.version) AS first
      FROM ${target}.events e WHERE e.stream = s.id) v
    WHERE s.id > $1::bigint AND s.id <= $2::bigint AND v.last IS NOT NULL RETURNING 1)
  SELECT count(*) FROM copied`

const MOST = '9223372036854775807'

/** What a fork needs of the store that it copies. */
export interface ForkParts {
  readonly connections: Connections
  readonly schema: string
  readonly incarnation: string
  readonly clock: Clock
  readonly deadline: Deadline
  readonly timeoutMs: number
  /** Throws when the store is being closed. */
  readonly assertOpen: () => void
}

/**
 * Copies the log into a schema that is made for it, in one transaction: what is interrupted was
 * never there. It reads one snapshot, takes no lock that an append waits for, and draws none of
 * the source's positions.
 */
export async function forkSchema(parts: ForkParts, request: ForkRequest): Promise<ForkOutcome> {
  const { connections, deadline, incarnation } = parts
  const { into } = request
  const session = await connections.acquire('transactions', deadline)
  try {
    const run: RunText = async (text, values = []) =>
      (await connections.run(session, statement(text), values, deadline.leftMs())).rows
    await run('BEGIN ISOLATION LEVEL REPEATABLE READ')
    const there = await run('SELECT 1 FROM pg_namespace WHERE nspname = $1', [into])
    if (there.length > 0) throw new ForkTargetExistsError(into)
    await makeTables(session, run, into, incarnation, deadline).catch((error) => {
      // Somebody else made it since.
      if (['42P06', '23505'].includes(sqlStateOf(error) ?? '')) {
        throw new ForkTargetExistsError(into)
      }
      throw error
    })
    const outcome = await new Copy(run, parts, request).run()
    await run('COMMIT')
    return outcome
  } catch (error) {
    if (isConnectionLoss(error)) assertTime(parts)
    throw error
  } finally {
    // Its statements are for this one fork; and what failed has a transaction open.
    session.release(true)
  }
}

function assertTime({ deadline, timeoutMs }: ForkParts): void {
  if (deadline.leftMs() <= 0) throw new OperationTimeoutError('the fork', timeoutMs)
}

class Copy {
  readonly #run: RunText
  readonly #parts: ForkParts
  readonly #request: ForkRequest
  readonly #sql: ReturnType<typeof statements>

  constructor(run: RunText, parts: ForkParts, request: ForkRequest) {
    this.#run = run
    this.#parts = parts
    this.#request = request
    this.#sql = statements(parts.schema, request.into)
  }

  async run(): Promise<ForkOutcome> {
    const sql = this.#sql
    const { upTo, onProgress } = this.#request
    await this.#run(sql.makeChanges)
    await this.#run(sql.types)
    let events = 0
    await this.#positions(0, upTo, async (after, last) => {
      events += await this.#count(sql.events, after, last)
      onProgress?.(last)
    })
    const newest = await this.#count(sql.newest)
    await this.#positions(upTo, newest)
    await this.#run(sql.analyze)
    await this.#tags()
    const streams = await this.#streams()
    for (const text of sql.sequences) await this.#run(text)
    await this.#run(sql.position, [upTo])
    await this.#run(sql.safe, [upTo])
    const reduced = await this.#run(sql.reduced, [upTo])
    await this.#run(sql.dropChanges)
    return {
      ...{ incarnation: this.#parts.incarnation, events, streams },
      reduced: reduced.map(([name]) => String(name)),
      reducedCount: Number(reduced[0]?.[1] ?? 0),
    }
  }

  /** Parts of the log, with what became of the streams in them. */
  async #positions(
    from: number,
    upTo: number,
    copy?: (after: number, last: number) => Promise<void>,
  ): Promise<void> {
    for (let after = from; after < upTo; ) {
      this.#assertGoing()
      const last = await this.#count(this.#sql.part, after, upTo)
      await copy?.(after, last)
      await this.#run(this.#sql.changes, [after, last])
      after = last
    }
  }

  async #tags(): Promise<void> {
    for (let after: Row = ['-1', '0']; after[0] !== MOST; ) {
      this.#assertGoing()
      const last: Row = (await this.#run(this.#sql.tagPart, after))[0] ?? [MOST, MOST]
      await this.#run(this.#sql.tags, [...after, ...last, this.#request.upTo])
      after = last
    }
  }

  async #streams(): Promise<number> {
    let streams = 0
    for (let after = '0'; after !== MOST; ) {
      this.#assertGoing()
      const [row] = await this.#run(this.#sql.streamPart, [after])
      const last = row?.[0] ?? MOST
      streams += await this.#count(this.#sql.streams, after, last, this.#request.upTo)
      after = last
    }
    return streams
  }

  async #count(text: string, ...values: readonly unknown[]): Promise<number> {
    const [row] = await this.#run(text, values)
    return Number(row?.[0])
  }

  #assertGoing(): void {
    this.#parts.deadline.signal?.throwIfAborted()
    assertTime(this.#parts)
    this.#parts.assertOpen()
  }
}
