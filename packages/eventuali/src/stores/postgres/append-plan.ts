import { codecOf, type EncodedEvent } from '../../model/index.ts'
import type { AppendEntry, QueryItem } from '../../ports/index.ts'
import { tagHash } from '../sql/index.ts'
import type { LockKeys } from './lock-keys.ts'
import { type EncodedEntry, inLogOrder, type PreparedAppend } from './requests.ts'
import type { TypeNames } from './type-names.ts'

const separator = '\u001f'

/** What one call of the append function is given beside the requests. */
export interface AppendCall {
  /** How long each lock is waited for; null: not at all. */
  readonly waitMs: number | null
  /** A value for synchronous_commit when the connection's own is not the wanted one. */
  readonly sync: string | null
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Puts the library's own ids into the id index too, so that a retry finds them. */
  readonly guarded: boolean
  /** Tag hashes of rows that a truncate or delete removes. */
  readonly dropHashes: readonly number[]
}

function modeOf({ change, recreate }: AppendEntry): number {
  switch (change?.kind) {
    case 'archive':
      return 2
    case 'unarchive':
      return 3
    case 'delete':
      return 4
    case 'truncate':
      return 5
    default:
      return recreate === true ? 1 : 0
  }
}

/** The version that is asked for: -1 for any, -2 for a stream that exists. */
export function expectedOf({ expectedVersion }: AppendEntry): number {
  if (expectedVersion === 'any') return -1
  return expectedVersion === 'exists' ? -2 : expectedVersion
}

/** The tenant of an event, empty for none. */
export function tenantOf({
  metadata,
}: {
  readonly metadata: AppendEntry['events'][number]['metadata']
}): string {
  const { tenant } = metadata
  return typeof tenant === 'string' ? tenant.replaceAll(separator, ' ') : ''
}

/** A list as the text of an array. */
export function braces(values: readonly (number | string | boolean)[]): string {
  return `{${values.join(',')}}`
}

class Columns {
  readonly requestEntries: number[] = []
  readonly entrySlot: number[] = []
  readonly entryExpected: number[] = []
  readonly entryCount: number[] = []
  readonly entryMode: number[] = []
  readonly entryBefore: number[] = []
  readonly eventEntry: number[] = []
  readonly eventNumber: number[] = []
  readonly eventType: number[] = []
  readonly eventFlags: number[] = []
  readonly eventTime: number[] = []
  readonly eventSchema: number[] = []
  readonly eventChecksum: number[] = []
  readonly ids: string[] = []
  readonly data: string[] = []
  readonly codecs: number[] = []
  readonly bodies: string[] = []
  readonly metadata: string[] = []
  readonly tags: string[] = []
  readonly tenants: string[] = []
  readonly tagEvent: number[] = []
  readonly tagHash: number[] = []
  readonly itemRequest: number[] = []
  readonly itemPosition: number[] = []
  readonly itemTypes: string[] = []
  readonly itemHash: string[] = []
  readonly itemTags: string[] = []
}

/** From this size on an event with a body is fetched alone, so that pages stay small in memory. */
const LARGE_BYTES: number = 32 * 1024
const FLAG_LARGE = 4

/** Turns requests into the arguments of `append_v1`; with bodies, of `append_v2`. */
export function appendValues(
  requests: readonly PreparedAppend[],
  types: TypeNames,
  keys: LockKeys,
  call: AppendCall,
  bodies: boolean,
): readonly unknown[] {
  const columns = new Columns()
  const names = new Set<string>()
  for (const { entries } of requests) for (const { entry } of entries) names.add(entry.stream)
  // Any order will do, as long as it is the same everywhere: locks are taken in it.
  const streams = [...names].sort()
  const slots = new Map(streams.map((name, i) => [name, i + 1]))
  for (let r = 0; r < requests.length; r++) {
    const prepared = requests[r] as PreparedAppend
    addRequest(columns, prepared, slots, types, call.guarded, bodies)
    addCondition(columns, prepared, r + 1, types)
  }
  const locks = lockColumns(requests, keys)
  const c = columns
  return [
    call.waitMs,
    call.sync,
    call.now,
    braces(locks.keys),
    braces(locks.exclusive),
    braces(locks.pairLock),
    braces(locks.pairRequest),
    streams.join(separator),
    braces(c.requestEntries),
    braces(c.entrySlot),
    braces(c.entryExpected),
    braces(c.entryCount),
    braces(c.entryMode),
    braces(c.entryBefore),
    braces(c.eventEntry),
    braces(c.eventNumber),
    braces(c.eventType),
    braces(c.eventFlags),
    braces(c.eventTime),
    braces(c.eventSchema),
    braces(c.eventChecksum),
    c.ids.join(separator),
    c.data.join(separator),
    c.metadata.join(separator),
    c.tags.join(separator),
    c.tenants.join(separator),
    braces(c.tagEvent),
    braces(c.tagHash),
    braces(call.dropHashes),
    braces(c.itemRequest),
    braces(c.itemPosition),
    c.itemTypes.join(separator),
    c.itemHash.join(separator),
    c.itemTags.join(separator),
    ...(bodies ? [braces(c.codecs), c.bodies.join(separator)] : []),
  ]
}

/** The call itself; the parameters follow the order of `appendValues`. */
export function appendStatementText(schema: string, version: 1 | 2): string {
  const casts = [
    ...['integer', 'text', 'bigint', 'bigint[]', 'boolean[]', 'integer[]', 'integer[]', 'text'],
    ...['integer[]', 'integer[]', 'bigint[]', 'integer[]', 'smallint[]', 'bigint[]'],
    ...['integer[]', 'integer[]', 'integer[]', 'smallint[]', 'bigint[]', 'integer[]', 'bigint[]'],
    ...['text', 'text', 'text', 'text', 'text', 'integer[]', 'bigint[]', 'bigint[]'],
    ...['integer[]', 'bigint[]', 'text', 'text', 'text'],
    ...(version === 2 ? ['smallint[]', 'text'] : []),
  ]
  const parameters = casts.map((type, i) => `$${i + 1}::${type}`)
  return `SELECT * FROM ${schema}.append_v${version}(${parameters.join(', ')})`
}

