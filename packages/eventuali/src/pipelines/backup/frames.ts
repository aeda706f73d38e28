import { createHash, type Hash } from 'node:crypto'
import { BackupInvalidError, type CompressionName, compressorOf } from '../../model/index.ts'
import type { Sealing } from './sealing.ts'

/*
 * A backup is this line and then frames, each of
 *
 *   4 bytes   size of the content as it lies here, little endian
 *   4 bytes   size before compression, little endian
 *   1 byte    what it is
 *   ...       the content: compressed, and then sealed where there is a passphrase
 *   32 bytes  SHA-256 of the 32 bytes of the frame before, the 9 bytes above and the content
 *
 * The first frame follows the SHA-256 of the line. So no frame can be changed, left out, moved or
 * put in without all that follow showing it, and the last one is known by its kind.
 */

/** The first bytes of every backup. */
export const magic: Buffer = Buffer.from('eventuali-backup/1\n')
/** What a frame is. Frozen. */
export const frameKinds = { settings: 1, begin: 2, events: 3, records: 4, end: 5 } as const
/** Content that is gathered before a frame is written. */
export const frameBytes: number = 1024 * 1024
export const headerBytes = 9
export const linkBytes = 32
/** More than any event takes, so that a size that lies makes no room for itself. */
const CONTENT_BYTES_MAX: number = 256 * 1024 * 1024

/** The link that the first frame follows. */
export function firstLink(): Buffer {
  return createHash('sha256').update(magic).digest()
}

/** A frame as it lies in a file, without the link at its end. */
export interface StoredFrame {
  readonly header: Buffer
  readonly content: Buffer
}

/** The link of a frame that follows another. */
export function linkOf(before: Uint8Array, { header, content }: StoredFrame): Buffer {
  const hash: Hash = createHash('sha256')
  return hash.update(before).update(header).update(content).digest()
}

/** What a header says. Throws BackupInvalidError for what no header can be. */
export function headerOf(
  file: string,
  header: Buffer,
): { readonly kind: number; readonly storedBytes: number; readonly rawBytes: number } {
  const storedBytes = header.readUInt32LE(0)
  const rawBytes = header.readUInt32LE(4)
  const kind = header[8] as number
  const isKind = kind >= frameKinds.settings && kind <= frameKinds.end
  if (!isKind || storedBytes > CONTENT_BYTES_MAX || rawBytes > CONTENT_BYTES_MAX) {
    throw new BackupInvalidError(file, 'a part of it has been altered: its size or kind is wrong')
  }
  return { kind, storedBytes, rawBytes }
}

/** How the contents of a file are packed. */
export interface Packing {
  readonly compression: CompressionName
  /** Undefined without a passphrase. */
  readonly sealing: Sealing | undefined
}

/** Makes a frame; `number` counts the frames of the file, and `before` is the last one's link. */
export function packFrame(
  kind: number,
  text: string,
  { number, before }: { readonly number: number; readonly before: Uint8Array },
  packing: Packing | undefined,
): StoredFrame {
  const raw = Buffer.from(text)
  const packed = packing === undefined ? raw : compressorOf(packing.compression).compress(raw)
  const sealing = packing?.sealing
  const header = Buffer.alloc(headerBytes)
  header.writeUInt32LE(packed.length + (sealing?.extraBytes ?? 0), 0)
  header.writeUInt32LE(raw.length, 4)
  header[8] = kind
  const content = sealing?.seal(number, Buffer.concat([before, header]), packed) ?? packed
  return { header, content: Buffer.from(content.buffer, content.byteOffset, content.byteLength) }
}

/** The text of a frame whose link was checked. Throws BackupInvalidError. */
export function unpackFrame(
  file: string,
  { header, content }: StoredFrame,
  { number, before }: { readonly number: number; readonly before: Uint8Array },
  packing: Packing | undefined,
): string {
  const { rawBytes } = headerOf(file, header)
  const { sealing } = packing ?? {}
  const packed =
    sealing === undefined
      ? content
      : sealing.open(number, Buffer.concat([before, header]), content, file)
  if (packing === undefined) return utf8(file, packed)
  try {
    return utf8(file, compressorOf(packing.compression).decompress(packed, rawBytes))
  } catch (cause) {
    throw new BackupInvalidError(file, 'a part of it cannot be unpacked', { cause })
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function utf8(file: string, bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new BackupInvalidError(file, 'a part of it is no text', { cause })
  }
}
