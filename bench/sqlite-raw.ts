import type { Random } from 'eventuali'
import { systemClock, systemRandom, uuidV7Source } from 'eventuali'
import { checksumOf } from '../packages/eventuali/src/model/index.ts'
import { loadBetterDriver } from '../packages/eventuali/src/stores/sqlite/better-driver.ts'
import { configureWriter } from '../packages/eventuali/src/stores/sqlite/database.ts'
import type {
  DriverName,
  SqlDriver,
  SqlStatement,
} from '../packages/eventuali/src/stores/sqlite/driver.ts'
import { Names } from '../packages/eventuali/src/stores/sqlite/names.ts'
import { loadNodeDriver } from '../packages/eventuali/src/stores/sqlite/node-driver.ts'
import { planLog } from '../packages/eventuali/src/stores/sqlite/query.ts'
import { Session } from '../packages/eventuali/src/stores/sqlite/session.ts'
import type { BenchEvent } from './workload.ts'

/** What a raw loop does beside the statements. */
export interface RawParts {
  /** Writes the stream's head row, reads and writes the row of the last position. */
  readonly headRows: boolean
  /** Draws a UUIDv7 and computes a CRC-32 for each event, as the store does. */
  readonly idsAndChecksums: boolean
}

const someId = '0190c8a4-5b1e-7c3d-9f2a-6d8e4b7a1c05'
const pageSize = 1000

async function driverOf(name: DriverName): Promise<SqlDriver> {
  const driver = name === 'node:sqlite' ? loadNodeDriver() : await loadBetterDriver()
  if (driver === undefined) throw new Error('this Node brings no SQLite')
  return driver
}

interface Head {
  readonly id: number
  version: number
  readonly firstVersion: number
  readonly state: number
}

/** An event as a raw loop gives it back. */
export interface RawEvent {
  readonly position: number
  readonly stream: number
  readonly version: number
  readonly type: number
  readonly data: unknown
  readonly metadata: unknown
}

/**
 * The store's own statements, prepared once through its driver with its pragmas, in a plain
 * synchronous loop: what a careful programmer would write for just this job.
 */
export class RawSqlite {
  readonly #session: Session
  readonly #parts: RawParts
  readonly #ids: { next(): string }
  readonly #heads = new Map<string, Head>()
  readonly #stream: SqlStatement
  readonly #log: SqlStatement
  readonly #typeId: number

  private constructor(session: Session, parts: RawParts, random: Random) {
    this.#session = session
    this.#parts = parts
    this.#ids = uuidV7Source(systemClock, random)
    this.#stream = session.sql.streamForward
    const range = { after: 0, upTo: 1, direction: 'forward', countMax: pageSize } as const
    this.#log = session.prepare(planLog(session, new Names(), {}, range)?.text ?? '')
    this.#typeId = Number(session.sql.typeId.get('OrderPlaced')?.[0])
  }

  static async open(file: string, driver: DriverName, parts: RawParts): Promise<RawSqlite> {
    const connection = (await driverOf(driver)).open(file, false)
    configureWriter(connection, 'durable')
    return new RawSqlite(new Session(connection), parts, systemRandom)
  }

  close(): void {
    this.#session.connection.close()
  }

  /** One transaction: each stream with its events. */
  append(entries: readonly (readonly [stream: string, events: readonly BenchEvent[]])[]): void {
    const { sql } = this.#session
    const now = Date.now()
    const { headRows } = this.#parts
    sql.begin.run()
    // Without its row the counter lives in the loop, as a sequence of the database would.
    let position = headRows ? Number(sql.lastPosition.get()?.[0]) : this.#lastPosition
    for (const [stream, events] of entries) {
      const head = this.#headOf(stream)
      for (const event of events) {
        this.#insert(stream, head.id, ++position, ++head.version, event, now)
      }
      if (headRows) sql.setHead.run(head.version, head.firstVersion, head.state, head.id)
    }
    if (headRows) sql.setLastPosition.run(position)
    this.#lastPosition = position
    sql.commit.run()
  }

  /** A stream, its data and metadata parsed. */
  load(stream: string): RawEvent[] {
    const rows = this.#stream.all(this.#headOf(stream).id, 1, Number.MAX_SAFE_INTEGER, pageSize)
    return rows.map(rawEvent)
  }

  /** The whole log in pages; returns how many events it has. */
  scan(): number {
    let after = 0
    let count = 0
    for (;;) {
      const page = this.#log.all(after, Number.MAX_SAFE_INTEGER, pageSize).map(rawEvent)
      count += page.length
      if (page.length < pageSize) return count
      after = (page.at(-1) as RawEvent).position
    }
  }

  #lastPosition = 1_000_000

  /** Read once and kept, as a single writer may. */
  #headOf(stream: string): Head {
    let head = this.#heads.get(stream)
    if (head === undefined) {
      const row = this.#session.sql.headByName.get(stream) as readonly number[]
      const [id = 0, version = 0, firstVersion = 1, state = 0] = row
      head = { id, version, firstVersion, state }
      this.#heads.set(stream, head)
    }
    return head
  }

  #insert(
    stream: string,
    streamId: number,
    position: number,
    version: number,
    event: BenchEvent,
    now: number,
  ): void {
    const data = JSON.stringify(event.data)
    const metadata = JSON.stringify(event.metadata)
    let id = someId
    let checksum = 0
    if (this.#parts.idsAndChecksums) {
      id = this.#ids.next()
      const { type } = event
      const row = { id, type, data, metadata, time: now, schemaVersion: 1, tagsText: '' }
      checksum = checksumOf(stream, row)
    }
    this.#session.sql.insertEvent.run(
      position,
      streamId,
      version,
      this.#typeId,
      id,
      now,
      now,
      1,
      0,
      checksum,
      null,
      null,
      metadata,
      data,
    )
  }
}

function rawEvent(row: readonly unknown[]): RawEvent {
  return {
    position: row[0] as number,
    stream: row[1] as number,
    version: row[2] as number,
    type: row[3] as number,
    data: JSON.parse(row[11] as string),
    metadata: JSON.parse(row[10] as string),
  }
}
