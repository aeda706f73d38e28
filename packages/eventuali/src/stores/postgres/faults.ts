import type { Clock } from '../../kernel/index.ts'
import { deadlineIn } from '../../kernel/index.ts'
import { categoryOf, codecOf, rowIsIntact, type StoredRow } from '../../model/index.ts'
import type { CallOptions, StorageFault } from '../../ports/index.ts'
import { hasTagOf, tagHash } from '../sql/index.ts'
import { type Connections, type Row, statement } from './connections.ts'
import { eventColumnCount, eventColumns, knowTypes, storedRow } from './event-rows.ts'
import { sqlStateOf } from './failures.ts'
import { type CheckRead, indexFaults } from './index-faults.ts'
import type { TypeNames } from './type-names.ts'

const PAGE_COUNT = 200
const HEADS_PAGE_COUNT = 1000
const TAGS_PAGE_COUNT = 1000
const DELETED = '2'

/** Looks for rows that do not fit each other or their checksum. */
export async function* findFaults(
  connections: Connections,
  types: TypeNames,
  clock: Clock,
  schema: string,
  timeoutMs: number,
  options: CallOptions,
): AsyncGenerator<StorageFault> {
  const deadline = () => deadlineIn(clock, options.timeoutMs ?? timeoutMs, options.signal)
  const read: CheckRead = (sql, values) => connections.read(statement(sql), values, deadline())
  const known = (rows: readonly Row[]) => knowTypes(rows, types, deadline())
  yield* readable(counterFaults(read, schema))
  yield* readable(headFaults(read, schema))
  yield* readable(eventFaults(read, known, types, schema))
  yield* readable(tagFaults(read, schema))
  yield* readable(indexFaults(read, schema))
}

/** A part of the database that cannot be read is a fault like others. */
async function* readable(faults: AsyncGenerator<StorageFault>): AsyncGenerator<StorageFault> {
  try {
    yield* faults
  } catch (error) {
    // Class XX: what the server found damaged, or did not expect.
    if (sqlStateOf(error)?.startsWith('XX') !== true) throw error
    yield { reason: (error as Error).message }
  }
}

async function* counterFaults(read: CheckRead, schema: string): AsyncGenerator<StorageFault> {
  const [row] = await read(
    `SELECT (SELECT max(position) FROM ${schema}.events), s.last_value,
       (SELECT position FROM ${schema}.safe_position)
     FROM ${schema}.events_position s`,
    [],
  )
  const [last, drawn, safe] = (row as Row).map(Number) as [number, number, number]
  const kind = 'head'
  if (drawn < last) {
    const reason = `the sequence of positions stands at ${drawn}, below it`
    yield { kind, position: last, reason }
  }
  if (safe > Math.max(drawn, last)) {
    const reason = `the stored safe position is ${safe}, no position above ${drawn} was drawn`
    yield { kind, position: safe, reason }
  }
}

async function* headFaults(read: CheckRead, schema: string): AsyncGenerator<StorageFault> {
  const heads = `SELECT s.id, s.name, s.version, s.first_version, x.count, x.least, x.most, s.state, s.category
     FROM (SELECT * FROM ${schema}.streams WHERE id > $1::bigint ORDER BY id LIMIT ${HEADS_PAGE_COUNT}) s
     CROSS JOIN LATERAL (SELECT count(*) AS count, min(e.version) AS least, max(e.version) AS most
                         FROM ${schema}.events e WHERE e.stream = s.id) x
     ORDER BY s.id`
  for (let after = '0'; ; ) {
    const rows = await read(heads, [after])
    for (const row of rows) {
      const [, name, version, first, count, least, most, state, category] = row
      const stream = name as string
      const kind = 'head'
      if (category !== categoryOf(stream)) {
        yield { kind: 'name', stream, reason: `its head says category ${category}` }
      }
      const kept = Number(version) - Number(first) + 1
      const fits = kept === 0 ? Number(count) === 0 : least === first && most === version
      if (!fits || Number(count) !== kept) {
        const found = `${count} events with versions ${least ?? 'none'} to ${most ?? 'none'}`
        const reason = `its head says versions ${first} to ${version}, the log has ${found}`
        yield { kind, stream, reason }
      } else if (state === DELETED && kept !== 1) {
        yield { kind, stream, reason: 'it is deleted and holds more than its tombstone' }
      }
    }
    if (rows.length < HEADS_PAGE_COUNT) return
    after = rows.at(-1)?.[0] as string
  }
}

