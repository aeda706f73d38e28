import type { Clock } from '../../kernel/index.ts'
import { deadlineIn } from '../../kernel/index.ts'
import { codecOf, rowIsIntact, type StoredRow } from '../../model/index.ts'
import type { CallOptions, StorageFault } from '../../ports/index.ts'
import { type Connections, statement } from './connections.ts'
import { eventColumnCount, eventColumns, knowTypes, storedRow } from './event-rows.ts'
import type { TypeNames } from './type-names.ts'

const PAGE_COUNT = 200
const HEADS_PAGE_COUNT = 1000

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
  const heads = statement(
    `SELECT s.id, s.name, s.version, s.first_version, x.count, x.least, x.most
     FROM (SELECT * FROM ${schema}.streams WHERE id > $1::bigint ORDER BY id LIMIT ${HEADS_PAGE_COUNT}) s
     CROSS JOIN LATERAL (SELECT count(*) AS count, min(e.version) AS least, max(e.version) AS most
                         FROM ${schema}.events e WHERE e.stream = s.id) x
     ORDER BY s.id`,
  )
  for (let after = '0'; ; ) {
    const rows = await connections.read(heads, [after], deadline())
    for (const row of rows) {
      const [, name, version, first, count, least, most] = row
      const kept = Number(version) - Number(first) + 1
      const fits = kept === 0 ? Number(count) === 0 : least === first && most === version
      if (fits && Number(count) === kept) continue
      const found = `${count} events with versions ${least ?? 'none'} to ${most ?? 'none'}`
      const reason = `its head says versions ${first} to ${version}, the log has ${found}`
      yield { stream: name as string, reason }
    }
    if (rows.length < HEADS_PAGE_COUNT) break
    after = rows.at(-1)?.[0] as string
  }
  const events = statement(
    `SELECT ${eventColumns}, e.codec FROM ${schema}.events e LEFT JOIN ${schema}.streams s ON s.id = e.stream
     WHERE e.position > $1::bigint ORDER BY e.position LIMIT ${PAGE_COUNT}`,
  )
  for (let after = 0; ; ) {
    const rows = await connections.read(events, [after], deadline())
    await knowTypes(rows, types, deadline())
    for (const row of rows) {
      const position = Number(row[0])
      after = position
      if (row[1] === null) yield { position, reason: 'its stream has no head' }
      else if (types.nameOf(row[3] as string) === undefined)
        yield { position, reason: 'its type is unknown' }
      else {
        const reason = rowFault(storedRow(row, types), Number(row[eventColumnCount]))
        if (reason !== undefined) yield { position, stream: row[1] as string, reason }
      }
    }
    if (rows.length < PAGE_COUNT) return
  }
}

function rowFault(row: StoredRow, codec: number): string | undefined {
  if (!rowIsIntact(row)) return 'its checksum does not fit'
  return codec === codecOf(row.data) ? undefined : `its data is not what its codec, ${codec}, says`
}
