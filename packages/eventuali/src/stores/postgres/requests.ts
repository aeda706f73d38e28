import type { Deadline } from '../../kernel/index.ts'
import { type BodyEncoder, type EncodedEvent, encodeEvent } from '../../model/index.ts'
import type { AppendEntry, AppendRequest } from '../../ports/index.ts'
import type { Sized } from '../sql/index.ts'
import { type LockKeys, lockCountMax } from './lock-keys.ts'

/** An entry whose events have been turned into row texts. */
export interface EncodedEntry {
  readonly entry: AppendEntry
  readonly events: readonly EncodedEvent[]
}

/** A request on its way: encoded once, before any group or transaction is entered. */
export interface PreparedAppend extends Sized {
  readonly request: AppendRequest
  readonly entries: readonly EncodedEntry[]
  readonly types: ReadonlySet<string>
  readonly hasGivenIds: boolean
  /** Whether an event has another form than JSON text. */
  readonly hasBodies: boolean
  readonly deadline: Deadline
  /** The advisory locks it needs, by key; true for an exclusive one. */
  readonly locks: ReadonlyMap<string, boolean>
  /** Moments of attempts whose connection was lost: rows recorded then are this call's own. */
  readonly attempts: number[]
}

/** About what a row takes beside its texts. */
const ROW_BYTES = 200

/** Whether the group needs `append_v2`. */
export function hasBodies(requests: readonly PreparedAppend[]): boolean {
  return requests.some((prepared) => prepared.hasBodies)
}

/** Encodes a request. Throws DataNotJsonError and EventTooLargeError. */
export function prepare(
  request: AppendRequest,
  deadline: Deadline,
  keys: LockKeys,
  encoder: BodyEncoder | undefined,
): PreparedAppend {
  let bytes = 0
  let eventCount = 0
  let hasGivenIds = false
  let hasBodies = false
  const types = new Set<string>()
  const entries: EncodedEntry[] = []
  for (const entry of request.entries) {
    const events: EncodedEvent[] = []
    for (const event of entry.events) {
      const encoded = encodeEvent(entry.stream, event, encoder)
      bytes += encoded.bytes + ROW_BYTES
      hasGivenIds ||= encoded.idGiven
      hasBodies ||= encoded.body !== undefined
      types.add(encoded.type)
      events.push(encoded)
    }
    eventCount += events.length
    entries.push({ entry, events })
  }
  for (const item of request.condition?.query ?? []) for (const type of item.types) types.add(type)
  const locks = locksOf(request, entries, keys)
  return {
    request,
    entries,
    types,
    hasGivenIds,
    hasBodies,
    deadline,
    locks,
    attempts: [],
    eventCount,
    bytes,
  }
}

/** The locks of one request: key, and whether it is for itself alone. */
function locksOf(
  { condition }: AppendRequest,
  entries: readonly EncodedEntry[],
  keys: LockKeys,
): ReadonlyMap<string, boolean> {
  const only = entries.length === 1 ? (entries[0] as EncodedEntry).events : []
  const [first] = only
  if (condition === undefined && only.length === 1 && first?.tags.length === 0) {
    return keys.sharedOfType(first.type)
  }
  const locks = new Map<string, boolean>()
  for (const { events } of entries) {
    for (const { type, tags } of events) {
      locks.set(keys.ofType(type), false)
      for (const tag of tags) locks.set(keys.ofTag(type, tag), false)
    }
  }
  if (locks.size > lockCountMax) {
    locks.clear()
    locks.set(keys.root, true)
  }
  if (condition === undefined) return locks
  if (!locks.has(keys.root)) locks.set(keys.root, false)
  for (const item of condition.query) {
    for (const key of keys.ofItem(item)) locks.set(key, true)
  }
  return locks
}

/** Where an event stands in its request. */
export interface Place {
  readonly entry: number
  readonly number: number
}

const onlyPlace: readonly Place[] = [{ entry: 0, number: 0 }]

/** Events of a request in log order: entry by entry, or as `ordinals` say. */
export function inLogOrder(entries: readonly EncodedEntry[]): readonly Place[] {
  // Most requests are one event; a group has many of them.
  if (entries.length === 1 && entries[0]?.events.length === 1) return onlyPlace
  const order: (Place & { readonly ordinal: number })[] = []
  for (let entry = 0; entry < entries.length; entry++) {
    const { events, entry: asked } = entries[entry] as EncodedEntry
    for (let number = 0; number < events.length; number++) {
      order.push({ entry, number, ordinal: asked.ordinals?.[number] ?? order.length })
    }
  }
  if (entries.some(({ entry }) => entry.ordinals !== undefined)) {
    order.sort((a, b) => a.ordinal - b.ordinal)
  }
  return order
}
