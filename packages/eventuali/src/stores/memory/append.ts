import {
  type BodyEncoder,
  decodeRow,
  type EncodedEvent,
  type ExpectedVersion,
  encodeEvent,
  textOfRow,
} from '../../model/index.ts'
import type {
  AppendCondition,
  AppendEntry,
  AppendedEntry,
  AppendOutcome,
  AppendRequest,
  InlineProjection,
} from '../../ports/index.ts'
import type { Layer } from './layer.ts'
import type { MemoryLog, MemoryRow, MemoryStream } from './log.ts'
import { matchesQuery } from './read.ts'

const conditionEventsMax = 100

type Refusal = Extract<AppendOutcome, { ok: false }>

interface EncodedEntry {
  readonly entry: AppendEntry
  readonly events: readonly EncodedEvent[]
}

/** A request whose events are text already. */
export interface EncodedRequest {
  readonly entries: readonly EncodedEntry[]
  readonly condition: AppendCondition | undefined
  readonly inline: AppendRequest['inline']
}

/** What an append works on. */
export interface AppendState {
  readonly log: MemoryLog
  readonly inline: Layer<InlineProjection>
}

/** Throws DataNotJsonError and EventTooLargeError, before anything is entered. */
export function encodeRequest(
  request: AppendRequest,
  encoder: BodyEncoder | undefined,
): EncodedRequest {
  return {
    entries: request.entries.map((entry) => ({
      entry,
      events: entry.events.map((event) => encodeEvent(entry.stream, event, encoder, false)),
    })),
    condition: request.condition,
    inline: request.inline,
  }
}

/** Decides and stores in one synchronous step: nothing is changed unless everything passes. */
export function applyAppend(
  { log, inline }: AppendState,
  request: EncodedRequest,
  recordedAt: number,
): AppendOutcome {
  const known = checkIds(log, request)
  if (known !== undefined) return known
  for (const { entry } of request.entries) {
    const refusal = checkStream(log.stream(entry.stream), entry)
    if (refusal !== undefined) return refusal
  }
  const failed = checkCondition(log, request.condition)
  if (failed !== undefined) return failed
  const missing = missingProjections(inline, request)
  if (missing.length > 0) return { ok: false, reason: 'projection-missing', projections: missing }
  return store(log, request, recordedAt)
}

function checkIds(log: MemoryLog, { entries }: EncodedRequest): AppendOutcome | undefined {
  let total = 0
  let knownCount = 0
  let conflict: Refusal | undefined
  const duplicates: AppendedEntry[] = []
  for (const { entry, events } of entries) {
    const ids = log.stream(entry.stream)?.ids
    const seen = new Set<string>()
    const known: MemoryRow[] = []
    let same = true
    for (const event of events) {
      if (!event.idGiven) continue
      const row = ids?.get(event.id)
      if (seen.has(event.id)) same = false
      seen.add(event.id)
      if (row === undefined) continue
      const previous = known.at(-1)
      if (row.type !== event.type || textOfRow(row) !== event.data) same = false
      if (previous !== undefined && previous.version >= row.version) same = false
      known.push(row)
    }
    total += events.length
    knownCount += known.length
    if (known.length > 0 || !same) {
      const named = known.length > 0 ? known.map((row) => row.id) : [...seen]
      const refusal: Refusal = {
        ok: false,
        reason: 'idempotency-conflict',
        stream: entry.stream,
        ids: named,
      }
      if (!same) return refusal
      conflict ??= refusal
    }
    const last = known.at(-1)
    if (last !== undefined) {
      duplicates.push({
        stream: entry.stream,
        version: last.version,
        positions: known.map((row) => row.position),
        recordedAt: last.recordedAt,
        duplicate: known.map(decodeRow),
      })
    }
  }
  if (knownCount === 0) return undefined
  return knownCount === total ? { ok: true, entries: duplicates } : conflict
}

