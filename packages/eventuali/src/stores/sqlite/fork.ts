import { existsSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Clock, type Deadline, publishFile, sleep } from '../../kernel/index.ts'
import {
  ForkTargetExistsError,
  InvalidArgumentError,
  OperationTimeoutError,
  systemEventTypes,
} from '../../model/index.ts'
import type { ForkOutcome, ForkRequest } from '../../ports/index.ts'
import type { SqlConnection, SqlDriver, SqlInput, SqlRow } from './driver.ts'
import { migrateOneStep } from './migrations.ts'

/** Rows and bytes that are copied before the event loop has its turn. */
const PART_COUNT = 2000
const PART_BYTES: number = 4 * 1024 * 1024
const REDUCED_COUNT_MAX = 100

/**
 * Changes of streams, from before the position and from after it: `kind` is 0 unarchived,
 * 1 archived, 2 deleted, 3 truncated.
 */
const ownTables = `
  CREATE TEMP TABLE kinds (type_id INTEGER PRIMARY KEY, kind INTEGER NOT NULL) STRICT;
  CREATE TEMP TABLE changes (
    stream_id INTEGER NOT NULL, version INTEGER NOT NULL, position INTEGER NOT NULL,
    kind INTEGER NOT NULL, PRIMARY KEY (stream_id, version)
  ) STRICT, WITHOUT ROWID`
const kinds = [
  systemEventTypes.unarchived,
  systemEventTypes.archived,
  systemEventTypes.deleted,
  systemEventTypes.truncated,
]

const sql = {
  knowKind: `INSERT INTO temp.kinds SELECT id, ? FROM source.eventuali_types WHERE name = ?`,
  types: 'INSERT INTO main.eventuali_types SELECT * FROM source.eventuali_types',
  sizes: `SELECT position, octet_length(data) FROM source.eventuali_events
    WHERE position > ? AND position <= ? ORDER BY position LIMIT ${PART_COUNT}`,
  // Both sides were made by the same steps, so that the columns are the same.
  events: `INSERT INTO main.eventuali_events SELECT * FROM source.eventuali_events
    WHERE position > ? AND position <= ?`,
  changes: `INSERT INTO temp.changes
    SELECT e.stream_id, e.version, e.position, k.kind
    FROM source.eventuali_events e CROSS JOIN temp.kinds k ON k.type_id = e.type_id
    WHERE e.position > ? AND e.position <= ?`,
  laterPart: `SELECT position FROM source.eventuali_events
    WHERE position > ? ORDER BY position LIMIT 1 OFFSET ${PART_COUNT - 1}`,
  tagPart: `SELECT tag_hash, position FROM source.eventuali_event_tags
    WHERE (tag_hash, position) > (?, ?) ORDER BY tag_hash, position
    LIMIT 1 OFFSET ${PART_COUNT - 1}`,
  tags: `INSERT INTO main.eventuali_event_tags SELECT * FROM source.eventuali_event_tags
    WHERE (tag_hash, position) > (?, ?) AND (tag_hash, position) <= (?, ?) AND position <= ?`,
  streamPart: `SELECT id FROM source.eventuali_streams
    WHERE id > ? ORDER BY id LIMIT 1 OFFSET ${PART_COUNT - 1}`,
  // What a stream was is told by its last change that is kept. When that was truncated away, only
  // `$truncated` can have followed it; then the next change tells, or what the stream is today.
  streams: `INSERT INTO main.eventuali_streams
    SELECT s.id, s.name, s.last, s.first, coalesce(
      (SELECT CASE WHEN c.kind < 2 THEN c.kind WHEN c.version = s.last THEN 2 ELSE 0 END
        FROM temp.changes c WHERE c.stream_id = s.id AND c.kind < 3 AND c.position <= s.up_to
        ORDER BY c.version DESC LIMIT 1),
      CASE WHEN NOT EXISTS (SELECT 1 FROM temp.changes c
        WHERE c.stream_id = s.id AND c.version = s.last AND c.kind = 3) THEN 0 END,
      (SELECT c.kind = 0 FROM temp.changes c
        WHERE c.stream_id = s.id AND c.kind < 3 AND c.position > s.up_to
        ORDER BY c.version LIMIT 1),
      s.state)
    FROM (SELECT x.id, x.name, x.state, ? AS up_to,
        (SELECT max(version) FROM main.eventuali_events e WHERE e.stream_id = x.id) AS last,
        (SELECT min(version) FROM main.eventuali_events e WHERE e.stream_id = x.id) AS first
      FROM source.eventuali_streams x WHERE x.id > ? AND x.id <= ?) s
    WHERE s.last IS NOT NULL`,
  head: 'UPDATE main.eventuali_head SET last_position = ?',
  reduced: `SELECT s.name, count(*) OVER () FROM source.eventuali_streams s
    WHERE s.id IN (SELECT stream_id FROM temp.changes WHERE kind >= 2 AND position > ?)
    ORDER BY s.name LIMIT ${REDUCED_COUNT_MAX}`,
} as const

const MOST = Number.MAX_SAFE_INTEGER

/** What a fork needs of the store that it copies. */
export interface ForkParts {
  readonly source: string
  readonly incarnation: string
  readonly clock: Clock
  readonly deadline: Deadline
  readonly timeoutMs: number
  /** Opens a connection of the same build as the store's. */
  readonly open: (file: string) => SqlConnection
  /** Opens one that only reads what is copied. */
  readonly openSource: () => SqlConnection
  /** Copies a file page by page; see the driver. */
  readonly copy: SqlDriver['copy']
  /** Runs what may meet a lock. */
  readonly free: <T>(work: () => T) => Promise<T>
  /** Throws when the store is being closed. */
  readonly assertOpen: () => void
}

