import type { Deadline } from '../../kernel/index.ts'
import {
  type BodyEncoder,
  decodeRow,
  type EncodedEvent,
  type ExpectedVersion,
  encodeEvent,
  NumbersExhaustedError,
  type StoredRow,
  textOfRow,
} from '../../model/index.ts'
import type {
  AppendCondition,
  AppendEntry,
  AppendedEntry,
  AppendOutcome,
  AppendRequest,
} from '../../ports/index.ts'
import type { Sized } from '../sql/index.ts'
import { EventRows, type NumberedEvent } from './event-rows.ts'
import type { Head, HeadCache } from './heads.ts'
import { Names } from './names.ts'
import { conditionEvents, rowByGivenId } from './reads.ts'
import { stateOf, stateValue, storedRow } from './rows.ts'
import type { Session } from './session.ts'
import { removeBelow } from './stream-rows.ts'

const CONDITION_EVENT_COUNT_MAX = 100
/** The last position, and the last version: the one after it is still exact. */
const NUMBER_MAX = Number.MAX_SAFE_INTEGER - 1
/** So few are compared with each other in less time than a set of them takes. */
const FEW = 8

type Refusal = Extract<AppendOutcome, { ok: false }>

interface PreparedEntry {
  readonly entry: AppendEntry
  readonly events: readonly EncodedEvent[]
}

/** A request whose events are text already. */
export interface PreparedRequest extends Sized {
  readonly entries: readonly PreparedEntry[]
  readonly condition: AppendCondition | undefined
  readonly anyIdGiven: boolean
  readonly deadline: Deadline
}

/** Throws DataNotJsonError and EventTooLargeError, before anything is entered. */
export function prepareRequest(
  request: AppendRequest,
  deadline: Deadline,
  encoder: BodyEncoder | undefined,
): PreparedRequest {
  let eventCount = 0
  let bytes = 0
  let anyIdGiven = false
  const entries: PreparedEntry[] = []
  for (const entry of request.entries) {
    const events: EncodedEvent[] = []
    for (const event of entry.events) {
      const encoded = encodeEvent(entry.stream, event, encoder)
      if (encoded.idGiven) anyIdGiven = true
      bytes += encoded.bytes
      events.push(encoded)
    }
    eventCount += events.length
    entries.push({ entry, events })
  }
  return { entries, condition: request.condition, anyIdGiven, deadline, eventCount, bytes }
}

/**
 * The appends of one open transaction. Each decides on what its predecessors left, and refuses
 * before it writes anything, so that refusals need no savepoint.
 */
export class AppendUnit {
  readonly #session: Session
  readonly #committed: Names
  readonly #recordedAt: number
  readonly #heads = new Map<string, Head>()
  readonly #types = new Map<string, number>()
  readonly #known: HeadCache | undefined
  #lastPosition: number
  #stored = false