async function* eventFaults(
  read: CheckRead,
  known: (rows: readonly Row[]) => Promise<void>,
  types: TypeNames,
  schema: string,
): AsyncGenerator<StorageFault> {
  const events = `SELECT ${eventColumns}, e.codec FROM ${schema}.events e LEFT JOIN ${schema}.streams s ON s.id = e.stream
     WHERE e.position > $1::bigint ORDER BY e.position LIMIT ${PAGE_COUNT}`
  for (let after = 0; ; ) {
    const rows = await read(events, [after])
    await known(rows)
    const tagged: StoredRow[] = []
    for (const row of rows) {
      const position = Number(row[0])
      after = position
      if (row[1] === null) yield { kind: 'head', position, reason: 'its stream has no head' }
      else if (types.nameOf(row[3] as string) === undefined)
        yield { kind: 'checksum', position, reason: 'its type is unknown' }
      else {
        const stored = storedRow(row, types)
        const reason = rowFault(stored, Number(row[eventColumnCount]))
        if (reason !== undefined) {
          yield { kind: 'checksum', position, stream: row[1] as string, reason }
        } else if (stored.tagsText !== '') tagged.push(stored)
      }
    }
    yield* lostTags(read, schema, tagged)
    if (rows.length < PAGE_COUNT) return
  }
}

function rowFault(row: StoredRow, codec: number): string | undefined {
  if (!rowIsIntact(row)) return 'its checksum does not fit'
  return codec === codecOf(row.data) ? undefined : `its data is not what its codec, ${codec}, says`
}

/** Tags of events that the index lacks, or has with another type; of events still there. */
async function* lostTags(
  read: CheckRead,
  schema: string,
  rows: readonly StoredRow[],
): AsyncGenerator<StorageFault> {
  if (rows.length === 0) return
  const all = rows.flatMap(({ position, stream, tagsText }) =>
    (JSON.parse(tagsText) as string[]).map((tag) => ({ position, stream, tag })),
  )
  const lost = await read(
    `SELECT u.n FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS u(hash, position, n)
     JOIN ${schema}.events e ON e.position = u.position
     LEFT JOIN ${schema}.event_tags t ON t.tag_hash = u.hash AND t.position = u.position
     WHERE t.type IS DISTINCT FROM e.type ORDER BY u.n`,
    [all.map(({ tag }) => tagHash(tag)), all.map(({ position }) => position)],
  )
  for (const [n] of lost) {
    const { position, stream, tag } = all[Number(n) - 1] as (typeof all)[number]
    const reason = `its tag ${JSON.stringify(tag)} is missing in the index`
    yield { kind: 'index', position, stream, reason }
  }
}

/** Rows of the index of tags that no event stands behind. */
async function* tagFaults(read: CheckRead, schema: string): AsyncGenerator<StorageFault> {
  const tags = `SELECT t.tag_hash, t.position, e.position, e.tags
     FROM ${schema}.event_tags t LEFT JOIN ${schema}.events e ON e.position = t.position
     WHERE (t.tag_hash, t.position) > ($1::bigint, $2::bigint)
     ORDER BY t.tag_hash, t.position LIMIT ${TAGS_PAGE_COUNT}`
  for (let after: readonly unknown[] = [-1, -1]; ; ) {
    const rows = await read(tags, after)
    for (const [hash, at, found, text] of rows) {
      const position = Number(at)
      if (found === null) {
        const reason = 'the index of tags names an event that is not there'
        yield { kind: 'index', position, reason }
      } else if (!hasTagOf(text ?? '[]', Number(hash))) {
        const reason = 'the index of tags names a tag that it does not have'
        yield { kind: 'index', position, reason }
      }
    }
    const last = rows.at(-1)
    if (rows.length < TAGS_PAGE_COUNT || last === undefined) return
    after = [last[0], last[1]]
  }
}
