import { refusalError } from '../commands/index.ts'
import {
  isSystemType,
  type Json,
  type RecordedEvent,
  ReplayTargetError,
  systemEventTypes,
} from '../model/index.ts'
import type {
  AppendEntry,
  AppendOutcome,
  AppendRequest,
  NewEvent,
  StreamAccess,
  StreamChange,
} from '../ports/index.ts'
import { unknownItems } from './store-batch.ts'

function newEvent(event: RecordedEvent): NewEvent {
  const { id, type, data, metadata, time, schemaVersion, tags } = event
  const kept = { id, type, metadata, schemaVersion, tags }
  return { ...kept, idGiven: true, data: data as Json, time: time.getTime() }
}

/** Writes events of one log into another and gives the number of those that were there already. */
export type ReplayWriter = (
  access: StreamAccess,
  events: readonly RecordedEvent[],
) => Promise<number>

/** The target counts versions by itself; what it has already is known by its id. */
export const renumbered: ReplayWriter = async (access, events) => {
  const items = events.flatMap((event, line) =>
    isSystemType(event.type) ? [] : [{ line, stream: event.stream, event: newEvent(event) }],
  )
  if (items.length === 0) return 0
  const outcome = await access.append(requestOf(items, () => ({ expectedVersion: 'any' })))
  if (outcome.ok) return duplicatesOf(outcome)
  if (outcome.reason !== 'idempotency-conflict') throw refusalError(outcome)
  const rest = await unknownItems(access, items)
  if (rest.length > 0) {
    const second = await access.append(requestOf(rest, () => ({ expectedVersion: 'any' })))
    if (!second.ok) throw refusalError(second)
  }
  return items.length - rest.length
}

function duplicatesOf(outcome: Extract<AppendOutcome, { readonly ok: true }>): number {
  return outcome.entries.reduce((sum, { duplicate }) => sum + (duplicate?.length ?? 0), 0)
}

/** Every event gets the version that it has in the source, or ReplayTargetError is thrown. */
export const kept: ReplayWriter = async (access, events) => {
  let duplicates = 0
  for (const run of runsOf(events)) {
    assertGapless(run)
    const outcome = await access.append(keptRequest(run))
    if (!outcome.ok) duplicates += await keptRest(access, run, outcome)
    else duplicates += knownOf(run, outcome)
  }
  return duplicates
}

/** An append gives a stream's events versions without a gap, so they must have none before. */
function assertGapless(run: readonly RecordedEvent[]): void {
  const last = new Map<string, number>()
  for (const { stream, version } of run) {
    const before = last.get(stream)
    if (before !== undefined && before !== version - 1) {
      throw new ReplayTargetError(stream, version, `the replay leaves out version ${version - 1}`)
    }
    last.set(stream, version)
  }
}

type Refusal = Extract<AppendOutcome, { readonly ok: false }>

/** A target that has some of the events already, from an earlier run that was cut off. */
async function keptRest(
  access: StreamAccess,
  run: readonly RecordedEvent[],
  refusal: Refusal,
): Promise<number> {
  const rest = await missingOf(access, run)
  if (rest.length === run.length) throw refusalError(refusal)
  if (rest.length > 0) {
    const outcome = await access.append(keptRequest(rest))
    if (!outcome.ok) throw refusalError(outcome)
  }
  return run.length - rest.length
}

/** Entries that the target knew by their ids must be at the versions that they have here. */
function knownOf(
  run: readonly RecordedEvent[],
  outcome: Extract<AppendOutcome, { readonly ok: true }>,
): number {
  let count = 0
  const versions = new Map<string, number>()
  for (const { duplicate = [], stream } of outcome.entries) {
    for (const { id, version } of duplicate) versions.set(JSON.stringify([stream, id]), version)
    count += duplicate.length
  }
  if (count === 0) return 0
  for (const { stream, id, version } of run) {
    const known = versions.get(JSON.stringify([stream, id]))
    if (known !== undefined && known !== version) {
      throw new ReplayTargetError(stream, version, `the event is there as version ${known}`)
    }
  }
  return count
}

