import type { Json, KeptRow } from '../../model/index.ts'
import type { StoredRecord } from '../../ports/index.ts'

/** A record without its revision, which begins anew where it is put back. */
export type KeptRecord = Omit<StoredRecord, 'revision'>

/** A row of the log as a line: an array, so that names are not written a million times. */
export function rowLine(row: KeptRow): string {
  const { data, archived } = row
  return JSON.stringify([
    ...[row.position, row.stream, row.version, row.type, row.id, row.idGiven ? 1 : 0],
    ...[row.time, row.recordedAt, row.schemaVersion, row.checksum ?? null, row.tagsText],
    row.metadata,
    typeof data === 'string' ? data : [Buffer.from(data).toString('base64')],
    ...(archived === undefined ? [] : [archived ? 1 : 0]),
  ])
}

/** The row of a line. Throws for what is none. */
export function rowOf(line: string): KeptRow {
  const fields = JSON.parse(line) as readonly unknown[]
  const [position, stream, version, type, id, idGiven, time, recordedAt, schemaVersion] = fields
  const [checksum, tagsText, metadata, data, archived] = fields.slice(9)
  const texts = [stream, type, id, tagsText, metadata]
  const numbers = [position, version, time, recordedAt, schemaVersion, checksum ?? 0]
  const isRow = texts.every(isText) && numbers.every(Number.isFinite)
  const body = typeof data === 'string' ? data : bodyOf(data)
  if (!isRow || body === undefined) throw new TypeError('a line is no event')
  return {
    ...{ position: position as number, stream: stream as string, version: version as number },
    ...{ type: type as string, id: id as string, idGiven: idGiven === 1 },
    ...{ time: time as number, recordedAt: recordedAt as number },
    ...{ schemaVersion: schemaVersion as number, tagsText: tagsText as string },
    ...{ checksum: (checksum as number | null) ?? undefined, metadata: metadata as string },
    data: body,
    ...(archived === undefined ? {} : { archived: archived === 1 }),
  }
}

const isText = (value: unknown): boolean => typeof value === 'string'

function bodyOf(data: unknown): Uint8Array | undefined {
  const [base64] = Array.isArray(data) ? (data as readonly unknown[]) : []
  return typeof base64 === 'string' ? Buffer.from(base64, 'base64') : undefined
}

/** A record as a line. */
export function recordLine({ kind, key, state, due, value }: StoredRecord): string {
  return JSON.stringify([kind, key, state ?? null, due ?? null, value])
}

/** The record of a line. Throws for what is none. */
export function recordOf(line: string): KeptRecord {
  const [kind, key, state, due, value] = JSON.parse(line) as readonly unknown[]
  if (!isText(kind) || !isText(key) || value === undefined) {
    throw new TypeError('a line is no record')
  }
  return {
    ...{ kind: kind as string, key: key as string, value: value as Json },
    state: (state as string | null) ?? undefined,
    due: (due as number | null) ?? undefined,
  }
}