function addRequest(
  c: Columns,
  { entries }: PreparedAppend,
  slots: ReadonlyMap<string, number>,
  types: TypeNames,
  guarded: boolean,
  bodies: boolean,
): void {
  const firstEntry = c.entrySlot.length
  c.requestEntries.push(entries.length)
  for (const { entry, events } of entries) {
    c.entrySlot.push(slots.get(entry.stream) as number)
    c.entryExpected.push(expectedOf(entry))
    c.entryCount.push(events.length)
    c.entryMode.push(modeOf(entry))
    c.entryBefore.push(entry.change?.kind === 'truncate' ? entry.change.before : 0)
  }
  // An id that a request has twice in one stream guards once: the first is enough to be found by.
  const guards = new Set<string>()
  for (const { entry, number } of inLogOrder(entries)) {
    const { entry: asked, events } = entries[entry] as EncodedEntry
    const event = events[number] as EncodedEvent
    c.eventEntry.push(firstEntry + entry + 1)
    c.eventNumber.push(number + 1)
    c.eventType.push(types.idOf(event.type) as number)
    let flags = event.idGiven ? 1 : 0
    if (guarded) {
      const guard = `${entry} ${event.id}`
      if (!guards.has(guard)) flags |= 2
      guards.add(guard)
    }
    if (event.body !== undefined && event.bytes >= LARGE_BYTES) flags |= FLAG_LARGE
    c.eventFlags.push(flags)
    c.eventTime.push(event.time)
    c.eventSchema.push(event.schemaVersion)
    c.eventChecksum.push(event.checksum)
    c.ids.push(event.id)
    if (bodies) addBody(c, event)
    else c.data.push(event.data)
    c.metadata.push(event.metadata)
    c.tags.push(event.tagsText)
    c.tenants.push(tenantOf(asked.events[number] as AppendEntry['events'][number]))
    if (event.tags.length === 0) continue
    for (const hash of new Set(event.tags.map(tagHash))) {
      c.tagEvent.push(c.ids.length)
      c.tagHash.push(hash)
    }
  }
}

function addBody(c: Columns, { data, body }: EncodedEvent): void {
  c.data.push(body === undefined ? data : '')
  c.codecs.push(body === undefined ? 0 : codecOf(body))
  c.bodies.push(body === undefined ? '' : Buffer.from(body).toString('base64'))
}

function addCondition(
  c: Columns,
  { request }: PreparedAppend,
  number: number,
  types: TypeNames,
): void {
  const { condition } = request
  if (condition === undefined) return
  for (const item of condition.query) {
    const ids = item.types.map((type) => types.idOf(type) as number)
    const [tag] = item.tags
    c.itemRequest.push(number)
    c.itemPosition.push(condition.position)
    c.itemTypes.push(braces(ids))
    c.itemHash.push(tag === undefined ? '' : String(tagHash(tag)))
    c.itemTags.push(tag === undefined ? '' : JSON.stringify(item.tags))
  }
}

interface LockColumns {
  readonly keys: readonly string[]
  readonly exclusive: readonly boolean[]
  readonly pairLock: readonly number[]
  readonly pairRequest: readonly number[]
}

function lockColumns(requests: readonly PreparedAppend[], keys: LockKeys): LockColumns {
  const all = new Map<string, { exclusive: boolean; requests: number[] }>()
  for (let r = 0; r < requests.length; r++) {
    for (const [key, exclusive] of (requests[r] as PreparedAppend).locks) {
      const lock = all.get(key)
      if (lock === undefined) all.set(key, { exclusive, requests: [r + 1] })
      else {
        lock.exclusive ||= exclusive
        lock.requests.push(r + 1)
      }
    }
  }
  // The root goes first, the rest in an order that is the same everywhere.
  const sorted = [...all.keys()].sort((a, b) => {
    if (a === keys.root || b === keys.root) return a === keys.root ? -1 : 1
    return a < b ? -1 : 1
  })
  const pairLock: number[] = []
  const pairRequest: number[] = []
  sorted.forEach((key, i) => {
    for (const request of all.get(key)?.requests ?? []) {
      pairLock.push(i + 1)
      pairRequest.push(request)
    }
  })
  return {
    keys: sorted,
    exclusive: sorted.map((key) => all.get(key)?.exclusive === true),
    pairLock,
    pairRequest,
  }
}

function matches({ types, tags }: QueryItem, event: EncodedEvent): boolean {
  return types.includes(event.type) && tags.every((tag) => event.tags.includes(tag))
}

/**
 * Which requests of a group must wait for the next one, because their answer depends on what a
 * request before them does: the same given id in the same stream, or a condition that it meets.
 */
export function dependsOnEarlier(
  prepared: PreparedAppend,
  earlier: readonly PreparedAppend[],
): boolean {
  const { condition } = prepared.request
  if (!prepared.hasGivenIds && condition === undefined) return false
  for (const { entries } of earlier) {
    for (const { entry, events } of entries) {
      if (condition?.query.some((item) => events.some((event) => matches(item, event)))) return true
      if (!prepared.hasGivenIds) continue
      const own = prepared.entries.find((other) => other.entry.stream === entry.stream)
      if (own?.events.some((mine) => mine.idGiven && events.some((its) => its.id === mine.id)))
        return true
    }
  }
  return false
}
