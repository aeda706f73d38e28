import type { Deadline } from '../../kernel/index.ts'
import { codecOf, Recoding } from '../../model/index.ts'
import type { RecodeRequest, RecodeStep } from '../../ports/index.ts'
import { statement } from './connections.ts'
import { eventColumnCount, eventColumns, knowTypes, storedRow } from './event-rows.ts'
import type { Run } from './settle.ts'
import type { TypeNames } from './type-names.ts'

/** Bytes of stored data that one part fetches. */
const FETCH_BYTES_MAX: number = 4 * 1024 * 1024
/** From this size on, before compression, a body is marked as that of a large event. */
const LARGE_BYTES: number = 32 * 1024
const separator = '\u001f'

const nextRows = (schema: string): string => `
  SELECT ${eventColumns}, p.last
  FROM (SELECT x.position, x.before, max(x.position) OVER () AS last
        FROM (SELECT e.position, coalesce(sum(coalesce(pg_column_size(e.data), pg_column_size(e.body)))
                OVER (ORDER BY e.position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
              FROM ${schema}.events e WHERE e.position > $1::bigint AND e.position <= $2::bigint
              ORDER BY e.position LIMIT $3::bigint) x) p
  JOIN ${schema}.events e ON e.position = p.position
  JOIN ${schema}.streams s ON s.id = e.stream
  WHERE p.before < ${FETCH_BYTES_MAX} ORDER BY e.position`

const setData = (schema: string): string => `
  UPDATE ${schema}.events e
  SET codec = u.codec, data = u.data::json, body = decode(u.body, 'base64'),
      flags = (e.flags & ~4) | u.large
  FROM unnest($1::bigint[], $2::smallint[], $3::smallint[], string_to_array($4, E'\\x1f', ''),
              string_to_array($5, E'\\x1f', '')) AS u(position, codec, large, data, body)
  WHERE e.position = u.position`

/** Stores a part of the log's data in another way; in the caller's transaction. */
export async function recodePart(
  run: Run,
  types: TypeNames,
  schema: string,
  request: RecodeRequest,
  deadline: Deadline,
): Promise<RecodeStep> {
  const { codec, after, upTo, countMax } = request
  const rows = await run(statement(nextRows(schema)), [after, upTo, countMax])
  await knowTypes(rows, types, deadline)
  const recoding = new Recoding(codec, after)
  let all = true
  for (const row of rows) {
    all = recoding.add(storedRow(row, types))
    if (!all) break
  }
  const { changes, seen, bytesBefore, bytesAfter } = recoding
  if (changes.length > 0) {
    const large = changes.map(({ data, textBytes }) =>
      typeof data !== 'string' && textBytes >= LARGE_BYTES ? 4 : 0,
    )
    await run(statement(setData(schema)), [
      changes.map(({ position }) => position),
      changes.map(({ data }) => codecOf(data)),
      large,
      changes.map(({ data }) => (typeof data === 'string' ? data : '')).join(separator),
      changes
        .map(({ data }) => (typeof data === 'string' ? '' : Buffer.from(data).toString('base64')))
        .join(separator),
    ])
  }
  const last = Number(rows.at(-1)?.[eventColumnCount] ?? after)
  const position = all && seen < countMax && recoding.position === last ? upTo : recoding.position
  return { position, seen, changed: changes.length, bytesBefore, bytesAfter }
}
