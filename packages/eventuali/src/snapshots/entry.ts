import { crc32 } from 'node:zlib'
import { isEventualiError } from '../kernel/index.ts'
import { type BodyEncoder, codecName, codecOf, textOfData } from '../model/index.ts'
import type { StoredRecord } from '../ports/index.ts'

/** The kind of the records that hold states. */
export const SNAPSHOT = 'snapshot'

/** One kept state, as its record has it. */
export interface Entry {
  readonly stream: string
  readonly version: number
  readonly position: number
  readonly takenAt: number
  readonly fingerprint: string
  /** `json`, `json+zstd`, `msgpack`, … */
  readonly codec: string
  /** Of the body and of all the above. */
  readonly checksum: number
  /** JSON text, or base64 of a framed body. */
  readonly body: string
}

/**
 * The record of a stream's newest state is named by the stream, so that a load asks for one key;
 * those behind it have a number. No stream name holds a control character.
 */
export function keysOf(stream: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, slot) => (slot === 0 ? stream : `${stream}\n${slot}`))
}

/** Whether a record holds a stream's newest state. */
export function isNewest({ key }: StoredRecord): boolean {
  return !key.includes('\n')
}

/** Whether a read failed because of what a record holds, and not of the storage. */
export function isUnreadable(error: unknown): boolean {
  return isEventualiError(error, 'STORAGE_FAILED') && error.cause instanceof SyntaxError
}

function checksumOf(entry: Omit<Entry, 'checksum'>): number {
  const { stream, version, position, takenAt, fingerprint, codec, body } = entry
  const head = JSON.stringify([stream, version, position, takenAt, fingerprint, codec])
  return crc32(body, crc32(head))
}

/** A state, as JSON text, ready to be written. */
export function entryOf(
  state: Omit<Entry, 'codec' | 'checksum' | 'body'>,
  json: string,
  encoder: BodyEncoder | undefined,
): Entry {
  const body = encoder?.encode(json)
  const codec = body === undefined ? 'json' : (codecName(codecOf(body)) ?? 'json')
  const text = body === undefined ? json : Buffer.from(body).toString('base64')
  const named = { ...state, codec, body: text }
  return { ...named, checksum: checksumOf(named) }
}

/** The entry that a record holds; undefined when it holds something else. */
export function readEntry(record: StoredRecord | undefined): Entry | undefined {
  const value = record?.value as Partial<Entry> | null | undefined
  if (value === undefined || value === null || typeof value !== 'object') return undefined
  const isWhole =
    typeof value.stream === 'string' &&
    typeof value.version === 'number' &&
    typeof value.position === 'number' &&
    typeof value.takenAt === 'number' &&
    typeof value.fingerprint === 'string' &&
    typeof value.codec === 'string' &&
    typeof value.body === 'string'
  return isWhole ? (value as Entry) : undefined
}

/**
 * The JSON text of a kept state. Throws for a damaged one, and CodecMissingError for a codec that
 * is not there.
 */
export function textOf(entry: Entry): string {
  const { codec, body, checksum } = entry
  if (checksumOf(entry) !== checksum) throw new RangeError('its checksum does not match')
  return codec === 'json' ? body : textOfData(Buffer.from(body, 'base64'))
}

/** Other code's newest states that are kept beyond the number, for programs that still run it. */
const OTHERS_MAX = 2

/**
 * The states to keep, the newest first: as many as asked for, and of each other fingerprint the
 * newest one, within bounds, since it may be the only one that a program can use.
 */
export function worthKeeping(entries: readonly Entry[], keep: number): readonly Entry[] {
  const counts = new Map<string, number>()
  const own = entries[0]?.fingerprint
  let others = 0
  return entries.filter(({ fingerprint }) => {
    const count = (counts.get(fingerprint) ?? 0) + 1
    counts.set(fingerprint, count)
    if (fingerprint === own) return count <= keep
    others += count === 1 ? 1 : 0
    return count === 1 && others <= OTHERS_MAX
  })
}

/** Records of one stream, at most: its own states and those of others. */
export function slotCount(keep: number): number {
  return keep + OTHERS_MAX
}