  /** Of `committed` and `known` nothing is changed before `promote`. */
  constructor(
    session: Session,
    committed: Names,
    recordedAt: number,
    known?: HeadCache | undefined,
  ) {
    this.#session = session
    this.#committed = committed
    this.#recordedAt = recordedAt
    this.#known = known
    this.#lastPosition = Number(session.sql.lastPosition.get()?.[0])
    known?.check(this.#lastPosition)
  }

  /** Whether anything was stored. */
  get stored(): boolean {
    return this.#stored
  }

  append(request: PreparedRequest): AppendOutcome {
    if (request.anyIdGiven) {
      const known = this.#checkIds(request)
      if (known !== undefined) return known
    }
    for (const { entry } of request.entries) {
      const refusal = this.#checkStream(entry)
      if (refusal !== undefined) return refusal
    }
    if (request.condition !== undefined) {
      const refusal = this.#checkCondition(request.condition)
      if (refusal !== undefined) return refusal
    }
    return this.#store(request)
  }

  /** Writes what was counted in memory. Call once, before the commit. */
  flush(): void {
    if (!this.#stored) return
    const { sql } = this.#session
    for (const head of this.#heads.values()) {
      if (!head.changed) continue
      head.changed = false
      sql.setHead.run(head.version, head.firstVersion, stateValue(head.state), head.id)
    }
    sql.setLastPosition.run(this.#lastPosition)
  }

  /** Only after the commit: from here on the ids are known to the whole store. */
  promote(): void {
    this.#known?.put(this.#heads.values(), this.#lastPosition)
    for (const [name, id] of this.#types) this.#committed.addType(id, name)
  }

  #head(name: string): Head {
    let head = this.#heads.get(name)
    if (head !== undefined) return head
    const known = this.#known?.get(name)
    if (known !== undefined) {
      const { id, version, firstVersion, state } = known
      head = { id, name, version, firstVersion, state, changed: false }
      this.#heads.set(name, head)
      return head
    }
    const row = this.#session.sql.headByName.get(name)
    const [id, version, firstVersion] = (row ?? [0, 0, 1]) as [number, number, number]
    head = { id, name, version, firstVersion, state: stateOf(row?.[3]), changed: false }
    this.#heads.set(name, head)
    return head
  }

  #typeId(name: string): number {
    let id = this.#committed.knownTypeId(name) ?? this.#types.get(name)
    if (id !== undefined) return id
    const { sql } = this.#session
    const found = sql.typeId.get(name)?.[0]
    id = Number(found ?? sql.insertType.run(name).lastInsertRowid)
    this.#types.set(name, id)
    return id
  }

  #checkIds(request: PreparedRequest): AppendOutcome | undefined {
    // Names of its own: the rows may be uncommitted ones of a predecessor.
    const names = new Names()
    let knownCount = 0
    let conflict: Refusal | undefined
    const duplicates: AppendedEntry[] = []
    for (const { entry, events } of request.entries) {
      const { stream } = entry
      const { id: streamId } = this.#head(stream)
      // All that most lines of an import need.
      if (areDistinct(events) && !this.#isAnyKnown(streamId, events)) continue
      const seen = new Set<string>()
      const known: StoredRow[] = []
      let same = true
      for (const event of events) {
        if (!event.idGiven) continue
        if (seen.has(event.id)) same = false
        seen.add(event.id)
        const found = streamId === 0 ? undefined : rowByGivenId(this.#session, streamId, event.id)
        if (found === undefined) continue
        const row = storedRow(this.#session, names, found, stream)
        const previous = known.at(-1)
        if (row.type !== event.type || textOfRow(row) !== event.data) same = false
        if (previous !== undefined && previous.version >= row.version) same = false
        known.push(row)
      }
      knownCount += known.length
      if (known.length > 0 || !same) {
        const ids = known.length > 0 ? known.map((row) => row.id) : [...seen]
        const refusal: Refusal = { ok: false, reason: 'idempotency-conflict', stream, ids }
        if (!same) return refusal
        conflict ??= refusal
      }
      const last = known.at(-1)
      if (last === undefined) continue
      duplicates.push({
        stream,
        version: last.version,
        positions: known.map((row) => row.position),
        recordedAt: last.recordedAt,
        duplicate: known.map(decodeRow),
      })
    }
    if (knownCount === 0) return undefined
    return knownCount === request.eventCount ? { ok: true, entries: duplicates } : conflict
  }

  #isAnyKnown(streamId: number, events: readonly EncodedEvent[]): boolean {
    if (streamId === 0) return false
    for (const { id, idGiven } of events) {
      if (idGiven && rowByGivenId(this.#session, streamId, id) !== undefined) return true
    }
    return false
  }

  #checkStream(entry: AppendEntry): Refusal | undefined {
    const { stream, expectedVersion } = entry
    const head = this.#head(stream)
    if (head.state === 'deleted' && entry.recreate !== true) {
      return { ok: false, reason: 'stream-deleted', stream }
    }
    const kind = entry.change?.kind
    if (head.state === 'archived' && (kind === undefined || kind === 'archive')) {
      return { ok: false, reason: 'stream-archived', stream }
    }
    if (isExpected(expectedVersion, head)) return undefined
    const actualVersion = head.version
    return { ok: false, reason: 'version-conflict', stream, expectedVersion, actualVersion }
  }

  #checkCondition({ query, position }: AppendCondition): Refusal | undefined {
    const events = conditionEvents(
      this.#session,
      new Names(),
      { query },
      position,
      CONDITION_EVENT_COUNT_MAX,
    )
    return events.length === 0
      ? undefined
      : { ok: false, reason: 'condition-failed', events, position }
  }

  /** Throws NumbersExhaustedError before anything of the request is stored. */
  #assertNumbersLeft(entries: PreparedRequest['entries'], eventCount: number): void {
    if (eventCount > NUMBER_MAX - this.#lastPosition) throw new NumbersExhaustedError('log')
    for (const { entry, events } of entries) {
      const { version } = this.#head(entry.stream)
      if (events.length <= NUMBER_MAX - version) continue
      throw new NumbersExhaustedError('stream')
    }
  }

  #store({ entries, eventCount }: PreparedRequest): AppendOutcome {
    this.#assertNumbersLeft(entries, eventCount)
    this.#stored = true
    const base = this.#lastPosition + 1
    const order = entries.length > 1 ? logOrder(entries) : undefined
    const rows = new EventRows(this.#session, this.#recordedAt, eventCount)
    // Those that have their numbers, but wait for others before them in the log.
    const placed: NumberedEvent[] = []
    const appended: AppendedEntry[] = []
    let index = 0
    for (const { entry, events } of entries) {
      const head = this.#head(entry.stream)
      this.#advance(head, entry, events.length)
      const { id, version, name: stream } = head
      const firstVersion = version - events.length + 1
      const positions: number[] = []
      for (let number = 0; number < events.length; number++) {
        const event = events[number] as EncodedEvent
        const place = order === undefined ? index : (order[index] as number)
        const position = base + place
        positions.push(position)
        const row = {
          position,
          streamId: id,
          version: firstVersion + number,
          typeId: this.#typeId(event.type),
          tenant: tenantOf(entry, number),
          event,
        }
        if (order === undefined) rows.insert(row)
        else placed[place] = row
        index++
      }
      appended.push({ stream, version, positions, recordedAt: this.#recordedAt })
    }
    for (const row of placed) rows.insert(row)
    rows.end()
    this.#lastPosition += index
    return { ok: true, entries: appended }
  }

  /** Counts the head on, makes its row when it is new. */
  #advance(head: Head, entry: AppendEntry, count: number): void {
    this.#change(head, entry)
    head.version += count
    if (head.id === 0) {
      const { version, firstVersion, state, name } = head
      const inserted = this.#session.sql.insertHead.run(
        name,
        version,
        firstVersion,
        stateValue(state),
      )
      head.id = Number(inserted.lastInsertRowid)
    } else head.changed = true
  }

  #change(head: Head, { change }: AppendEntry): void {
    if (head.state === 'deleted') head.state = 'active'
    switch (change?.kind) {
      case 'archive':
        head.state = 'archived'
        break
      case 'unarchive':
        head.state = 'active'
        break
      case 'truncate':
        this.#removeBelow(head, Math.min(change.before, head.version + 1))
        break
      case 'delete':
        this.#removeBelow(head, head.version + 1)
        head.state = 'deleted'
        break
      case undefined:
        break
    }
  }

  #removeBelow(head: Head, before: number): void {
    if (head.id !== 0) removeBelow(this.#session, head.id, before)
    head.firstVersion = Math.max(head.firstVersion, before)
  }
}

function tenantOf(entry: AppendEntry, number: number): string | null {
  const tenant = entry.events[number]?.metadata.tenant
  return typeof tenant === 'string' ? tenant : null
}

/** Whether no id comes twice. */
function areDistinct(events: readonly EncodedEvent[]): boolean {
  if (events.length > FEW) return new Set(events.map(({ id }) => id)).size === events.length
  for (let i = 1; i < events.length; i++) {
    const { id } = events[i] as EncodedEvent
    for (let before = 0; before < i; before++) if (events[before]?.id === id) return false
  }
  return true
}

function isExpected(expected: ExpectedVersion, head: Head): boolean {
  if (expected === 'any') return true
  if (expected === 'exists') return head.version > 0 && head.state !== 'deleted'
  return expected === head.version
}

/** The place in the log of each event, in the order of the entries; undefined for that order. */
function logOrder(entries: readonly PreparedEntry[]): readonly number[] | undefined {
  if (entries[0]?.entry.ordinals === undefined) return undefined
  const ordinals = entries.flatMap(({ entry }) => entry.ordinals ?? [])
  if (arePlaces(ordinals)) return ordinals
  const sorted = ordinals.map((_, i) => i)
  sorted.sort((a, b) => (ordinals[a] as number) - (ordinals[b] as number))
  const places = new Array<number>(ordinals.length)
  sorted.forEach((index, place) => {
    places[index] = place
  })
  return places
}

/** Whether the numbers are each of 0 to n - 1 once, so that they are places already. */
function arePlaces(ordinals: readonly number[]): boolean {
  const taken = new Uint8Array(ordinals.length)
  for (const ordinal of ordinals) {
    if (taken[ordinal] !== 0) return false
    taken[ordinal] = 1
  }
  return true
}