/** The events that the target does not have. Throws ReplayTargetError where it has others. */
async function missingOf(
  access: StreamAccess,
  run: readonly RecordedEvent[],
): Promise<readonly RecordedEvent[]> {
  const known = new Set<RecordedEvent>()
  for (const [stream, events] of Map.groupBy(run, (event) => event.stream)) {
    const first = events[0] as RecordedEvent
    const head = (await access.stream(stream))?.version ?? 0
    if (head < first.version - 1) {
      const reason =
        `the stream is at version ${head} there, and what comes before was truncated, deleted or ` +
        'left out (a fork or a backup keeps versions all the same)'
      throw new ReplayTargetError(stream, first.version, reason)
    }
    const stored = new Map<number, RecordedEvent>()
    const query = { stream, from: first.version, to: first.version + events.length - 1 }
    for await (const page of access.readStream({ ...query, direction: 'forward' })) {
      for (const event of page) stored.set(event.version, event)
    }
    for (const event of events.filter(({ version }) => version <= head)) {
      if (!isSame(event, stored.get(event.version))) {
        throw new ReplayTargetError(stream, event.version, 'another event has it there')
      }
      known.add(event)
    }
  }
  return run.filter((event) => !known.has(event))
}

function isSame(event: RecordedEvent, stored: RecordedEvent | undefined): boolean {
  return (
    stored !== undefined &&
    stored.id === event.id &&
    stored.type === event.type &&
    JSON.stringify(stored.data) === JSON.stringify(event.data)
  )
}

/** Events that may share an append: a change of a stream's state has one to itself. */
function* runsOf(events: readonly RecordedEvent[]): Generator<readonly RecordedEvent[]> {
  let start = 0
  for (let at = 0; at < events.length; at++) {
    if (!isSystemType((events[at] as RecordedEvent).type)) continue
    if (at > start) yield events.slice(start, at)
    yield events.slice(at, at + 1)
    start = at + 1
  }
  if (start < events.length) yield events.slice(start)
}

function keptRequest(run: readonly RecordedEvent[]): AppendRequest {
  const [first] = run as readonly [RecordedEvent]
  const change = changeOf(first)
  const items = run.map((event) => ({ stream: event.stream, event: newEvent(event) }))
  return requestOf(items, (at) => ({
    expectedVersion: (run[at] as RecordedEvent).version - 1,
    // A stream that goes on after its deletion did so in the source.
    ...(change === undefined ? { recreate: true } : { change }),
  }))
}

function changeOf({ type, data }: RecordedEvent): StreamChange | undefined {
  switch (type) {
    case systemEventTypes.archived:
      return { kind: 'archive' }
    case systemEventTypes.unarchived:
      return { kind: 'unarchive' }
    case systemEventTypes.deleted:
      return { kind: 'delete' }
    case systemEventTypes.truncated:
      return { kind: 'truncate', before: (data as { readonly before: number }).before }
    default:
      return undefined
  }
}

/** One append for items in log order; `partOf` gets the place of a stream's first item. */
function requestOf(
  items: readonly { readonly stream: string; readonly event: NewEvent }[],
  partOf: (at: number) => Pick<AppendEntry, 'expectedVersion' | 'recreate' | 'change'>,
): AppendRequest {
  const entries = new Map<string, AppendEntry & { events: NewEvent[]; ordinals: number[] }>()
  items.forEach(({ stream, event }, at) => {
    const entry = entries.get(stream)
    if (entry === undefined) {
      entries.set(stream, { stream, ...partOf(at), events: [event], ordinals: [at] })
    } else {
      entry.events.push(event)
      entry.ordinals.push(at)
    }
  })
  return { entries: [...entries.values()] }
}
