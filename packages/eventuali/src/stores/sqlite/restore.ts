import {
  checksumOf,
  codecOf,
  expandedBytes,
  type KeptRow,
  type RestoredHead,
  RestoredPart,
  textOfRow,
} from '../../model/index.ts'
import type { RestoreRequest } from '../../ports/index.ts'
import { tagHash } from '../sql/index.ts'
import { flagIdGiven, flagLarge, largeEventBytes, stateOf, stateValue } from './rows.ts'
import { insertBody, type Session } from './session.ts'
import { removeBelow } from './stream-rows.ts'

const mark = "INSERT OR REPLACE INTO eventuali_meta VALUES ('restoring', '1')"
const unmark = "DELETE FROM eventuali_meta WHERE key = 'restoring'"

/** Puts rows back, in the caller's transaction. */
export function restorePart(session: Session, { rows, upTo, last }: RestoreRequest): void {
  const { sql } = session
  const newest = Number(sql.lastPosition.get()?.[0])
  const ids = new Map<string, number>()
  const known = new Map<string, RestoredHead>()
  for (const { stream } of rows) {
    if (ids.has(stream)) continue
    const head = sql.headByName.get(stream)
    ids.set(stream, Number(head?.[0] ?? 0))
    if (head === undefined) continue
    const [, version, firstVersion] = head as readonly number[] as [number, number, number]
    known.set(stream, { version, firstVersion, state: stateOf(head[3]) })
  }
  const part = new RestoredPart(known, newest)
  for (const row of rows) part.add(row)
  for (const [stream, before] of part.reduced) removeBelow(session, ids.get(stream) ?? 0, before)
  for (const [stream, head] of part.heads) ids.set(stream, putHead(session, stream, head, ids))
  const types = new Map<string, number>()
  for (const row of part.rows) insertRow(session, row, ids.get(row.stream) as number, types)
  sql.setLastPosition.run(Math.max(newest, rows.at(-1)?.position ?? 0, upTo ?? 0))
  session.connection.exec(last ? unmark : mark)
}

function putHead(
  { sql }: Session,
  stream: string,
  { version, firstVersion, state }: RestoredHead,
  ids: ReadonlyMap<string, number>,
): number {
  const id = ids.get(stream) as number
  if (id === 0) {
    const made = sql.insertHead.run(stream, version, firstVersion, stateValue(state))
    return Number(made.lastInsertRowid)
  }
  sql.setHead.run(version, firstVersion, stateValue(state), id)
  return id
}

function insertRow(
  session: Session,
  row: KeptRow,
  streamId: number,
  types: Map<string, number>,
): void {
  const { data, metadata, tagsText, position } = row
  const typeId = typeIdOf(session, row.type, types)
  const checksum = row.checksum ?? checksumOf(row.stream, { ...row, data: textOfRow(row) })
  const bytes = expandedBytes(data) + metadata.length + tagsText.length
  const flags = (row.idGiven ? flagIdGiven : 0) + (bytes >= largeEventBytes ? flagLarge : 0)
  session
    .prepare(insertBody)
    .run(
      ...[position, streamId, row.version, typeId, row.id, row.time, row.recordedAt],
      ...[row.schemaVersion, codecOf(data), flags, checksum, tenantOf(metadata)],
      ...[tagsText === '' ? null : tagsText, metadata === '' ? null : metadata, data],
    )
  if (tagsText === '') return
  for (const tag of JSON.parse(tagsText) as string[]) {
    session.sql.insertTag.run(tagHash(tag), position, typeId)
  }
}

function typeIdOf({ sql }: Session, name: string, types: Map<string, number>): number {
  const known = types.get(name)
  if (known !== undefined) return known
  const id = Number(sql.typeId.get(name)?.[0] ?? sql.insertType.run(name).lastInsertRowid)
  types.set(name, id)
  return id
}

function tenantOf(metadata: string): string | null {
  if (!metadata.includes('"tenant"')) return null
  const { tenant } = JSON.parse(metadata) as { readonly tenant?: unknown }
  return typeof tenant === 'string' ? tenant : null
}
