import { crc32 } from 'node:zlib'
import { type CompressionName, compressionNames, compressorOf } from './compression.ts'
import { CodecMissingError } from './errors.ts'
import { assertJson } from './json-value.ts'
import { expandedBytesMax } from './limits.ts'
import { isFitForMessagePack, messagePack } from './message-pack.ts'

/*
 * What stands in the place of JSON text. Frozen:
 *
 *   4 bytes  CRC-32 of all that follows, little endian
 *   1 byte   codec: the encoding, plus 16 times the compression
 *   4 bytes  size before compression, little endian; only when compressed
 *   ...      content
 */

/** How a value becomes bytes; its place is its number in the codec. Never reordered. */
const encodings = ['json', 'msgpack'] as const

/** How events' data is encoded: JSON text, or MessagePack, which is shorter and not for people. */
export type EncodingName = (typeof encodings)[number]

const HEADER = 5
const SIZE = 4
const MSGPACK = 1
const PER_COMPRESSION = 16

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The number of a codec in stored rows; 0 is JSON text. */
export function codecNumber(encoding: EncodingName, compression?: CompressionName): number {
  const compressed = compression === undefined ? 0 : compressionNames.indexOf(compression) + 1
  return encodings.indexOf(encoding) + PER_COMPRESSION * compressed
}

/** The name of a codec: `json`, `msgpack`, `json+zstd`, …; undefined for a number without one. */
export function codecName(codec: number): string | undefined {
  const encoding = encodings[codec % PER_COMPRESSION]
  const compression = Math.floor(codec / PER_COMPRESSION)
  if (encoding === undefined || compression > compressionNames.length) return undefined
  return compression === 0 ? encoding : `${encoding}+${compressionNames[compression - 1]}`
}

/** Joins the parts of a body and puts the checksum in front. */
export function frameBody(codec: number, size: number | undefined, content: Uint8Array): Buffer {
  const start = size === undefined ? HEADER : HEADER + SIZE
  const body = Buffer.allocUnsafe(start + content.length)
  body[4] = codec
  if (size !== undefined) body.writeUInt32LE(size, HEADER)
  body.set(content, start)
  body.writeUInt32LE(crc32(body.subarray(4)), 0)
  return body
}

/** The codec that a body names; 0 for JSON text. */
export function codecOf(data: string | Uint8Array): number {
  return typeof data === 'string' ? 0 : (data[4] ?? -1)
}

/** Bytes that the data takes in memory once it is decompressed, as far as can be told. */
export function expandedBytes(data: string | Uint8Array): number {
  if (typeof data === 'string' || codecOf(data) < PER_COMPRESSION) return data.length
  return data.length < HEADER + SIZE ? data.length : viewOf(data).readUInt32LE(HEADER)
}

function viewOf(body: Uint8Array): Buffer {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}

/** The content without compression. Throws for a body that is not what was written. */
function contentOf(body: Uint8Array): { readonly codec: number; readonly content: Uint8Array } {
  const view = viewOf(body)
  if (view.length < HEADER) throw new RangeError('its body is cut off')
  // Before anything else looks at it: native code is not to be fed with damaged bytes.
  if (crc32(view.subarray(4)) !== view.readUInt32LE(0)) {
    throw new RangeError('its body does not match the checksum in front of it')
  }
  const codec = view[4] as number
  if (codecName(codec) === undefined) {
    throw new CodecMissingError(`codec ${codec}`, 'upgrade eventuali')
  }
  if (codec < PER_COMPRESSION) return { codec, content: view.subarray(HEADER) }
  if (view.length < HEADER + SIZE) throw new RangeError('its body is cut off')
  const name = compressionNames[Math.floor(codec / PER_COMPRESSION) - 1] as CompressionName
  const packed = view.subarray(HEADER + SIZE)
  const size = view.readUInt32LE(HEADER)
  // Nothing that large is ever written: the few bytes of a bomb are not to fill the memory.
  if (size > expandedBytesMax) throw new RangeError(`its body would take ${size} bytes`)
  return { codec, content: compressorOf(name).decompress(packed, size) }
}

/**
 * The value of a MessagePack content. Throws for what JSON does not carry: the package reads types
 * of its own as well (dates, maps, patterns, objects that hold themselves), of which we wrote none.
 */
function unpackedValue(content: Uint8Array): unknown {
  const value = messagePack().unpack(content)
  assertJson(value, 'its body')
  if (value === undefined) throw new RangeError('its body is undefined')
  return value
}

/** The value that data holds. Throws for damaged data, and CodecMissingError. */
export function valueOfData(data: string | Uint8Array): unknown {
  if (typeof data === 'string') return JSON.parse(data)
  const { codec, content } = contentOf(data)
  if (codec % PER_COMPRESSION === MSGPACK) return unpackedValue(content)
  return JSON.parse(utf8.decode(content))
}

/** Whether it passes the check of `unpackedValue`; what is nested too deep does not. */
function isReadable(value: unknown): boolean {
  try {
    assertJson(value, '')
    return true
  } catch {
    return false
  }
}

/** The JSON text that data was made of. Throws as `valueOfData` does. */
export function textOfData(data: string | Uint8Array): string {
  if (typeof data === 'string') return data
  const { codec, content } = contentOf(data)
  if (codec % PER_COMPRESSION !== MSGPACK) return utf8.decode(content)
  return JSON.stringify(unpackedValue(content))
}

/** MessagePack of a JSON text, or undefined when it would not come back as it is. */
export function packed(json: string): Uint8Array | undefined {
  if (!isFitForMessagePack(json)) return undefined
  const value: unknown = JSON.parse(json)
  return isReadable(value) ? messagePack().pack(value) : undefined
}