/**
 * Copies the log into a file beside the wanted one, in one read transaction, and gives it its name
 * when it is complete and on disk: a crash leaves at most a file that nobody takes for the fork.
 */
export async function forkFile(parts: ForkParts, request: ForkRequest): Promise<ForkOutcome> {
  const file = targetFile(request.into)
  const unfinished = `${file}.${parts.incarnation}.unfinished`
  const connection = parts.open(unfinished)
  let outcome: ForkOutcome
  try {
    try {
      // Nobody else knows the file, and what fails is thrown away: it needs no journal.
      connection.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF')
      while (migrateOneStep(connection, parts.incarnation)) {
        // Step by step, like any new log.
      }
      connection.prepare('ATTACH ? AS source').run(parts.source)
      outcome = await new Copy(connection, parts, request).run()
    } finally {
      connection.close()
    }
    if (!publishFile(unfinished, file)) throw new ForkTargetExistsError(file)
  } finally {
    rmSync(unfinished, { force: true })
  }
  return outcome
}

/** The path of a fork, where nothing is yet. Throws InvalidArgumentError, ForkTargetExistsError. */
export function targetFile(into: string): string {
  const file = into.startsWith('sqlite:') ? into.slice('sqlite:'.length) : into
  if (file === '' || file === ':memory:') {
    throw new InvalidArgumentError('into', 'is not the path of a file')
  }
  if (!existsSync(dirname(file))) {
    throw new InvalidArgumentError('into', `is in ${dirname(file)}, a folder that is not there`)
  }
  for (const found of [file, `${file}-wal`]) {
    if (existsSync(found)) throw new ForkTargetExistsError(found)
  }
  return file
}

class Copy {
  readonly #connection: SqlConnection
  readonly #parts: ForkParts
  readonly #request: ForkRequest

  constructor(connection: SqlConnection, parts: ForkParts, request: ForkRequest) {
    this.#connection = connection
    this.#parts = parts
    this.#request = request
  }

  async run(): Promise<ForkOutcome> {
    const { upTo } = this.#request
    this.#connection.exec(ownTables)
    this.#connection.exec('BEGIN')
    // The first read is where the copy stands still: what others commit later is not seen.
    await this.#parts.free(() => this.#row('SELECT 1 FROM source.eventuali_meta'))
    this.#do(sql.types)
    kinds.forEach((type, kind) => {
      this.#do(sql.knowKind, kind, type)
    })
    const events = await this.#events()
    if (this.#row('SELECT 1 FROM temp.kinds') !== undefined) await this.#laterChanges()
    await this.#tags()
    const streams = await this.#streams()
    this.#do(sql.head, upTo)
    const reduced = this.#connection.prepare(sql.reduced).all(upTo)
    this.#connection.exec('COMMIT')
    return {
      ...{ incarnation: this.#parts.incarnation, events, streams },
      reduced: reduced.map(([name]) => String(name)),
      reducedCount: Number(reduced[0]?.[1] ?? 0),
    }
  }

  async #events(): Promise<number> {
    const { upTo, onProgress } = this.#request
    const sizes = this.#connection.prepare(sql.sizes)
    let events = 0
    for (let after = 0; ; ) {
      let last = after
      let bytes = 0
      for (const [position, size] of sizes.iterate(after, upTo)) {
        last = position as number
        bytes += size as number
        if (bytes >= PART_BYTES) break
      }
      if (last === after) return events
      events += this.#do(sql.events, after, last)
      this.#do(sql.changes, after, last)
      after = last
      onProgress?.(after)
      await this.#turn()
    }
  }

  /** Parts of the rest of the log, for what became of the streams. */
  async #laterChanges(): Promise<void> {
    let after = this.#request.upTo
    while (after < MOST) {
      const last = (this.#row(sql.laterPart, after)?.[0] ?? MOST) as number
      this.#do(sql.changes, after, last)
      after = last
      await this.#turn()
    }
  }

  async #tags(): Promise<void> {
    let after: SqlRow = [-1, 0]
    while (after[0] !== MOST) {
      const last: SqlRow = this.#row(sql.tagPart, ...after) ?? [MOST, MOST]
      this.#do(sql.tags, ...after, ...last, this.#request.upTo)
      after = last
      await this.#turn()
    }
  }

  async #streams(): Promise<number> {
    let streams = 0
    let after = 0
    while (after < MOST) {
      const last = (this.#row(sql.streamPart, after)?.[0] ?? MOST) as number
      streams += this.#do(sql.streams, this.#request.upTo, after, last)
      after = last
      await this.#turn()
    }
    return streams
  }

  #do(text: string, ...values: readonly SqlInput[]): number {
    return Number(this.#connection.prepare(text).run(...values).changes)
  }

  #row(text: string, ...values: readonly SqlInput[]): SqlRow | undefined {
    return this.#connection.prepare(text).get(...values)
  }

  /** Lets the appends of this process in. */
  async #turn(): Promise<void> {
    const { clock, deadline, timeoutMs, assertOpen } = this.#parts
    if (deadline.leftMs() <= 0) throw new OperationTimeoutError('the fork', timeoutMs)
    await sleep(clock, 0, deadline.signal)
    assertOpen()
  }
}
