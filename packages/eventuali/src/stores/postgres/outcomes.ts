import type { EncodedEvent, RecordedEvent } from '../../model/index.ts'
import type { AppendedEntry, AppendOutcome } from '../../ports/index.ts'
import type { Row } from './connections.ts'
import { type EncodedEntry, inLogOrder, type PreparedAppend } from './requests.ts'

/** What became of one request in the database, before details are looked up. */
export type Verdict =
  | { readonly kind: 'done'; readonly outcome: AppendOutcome }
  /** A lock or a stream is held by another transaction. */
  | { readonly kind: 'busy' }
  /** Some of its ids are in the streams already. */
  | { readonly kind: 'known' }
  /** An event that its condition names is there. */
  | { readonly kind: 'condition' }

function numbers(text: string | null | undefined): readonly number[] {
  if (text === null || text === undefined || text === '{}') return []
  return text.slice(1, -1).split(',').map(Number)
}

/** Reads the answer of `append_v1`. */
export function readVerdicts(
  row: Row,
  requests: readonly PreparedAppend[],
  recordedAt: number,
): readonly Verdict[] {
  const [status, atEntry, actual, versions, positions] = row.map(numbers) as [
    readonly number[],
    readonly number[],
    readonly number[],
    readonly number[],
    readonly number[],
  ]
  const cursor = { entry: 0, position: 0 }
  return requests.map((prepared, i): Verdict => {
    const code = status[i] ?? 0
    if (code === 0) {
      const entries = stored(prepared, versions, positions, cursor, recordedAt)
      return { kind: 'done', outcome: { ok: true, entries } }
    }
    cursor.entry += prepared.entries.length
    return refused(prepared, code, atEntry[i] ?? 1, actual[i] ?? 0)
  })
}

function stored(
  { entries }: PreparedAppend,
  versions: readonly number[],
  positions: readonly number[],
  cursor: { entry: number; position: number },
  recordedAt: number,
): readonly AppendedEntry[] {
  const own: number[][] = entries.map(() => [])
  for (const { entry, number } of inLogOrder(entries)) {
    ;(own[entry] as number[])[number] = positions[cursor.position++] as number
  }
  return entries.map(({ entry }, i) => ({
    stream: entry.stream,
    version: versions[cursor.entry++] as number,
    positions: own[i] as number[],
    recordedAt,
  }))
}

function refused(
  { request }: PreparedAppend,
  code: number,
  atEntry: number,
  actualVersion: number,
): Verdict {
  if (code === 1) return { kind: 'busy' }
  if (code === 3) return { kind: 'condition' }
  if (code === 4) return { kind: 'known' }
  const entry = request.entries[atEntry - 1] as PreparedAppend['request']['entries'][number]
  const { stream, expectedVersion } = entry
  if (code === 2) {
    const detail = { stream, expectedVersion, actualVersion }
    return { kind: 'done', outcome: { ok: false, reason: 'version-conflict', ...detail } }
  }
  const reason = code === 5 ? 'stream-deleted' : 'stream-archived'
  return { kind: 'done', outcome: { ok: false, reason, stream } }
}

/** Rows of the request's ids as the streams hold them, by stream. */
export type KnownRows = ReadonlyMap<string, ReadonlyMap<string, KnownRow>>

export interface KnownRow {
  readonly event: RecordedEvent
  /** Its data as JSON text, for an exact comparison. */
  readonly data: string
}

function sameContent(
  known: ReadonlyMap<string, KnownRow>,
  events: readonly EncodedEvent[],
): boolean {
  let before = 0
  for (const { id, type, data } of events) {
    const row = known.get(id)
    if (row === undefined || row.event.type !== type || row.data !== data) return false
    if (row.event.version <= before) return false
    before = row.event.version
  }
  return true
}

/**
 * Decides over a request some of whose ids are known: the very same append gives the first
 * result, anything else is a conflict. Undefined when none is there any more (a deletion came
 * between), so that the append may be tried again.
 */
export function decideKnown(
  { entries, attempts }: PreparedAppend,
  rows: KnownRows,
): AppendOutcome | undefined {
  // By its own ids: other requests of the group may have stored events in the same streams.
  const isThere = ({ entry, events }: EncodedEntry): boolean => {
    const known = rows.get(entry.stream)
    return known !== undefined && events.some(({ id }) => known.has(id))
  }
  if (!entries.some(isThere)) return undefined
  for (const { entry, events } of entries) {
    const known = rows.get(entry.stream) ?? new Map<string, KnownRow>()
    if (sameContent(known, events)) continue
    const ids = events.filter((event) => known.has(event.id)).map((event) => event.id)
    return blame(entries, rows, entry.stream, ids)
  }
  return { ok: true, entries: entries.map((e) => repeated(e, rows, attempts)) }
}

/** The stream to name in a conflict is one that holds some of the ids. */
function blame(
  entries: readonly EncodedEntry[],
  rows: KnownRows,
  stream: string,
  ids: readonly string[],
): AppendOutcome {
  if (ids.length > 0) return { ok: false, reason: 'idempotency-conflict', stream, ids }
  for (const { entry, events } of entries) {
    const known = rows.get(entry.stream)
    const own = events.filter((event) => known?.has(event.id)).map((event) => event.id)
    if (own.length > 0) {
      return { ok: false, reason: 'idempotency-conflict', stream: entry.stream, ids: own }
    }
  }
  return { ok: false, reason: 'idempotency-conflict', stream, ids }
}

/** The result of an append that is there: of an earlier call, or of our own lost attempt. */
function repeated(
  { entry, events }: EncodedEntry,
  rows: KnownRows,
  attempts: readonly number[],
): AppendedEntry {
  const known = events
    .map(({ id }) => (rows.get(entry.stream) as ReadonlyMap<string, KnownRow>).get(id) as KnownRow)
    .map((row) => row.event)
  const last = known.at(-1) as RecordedEvent
  const recordedAt = last.recordedAt.getTime()
  const result = {
    stream: entry.stream,
    version: last.version,
    positions: known.map((event) => event.position),
    recordedAt,
  }
  return attempts.includes(recordedAt) ? result : { ...result, duplicate: known }
}

/** A request that gives one stream the same id twice contradicts itself. */
export function repeatedId({ entries, hasGivenIds }: PreparedAppend): AppendOutcome | undefined {
  if (!hasGivenIds) return undefined
  for (const { entry, events } of entries) {
    const seen = new Set<string>()
    for (const { id } of events) {
      if (seen.has(id)) {
        const ids = [id]
        return { ok: false, reason: 'idempotency-conflict', stream: entry.stream, ids }
      }
      seen.add(id)
    }
  }
  return undefined
}
