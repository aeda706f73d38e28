import { codecOf, rowIsIntact } from '../../model/index.ts'
import type { CallOptions, StorageFault } from '../../ports/index.ts'
import { hasTagOf, tagHash } from '../sql/index.ts'
import type { SqlRow } from './driver.ts'
import type { Names } from './names.ts'
import type { ReadAccess } from './reads.ts'
import { pageRows, stateOf, storedRow } from './rows.ts'
import { eventColumns, type Session } from './session.ts'

const PAGE_SIZE = 500
const FAULT_COUNT_MAX = 100

const headPage = `SELECT s.id, s.name, s.version, s.first_version, s.state,
  count(e.version), min(e.version), max(e.version)
  FROM (SELECT * FROM eventuali_streams WHERE id > ? ORDER BY id LIMIT ?) s
  LEFT JOIN eventuali_events e ON e.stream_id = s.id
  GROUP BY s.id ORDER BY s.id`
const eventPage = `SELECT ${eventColumns}, e.codec FROM eventuali_events e WHERE e.position > ? ORDER BY e.position LIMIT ?`
const tagOfEvent = 'SELECT type_id FROM eventuali_event_tags WHERE tag_hash = ? AND position = ?'
const isThere = 'SELECT 1 FROM eventuali_events WHERE position = ?'
const tagPage = `SELECT t.tag_hash, t.position, t.type_id, e.type_id, e.tags
  FROM eventuali_event_tags t LEFT JOIN eventuali_events e ON e.position = t.position
  WHERE (t.tag_hash, t.position) > (?, ?) ORDER BY t.tag_hash, t.position LIMIT ?`
const lastEvent = 'SELECT max(position) FROM eventuali_events'

/** Faults of the pages and indexes, by SQLite's own check. */
function pageFaults(session: Session): StorageFault[] {
  const rows = session.prepare(`PRAGMA integrity_check(${FAULT_COUNT_MAX})`).all()
  return rows.filter(([text]) => text !== 'ok').map(([text]) => ({ reason: String(text) }))
}

function counterFaults(session: Session): StorageFault[] {
  const faults: StorageFault[] = []
  const last = Number(session.prepare(lastEvent).get()?.[0] ?? 0)
  const counter = Number(session.sql.lastPosition.get()?.[0] ?? -1)
  if (counter < last) {
    faults.push({
      kind: 'head',
      position: last,
      reason: `the counter of positions stands at ${counter}, below it`,
    })
  }
  return faults
}

function headFault(row: SqlRow): StorageFault | undefined {
  const [, name, version, firstVersion, state, count, first, last] = row
  const stream = String(name)
  const kind = 'head'
  const kept = (version as number) - (firstVersion as number) + 1
  if (count !== kept) {
    return { kind, stream, reason: `its head tells of ${kept} events, ${count} are there` }
  }
  if (kept > 0 && (first !== firstVersion || last !== version)) {
    return {
      ...{ kind, stream },
      reason: `its head tells of versions ${firstVersion} to ${version}, ${first} to ${last} are there`,
    }
  }
  if (stateOf(state) === 'deleted' && kept !== 1) {
    return { kind, stream, reason: 'it is deleted and holds more than its tombstone' }
  }
  return undefined
}

function rowFault(session: Session, names: Names, row: SqlRow): StorageFault | undefined {
  const stored = storedRow(session, names, row)
  const { position, stream } = stored
  if (stream === '') return { kind: 'head', position, reason: 'its stream is not there' }
  if (stored.type === '')
    return { kind: 'checksum', position, stream, reason: 'its type is not there' }
  if (!rowIsIntact(stored)) {
    return { kind: 'checksum', position, stream, reason: 'the row does not match its checksum' }
  }
  if (row[12] !== codecOf(stored.data)) {
    return {
      kind: 'checksum',
      position,
      stream,
      reason: `its data is not what its codec, ${row[12]}, says`,
    }
  }
  if (stored.tagsText === '') return undefined
  const lost = (JSON.parse(stored.tagsText) as string[]).find(
    (tag) => session.prepare(tagOfEvent).get(tagHash(tag), position)?.[0] !== row[3],
  )
  // Removed between the two statements, its tags with it.
  if (lost === undefined || session.prepare(isThere).get(position) === undefined) return undefined
  const reason = `its tag ${JSON.stringify(lost)} is missing in the index`
  return { kind: 'index', position, stream, reason }
}

