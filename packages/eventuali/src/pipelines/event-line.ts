import {
  assertEventId,
  assertStreamName,
  assertTag,
  assertTypeName,
  type EventMetadata,
  InvalidNameError,
  type Json,
} from '../model/index.ts'
import { cloudEventFields, isCloudEvent, type LineFields } from './cloud-event.ts'
import { timeOf } from './timestamp.ts'

/** An event as a line of a file holds it. */
export interface ImportedEvent {
  readonly stream: string
  readonly type: string
  readonly data: Json
  readonly id: string | undefined
  /** Milliseconds since the epoch. */
  readonly time: number | undefined
  readonly metadata: EventMetadata
  readonly tags: readonly string[]
  readonly schemaVersion: number
}

/** Why a line is not an event; `stream` when at least that could be read. */
export class LineProblem {
  readonly reason: string
  readonly stream: string | undefined

  constructor(reason: string, stream?: string) {
    this.reason = reason
    this.stream = stream
  }
}

const noTags: readonly string[] = Object.freeze([])
const noMetadata: EventMetadata = Object.freeze({})

// No integer below this many digits is beyond what a number keeps; longer ones get a closer look.
const LONG_DIGITS = /\d{16}/
const INTEGER = /^-?\d+$/

class Refusal extends Error {}

function refuse(reason: string): never {
  throw new Refusal(reason)
}

/**
 * Reads one line: a JSON object `{ stream, type, data, id?, time?, metadata?, tags? }`, or a
 * CloudEvent. Keys beyond those are left out (an export's `version` and `position` among them);
 * of a key that is there twice the last one counts, as in `JSON.parse`.
 */
export function parseLine(text: string): ImportedEvent | LineProblem {
  let stream: string | undefined
  try {
    let fields = objectOf(text)
    if (isCloudEvent(fields)) fields = cloudEventFields(fields, refuse)
    stream = streamName(own(fields, 'stream'))
    return eventOf(stream, fields)
  } catch (error) {
    if (error instanceof Refusal || error instanceof InvalidNameError) {
      return new LineProblem(error.message, stream)
    }
    throw error
  }
}

function objectOf(text: string): LineFields {
  let value: unknown
  try {
    value = JSON.parse(text)
    if (LONG_DIGITS.test(text)) refuseInexactNumbers(text)
  } catch (error) {
    if (error instanceof Refusal) throw error
    const message = error instanceof Error ? error.message : String(error)
    refuse(`is not JSON (${message.slice(0, 200)})`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuse('is not a JSON object')
  }
  return value as LineFields
}

/** A JSON number may have any number of digits, ours has 53 bits: better refused than rounded. */
function refuseInexactNumbers(text: string): void {
  const check = (key: string, value: unknown, context?: { readonly source?: string }): unknown => {
    const source = context?.source
    if (typeof value !== 'number' || Number.isSafeInteger(value) || source === undefined) {
      return value
    }
    // One that is beyond all numbers has any number of digits, over which BigInt takes its time.
    if (INTEGER.test(source) && (!Number.isFinite(value) || BigInt(source) !== BigInt(value))) {
      refuse(`${key}: ${source.slice(0, 40)} is too large for an exact number; write it as text`)
    }
    return value
  }
  // The third argument of the reviver is newer than the compiler's library.
  JSON.parse(text, check as (key: string, value: unknown) => unknown)
}

function own(fields: LineFields, key: string): unknown {
  return Object.hasOwn(fields, key) ? fields[key] : undefined
}

function streamName(value: unknown): string {
  if (value === undefined) refuse('has no "stream"')
  assertStreamName(value)
  return value
}

function eventOf(stream: string, fields: LineFields): ImportedEvent {
  const type = own(fields, 'type')
  if (type === undefined) refuse('has no "type"')
  assertTypeName(type)
  const data = own(fields, 'data')
  if (data === undefined) refuse('has no "data"; write null for none')
  const id = own(fields, 'id') ?? undefined
  if (id !== undefined) assertEventId(id)
  return {
    stream,
    type,
    data: data as Json,
    id,
    time: optionalTime(own(fields, 'time') ?? undefined),
    metadata: optionalMetadata(own(fields, 'metadata') ?? undefined),
    tags: optionalTags(own(fields, 'tags') ?? undefined),
    schemaVersion: optionalSchemaVersion(own(fields, 'schemaVersion') ?? undefined),
  }
}

function optionalTime(value: unknown): number | undefined {
  if (value === undefined) return undefined
  const time = timeOf(value)
  if (time !== undefined) return time
  const shown = JSON.stringify(value).slice(0, 60)
  refuse(`time ${shown} is not an RFC 3339 time with a zone, such as "2013-01-31T10:15:00Z"`)
}

function optionalMetadata(value: unknown): EventMetadata {
  if (value === undefined) return noMetadata
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as EventMetadata
  }
  refuse('metadata is not a JSON object')
}

function optionalTags(value: unknown): readonly string[] {
  if (value === undefined) return noTags
  if (!Array.isArray(value)) refuse('tags is not an array of texts')
  for (const tag of value) assertTag(tag)
  // A tag said twice is said once; stores count on it.
  return [...new Set(value as string[])]
}

function optionalSchemaVersion(value: unknown): number {
  if (value === undefined) return 1
  if (Number.isSafeInteger(value) && (value as number) >= 1) return value as number
  refuse('schemaVersion is not an integer of 1 or more')
}
