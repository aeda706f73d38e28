import { codecOf, Recoding } from '../../model/index.ts'
import type { RecodeRequest, RecodeStep } from '../../ports/index.ts'
import type { Names } from './names.ts'
import { storedRow } from './rows.ts'
import { eventColumns, type Session } from './session.ts'

const nextRows = `SELECT ${eventColumns} FROM eventuali_events e
  WHERE e.position > ? AND e.position <= ? ORDER BY e.position LIMIT ?`
const setData = 'UPDATE eventuali_events SET codec = ?, data = ? WHERE position = ?'

/** Stores a part of the log's data in another way; in the caller's transaction. */
export function recodePart(session: Session, names: Names, request: RecodeRequest): RecodeStep {
  const { codec, after, upTo, countMax } = request
  const recoding = new Recoding(codec, after)
  let full = false
  for (const row of session.prepare(nextRows).iterate(after, upTo, countMax)) {
    full = !recoding.add(storedRow(session, names, row))
    if (full) break
  }
  const update = session.prepare(setData)
  for (const { position, data } of recoding.changes) update.run(codecOf(data), data, position)
  const { seen, changes, bytesBefore, bytesAfter } = recoding
  const position = full || seen === countMax ? recoding.position : upTo
  return { position, seen, changed: changes.length, bytesBefore, bytesAfter }
}