function checkStream(stream: MemoryStream | undefined, entry: AppendEntry): Refusal | undefined {
  if (stream?.state === 'deleted' && entry.recreate !== true) {
    return { ok: false, reason: 'stream-deleted', stream: entry.stream }
  }
  const kind = entry.change?.kind
  if (stream?.state === 'archived' && (kind === undefined || kind === 'archive')) {
    return { ok: false, reason: 'stream-archived', stream: entry.stream }
  }
  const actualVersion = stream?.version ?? 0
  if (isExpected(entry.expectedVersion, stream)) return undefined
  const { expectedVersion } = entry
  return {
    ok: false,
    reason: 'version-conflict',
    stream: entry.stream,
    expectedVersion,
    actualVersion,
  }
}

function isExpected(expected: ExpectedVersion, stream: MemoryStream | undefined): boolean {
  if (expected === 'any') return true
  if (expected === 'exists') return stream !== undefined && stream.state !== 'deleted'
  return expected === (stream?.version ?? 0)
}

function checkCondition(
  log: MemoryLog,
  condition: AppendCondition | undefined,
): Refusal | undefined {
  if (condition === undefined) return undefined
  const rows: MemoryRow[] = []
  for (let i = log.indexAfter(condition.position); i < log.rows.length; i++) {
    const row = log.rows[i] as MemoryRow
    if (matchesQuery(row, condition.query)) rows.push(row)
    if (rows.length === conditionEventsMax) break
  }
  if (rows.length === 0) return undefined
  const { position } = condition
  return { ok: false, reason: 'condition-failed', events: rows.map(decodeRow), position }
}

/** The registered ones that handle a type of the request and that its caller does not run. */
function missingProjections(
  inline: Layer<InlineProjection>,
  { entries, inline: run = [] }: EncodedRequest,
): InlineProjection[] {
  const missing: InlineProjection[] = []
  for (const projection of inline.values()) {
    const { name, version, types } = projection
    if (run.some((one) => one.name === name && one.version === version)) continue
    if (!entries.some(({ events }) => events.some(({ type }) => types.includes(type)))) continue
    missing.push(projection)
  }
  return missing
}

interface Placed {
  readonly row: Omit<MemoryRow, 'position'>
  readonly entry: number
  readonly ordinal: number
}

function store(log: MemoryLog, { entries }: EncodedRequest, recordedAt: number): AppendOutcome {
  const placed: Placed[] = []
  entries.forEach(({ entry, events }, index) => {
    const stream = log.writable(entry.stream)
    applyChange(log, entry, stream)
    events.forEach((event, i) => {
      const version = stream.version + 1 + i
      const { body, ...encoded } = event
      const data = body ?? event.data
      const place = { stream: entry.stream, version, recordedAt }
      const row = { ...encoded, ...place, data, checksum: undefined }
      placed.push({ row, entry: index, ordinal: entry.ordinals?.[i] ?? placed.length })
    })
  })
  placed.sort((a, b) => a.ordinal - b.ordinal)
  const positions: number[][] = entries.map(() => [])
  for (const { row, entry } of placed) {
    const position = log.lastPosition + 1
    log.add({ ...row, position })
    positions[entry]?.push(position)
  }
  return {
    ok: true,
    entries: entries.map(({ entry }, index) => ({
      stream: entry.stream,
      version: log.writable(entry.stream).version,
      positions: positions[index] as number[],
      recordedAt,
    })),
  }
}

/** What an entry does to its stream before its events are added. */
function applyChange(log: MemoryLog, entry: AppendEntry, stream: MemoryStream): void {
  if (stream.state === 'deleted') stream.state = 'active'
  switch (entry.change?.kind) {
    case 'archive':
      stream.state = 'archived'
      break
    case 'unarchive':
      stream.state = 'active'
      break
    case 'truncate':
      log.removeBelow(entry.stream, Math.min(entry.change.before, stream.version + 1))
      break
    case 'delete':
      log.removeBelow(entry.stream, stream.version + 1)
      stream.state = 'deleted'
      break
    case undefined:
      break
  }
}