/** A row of the index of tags, with the event that it names. */
function tagFault([hash, at, type, eventType, tags]: SqlRow): StorageFault | undefined {
  const position = Number(at)
  if (eventType === null) {
    const reason = 'the index of tags names an event that is not there'
    return { kind: 'index', position, reason }
  }
  // A wrong type is told of where the event itself is looked at.
  if (type !== eventType || hasTagOf(String(tags ?? '[]'), Number(hash))) return undefined
  return { kind: 'index', position, reason: 'the index of tags names a tag that it does not have' }
}

/** All faults below the events, page by page, in bounded memory. */
export async function* findFaults(
  access: ReadAccess,
  options: CallOptions,
): AsyncGenerator<StorageFault> {
  for (const check of [pageFaults, counterFaults]) {
    yield* await attempt(() => access.run(check, options))
  }
  yield* pages(access, options, [0], (session, _names, [after = 0]) => {
    const rows = session.prepare(headPage).all(after, PAGE_SIZE)
    const faults = rows.map(headFault).filter((fault) => fault !== undefined)
    return { faults, next: placeOf(rows.at(-1), 1) }
  })
  yield* pages(access, options, [-1, -1], (session, _names, after) => {
    const rows = session.prepare(tagPage).all(...after, PAGE_SIZE)
    const faults = rows.map(tagFault).filter((fault) => fault !== undefined)
    return { faults, next: placeOf(rows.at(-1), 2) }
  })
  yield* pages(access, options, [0], (session, names, [after = 0]) => {
    const { rows } = pageRows(session, session.prepare(eventPage), [after, PAGE_SIZE])
    const faults = rows
      .map((row) => rowFault(session, names, row))
      .filter((fault) => fault !== undefined)
    return { faults, next: placeOf(rows.at(-1), 1) }
  })
}

/** Where a row stands: the columns that its page is ordered by. */
type Place = readonly number[]

function placeOf(row: SqlRow | undefined, columnCount: number): Place | undefined {
  return row?.slice(0, columnCount).map(Number)
}

function isBeyond(place: Place, other: Place): boolean {
  const index = place.findIndex((number, column) => number !== other[column])
  return index >= 0 && (place[index] as number) > (other[index] as number)
}

type Page = (
  session: Session,
  names: Names,
  after: Place,
) => { readonly faults: readonly StorageFault[]; readonly next: Place | undefined }

async function* pages(
  access: ReadAccess,
  options: CallOptions,
  start: Place,
  page: Page,
): AsyncGenerator<StorageFault> {
  let after: Place | undefined = start
  while (after !== undefined) {
    const from: Place = after
    let next: Place | undefined
    const faults = await attempt(async () => {
      const found = await access.run((session, names) => page(session, names, from), options)
      next = found.next
      return found.faults
    })
    yield* faults
    after = next
    // A damaged page may lead in circles.
    if (after !== undefined && !isBeyond(after, from)) {
      yield {
        reason: `what comes after row ${from} cannot be reached: the rows lead back to ${after}`,
      }
      return
    }
  }
}

/** A part of the file that cannot be read is a fault like others. */
async function attempt(
  check: () => Promise<readonly StorageFault[]>,
): Promise<readonly StorageFault[]> {
  try {
    return await check()
  } catch (error) {
    const { code } = error as { code?: unknown }
    if (code !== 'STORAGE_FAILED') throw error
    return [{ reason: (error as Error).message }]
  }
}
