import { crc32 } from 'node:zlib'
import { textOfData, valueOfData } from './body.ts'
import type { BodyEncoder } from './body-encoder.ts'
import {
  CodecMissingError,
  CorruptEventError,
  DataNotJsonError,
  EventTooLargeError,
} from './errors.ts'
import type { EventMetadata, RecordedEvent } from './event.ts'
import { jsonTextOf } from './json-value.ts'
import { eventBytesMax } from './limits.ts'
import { TextEvent } from './text-event.ts'

/** An event as rows carry it. */
export interface EncodedEvent {
  readonly id: string
  readonly idGiven: boolean
  readonly type: string
  /** JSON text, whatever is stored. */
  readonly data: string
  /** What is stored in the place of `data`, where a codec is in use. */
  readonly body: Uint8Array | undefined
  /** Empty text for no metadata, so that the common case costs no parsing. */
  readonly metadata: string
  readonly time: number
  readonly schemaVersion: number
  readonly tags: readonly string[]
  /** JSON array text; empty text for no tags. */
  readonly tagsText: string
  readonly checksum: number
  /** Before a codec shortens them. */
  readonly bytes: number
}

/** What `encodeEvent` needs; the same shape as the port's NewEvent. */
export interface EncodableEvent {
  readonly id: string
  readonly idGiven: boolean
  readonly type: string
  readonly data: unknown
  readonly metadata: EventMetadata
  readonly time: number
  readonly schemaVersion: number
  readonly tags: readonly string[]
}

function utf8Bytes(text: string): number {
  // Exact only when it matters: three bytes a unit is the most that UTF-8 takes.
  return text.length * 3 <= eventBytesMax / 4 ? text.length : Buffer.byteLength(text)
}

/** From here on two calls of crc32 cost less than joining their texts (measured). */
const joinedCharsMax = 512

/**
 * The checksum over what a row must give back, in one fixed layout: over the JSON text of its data,
 * so that it stays the same whatever codec the row is stored with.
 */
export function checksumOf(
  stream: string,
  event: Pick<
    EncodedEvent,
    'id' | 'type' | 'data' | 'metadata' | 'time' | 'schemaVersion' | 'tagsText'
  >,
): number {
  return checksum(stream, event, event.tagsText, event.metadata, event.data)
}

function checksum(
  stream: string,
  event: Pick<EncodedEvent, 'id' | 'type' | 'time' | 'schemaVersion'>,
  tagsText: string,
  metadata: string,
  data: string,
): number {
  const { id, type, time, schemaVersion } = event
  const front = `${stream}\n${id}\n${type}\n${time}\n${schemaVersion}\n${tagsText}\n${metadata}\n`
  // Joining copies the data first, which is cheaper than a second call as long as it is short.
  return data.length < joinedCharsMax ? crc32(front + data) : crc32(data, crc32(front))
}

function dataText({ data }: EncodableEvent): string {
  if (data === undefined) throw new DataNotJsonError('data', 'is undefined; use null')
  return jsonTextOf(data, 'data')
}

/**
 * Turns an event into the text that rows hold, once, before any transaction is entered. A store
 * that keeps rows in memory leaves the checksum out: no medium lies between writing and reading.
 * Throws DataNotJsonError and EventTooLargeError.
 */
export function encodeEvent(
  stream: string,
  event: EncodableEvent,
  encoder?: BodyEncoder | undefined,
  isChecked = true,
): EncodedEvent {
  const data = TextEvent.textOf(event) ?? dataText(event)
  let metadata = ''
  for (const _ in event.metadata) {
    metadata = jsonTextOf(event.metadata, 'metadata')
    break
  }
  // One without keys may be a Map or a Date, which would be lost without a word.
  if (metadata === '' && event.metadata?.constructor !== Object) {
    jsonTextOf(event.metadata, 'metadata')
  }
  if (metadata === '{}') metadata = ''
  const tagsText = event.tags.length === 0 ? '' : JSON.stringify(event.tags)
  const bytes = utf8Bytes(data) + utf8Bytes(metadata) + utf8Bytes(tagsText)
  if (bytes > eventBytesMax) throw new EventTooLargeError(event.type, bytes, eventBytesMax)
  const { id, idGiven, type, time, schemaVersion, tags } = event
  return {
    id,
    idGiven,
    type,
    data,
    body: encoder?.encode(data),
    metadata,
    time,
    schemaVersion,
    tags,
    tagsText,
    checksum: isChecked ? checksum(stream, event, tagsText, metadata, data) : 0,
    bytes,
  }
}

const noTags: readonly string[] = Object.freeze([])

/** A row as adapters read it. */
export interface StoredRow {
  readonly stream: string
  readonly version: number
  readonly position: number
  readonly id: string
  readonly type: string
  /** JSON text, or the body of another codec. */
  readonly data: string | Uint8Array
  readonly metadata: string
  readonly time: number
  readonly recordedAt: number
  readonly schemaVersion: number
  readonly tagsText: string
  /** Undefined in memory, where none is kept. */
  readonly checksum: number | undefined
}

/**
 * Turns a row back into an event. Throws CorruptEventError when it cannot be read, and
 * CodecMissingError when this program lacks what it was written with.
 */
export function decodeRow(row: Omit<StoredRow, 'checksum'>): RecordedEvent {
  if (!hasItsTypes(row)) throw new CorruptEventError(row.position, 'a column has another type')
  try {
    return {
      id: row.id,
      stream: row.stream,
      version: row.version,
      position: row.position,
      type: row.type,
      data: typeof row.data === 'string' ? JSON.parse(row.data) : valueOfData(row.data),
      metadata: row.metadata === '' ? {} : JSON.parse(row.metadata),
      time: new Date(row.time),
      recordedAt: new Date(row.recordedAt),
      schemaVersion: row.schemaVersion,
      tags: row.tagsText === '' ? noTags : JSON.parse(row.tagsText),
    }
  } catch (cause) {
    throw unreadable(row, cause)
  }
}

/** A changed byte may turn a text into bytes or a number into none: the file says what is what. */
function hasItsTypes(row: Omit<StoredRow, 'checksum'>): boolean {
  return (
    typeof row.id === 'string' &&
    typeof row.version === 'number' &&
    typeof row.time === 'number' &&
    typeof row.recordedAt === 'number' &&
    typeof row.schemaVersion === 'number' &&
    typeof row.metadata === 'string' &&
    typeof row.tagsText === 'string' &&
    (typeof row.data === 'string' || row.data instanceof Uint8Array)
  )
}

function unreadable({ position, data }: Pick<StoredRow, 'position' | 'data'>, cause: unknown) {
  if (cause instanceof CodecMissingError) return cause
  const what = typeof data === 'string' ? 'its JSON cannot be read' : 'its body cannot be read'
  return new CorruptEventError(position, what, { cause })
}

/** The JSON text of a row's data, which tells whether two events are the same. Throws likewise. */
export function textOfRow(row: Pick<StoredRow, 'position' | 'data'>): string {
  if (typeof row.data === 'string') return row.data
  try {
    return textOfData(row.data)
  } catch (cause) {
    throw unreadable(row, cause)
  }
}

/** Whether a row still has the content it was written with. Throws CodecMissingError. */
export function rowIsIntact(row: StoredRow): boolean {
  if (!hasItsTypes(row)) return false
  let data: string
  try {
    data = textOfRow(row)
  } catch (error) {
    if (error instanceof CorruptEventError) return false
    throw error
  }
  return row.checksum === undefined || checksumOf(row.stream, { ...row, data }) === row.checksum
}
