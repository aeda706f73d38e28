import { encodeEvent, type Json, type RecordedEvent, type StreamInfo } from '../../model/index.ts'
import type { AppendedEntry, AppendOutcome, AppendRequest, NewEvent } from '../../ports/index.ts'

/** An event as it travels: as recorded, with its times in milliseconds. */
interface WireEvent extends Omit<RecordedEvent, 'time' | 'recordedAt'> {
  readonly time: number
  readonly recordedAt: number
}

interface WireInfo extends Omit<StreamInfo, 'firstTime' | 'lastTime'> {
  readonly firstTime?: number
  readonly lastTime?: number
}

/** One part of a read, and whether there is more behind it. */
export interface WirePage {
  readonly events: readonly WireEvent[]
  readonly more: boolean
}

function eventText(stream: string, event: NewEvent): string {
  const { id, idGiven, type, data, metadata, time, schemaVersion, tagsText } = encodeEvent(
    stream,
    event,
    undefined,
    false,
  )
  const numbers = `"time":${JSON.stringify(time)},"schemaVersion":${JSON.stringify(schemaVersion)}`
  const names = `"id":${JSON.stringify(id)},"idGiven":${idGiven},"type":${JSON.stringify(type)}`
  const rest = `"metadata":${metadata || '{}'},"tags":${tagsText || '[]'}`
  return `{${names},"data":${data},${numbers},${rest}}`
}

/**
 * An append as JSON; the data of its events is made text here, once. Throws DataNotJsonError and
 * EventTooLargeError, before anything is sent.
 */
export function appendText(request: AppendRequest): string {
  const { entries, ...rest } = request
  const texts = entries.map(({ events, ...entry }) => {
    const list = events.map((event) => eventText(entry.stream, event)).join(',')
    return `{"events":[${list}],${JSON.stringify(entry).slice(1)}`
  })
  const tail = JSON.stringify(rest).slice(1)
  return `{"entries":[${texts.join(',')}]${tail === '}' ? '}' : `,${tail}`}`
}

/** An event as everybody else sees it. */
export function eventFrom(event: WireEvent): RecordedEvent {
  const { time, recordedAt, ...rest } = event
  return { ...rest, time: new Date(time), recordedAt: new Date(recordedAt) }
}

/** What is known of a stream, as everybody else sees it. */
export function infoFrom({ firstTime, lastTime, ...info }: WireInfo): StreamInfo {
  return {
    ...info,
    firstTime: firstTime === undefined ? undefined : new Date(firstTime),
    lastTime: lastTime === undefined ? undefined : new Date(lastTime),
  }
}

/** What came of an append. */
export function outcomeFrom(answer: unknown): AppendOutcome {
  const outcome = answer as {
    readonly ok: boolean
    readonly reason?: string
    readonly entries?: readonly { readonly duplicate?: readonly WireEvent[] }[]
    readonly events?: readonly WireEvent[]
  }
  if (outcome.ok) {
    const entries = (outcome.entries ?? []).map((entry) =>
      entry.duplicate === undefined
        ? entry
        : { ...entry, duplicate: entry.duplicate.map(eventFrom) },
    )
    return { ok: true, entries: entries as unknown as readonly AppendedEntry[] }
  }
  if (outcome.reason !== 'condition-failed') return outcome as AppendOutcome
  const events = (outcome.events ?? []).map(eventFrom)
  return { ...outcome, events } as unknown as AppendOutcome
}

/** A record or document without its `undefined` where JSON has none. */
export function orUndefined<T>(found: readonly (T | null)[]): readonly (T | undefined)[] {
  return found.map((one) => one ?? undefined)
}

/** A record as everybody else sees it. */
export function recordFrom<T extends { readonly state?: unknown; readonly due?: unknown }>(
  record: T,
): T & { readonly state: string | undefined; readonly due: number | undefined } {
  const { state, due } = record as { readonly state?: string; readonly due?: number }
  return { ...record, state: state ?? undefined, due: due ?? undefined }
}

export type { Json, WireEvent, WireInfo }
