import zlib from 'node:zlib'
import { loadPeer } from '../kernel/index.ts'
import { CodecMissingError } from './errors.ts'

/** A way to make bytes fewer. `lz4` and `snappy` need a package, `zstd` a Node that has it. */
export type CompressionName = 'gzip' | 'brotli' | 'zstd' | 'lz4' | 'snappy'

/** One of them, ready to use. */
export interface Compressor {
  readonly name: CompressionName
  compress(bytes: Uint8Array): Uint8Array
  /**
   * The bytes again, of which there are `size`. Throws when that is not so, before more than that
   * is written anywhere.
   */
  decompress(bytes: Uint8Array, size: number): Uint8Array
}

/** Optional packages that codecs need, with their ranges. */
export const codecPeers: Readonly<Record<string, string>> = {
  'lz4-napi': '^2.10.0',
  msgpackr: '^2.1.0',
  snappy: '^7.3.0',
}

/** All of them. The number in stored rows is the place in the list plus 1: never reordered. */
export const compressionNames: readonly CompressionName[] = [
  'gzip',
  'brotli',
  'zstd',
  'lz4',
  'snappy',
]

interface Lz4Module {
  compressSync(bytes: Buffer): Buffer
  uncompressSync(bytes: Uint8Array): Buffer
}

interface SnappyModule {
  compressSync(bytes: Uint8Array): Buffer
  uncompressSync(bytes: Uint8Array, options: { readonly asBuffer: true }): Buffer
}

const { constants } = zlib

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function assertSize(size: number, expected: number): void {
  if (size !== expected) throw new RangeError(`holds ${size} bytes where ${expected} belong`)
}

function whole(bytes: Uint8Array, size: number): Uint8Array {
  assertSize(bytes.length, size)
  return bytes
}

/** Larger output comes in pieces, so that a size that lies makes no room for itself. */
const PIECE_BYTES_MAX: number = 1024 * 1024

/**
 * Bounds of an output of so many bytes, in one piece with room to spare: pieces are joined by one
 * more copy, and a full one asks for another. Node refuses a limit of 0, and pieces below 64.
 */
const limit = (size: number) => ({
  maxOutputLength: Math.max(1, size),
  chunkSize: Math.min(Math.max(64, size + 1), PIECE_BYTES_MAX),
})

const gzip: Compressor = {
  name: 'gzip',
  compress: (bytes) => zlib.gzipSync(bytes, { level: 1 }),
  decompress: (bytes, size) => whole(zlib.gunzipSync(bytes, limit(size)), size),
}

const brotli: Compressor = {
  name: 'brotli',
  compress: (bytes) => {
    const params = {
      [constants.BROTLI_PARAM_QUALITY]: 1,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    }
    return zlib.brotliCompressSync(bytes, { params })
  },
  decompress: (bytes, size) => whole(zlib.brotliDecompressSync(bytes, limit(size)), size),
}

function zstd(): Compressor {
  if (typeof zlib.zstdCompressSync !== 'function') {
    throw new CodecMissingError('zstd', 'use Node 22.15, 24 or newer')
  }
  const params = { [constants.ZSTD_c_compressionLevel]: 1 }
  return {
    name: 'zstd',
    compress: (bytes) => zlib.zstdCompressSync(bytes, { params }),
    decompress: (bytes, size) => whole(zlib.zstdDecompressSync(bytes, limit(size)), size),
  }
}

function peer<T>(codec: string, name: string): T {
  const module = loadPeer<T>(name)
  if (module === undefined) throw new CodecMissingError(codec, `run "npm install ${name}"`)
  return module
}

function lz4(): Compressor {
  const module = peer<Lz4Module>('lz4', 'lz4-napi')
  return {
    name: 'lz4',
    compress: (bytes) => module.compressSync(bufferOf(bytes)),
    decompress: (bytes, size) => {
      // A block begins with its size, for which the package makes room unasked.
      assertSize(bytes.length < 4 ? 0 : bufferOf(bytes).readUInt32LE(0), size)
      return whole(module.uncompressSync(bytes), size)
    },
  }
}

function snappy(): Compressor {
  const module = peer<SnappyModule>('snappy', 'snappy')
  return {
    name: 'snappy',
    compress: (bytes) => module.compressSync(bytes),
    decompress: (bytes, size) => {
      assertSize(snappySize(bytes), size)
      return whole(module.uncompressSync(bytes, { asBuffer: true }), size)
    },
  }
}

/** The size that a snappy block begins with, seven bits in a byte. */
function snappySize(bytes: Uint8Array): number {
  let size = 0
  for (let i = 0; i < 5; i++) {
    const byte = bytes[i] ?? 0
    size += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) break
  }
  return size
}

const makers: Readonly<Record<CompressionName, () => Compressor>> = {
  gzip: () => gzip,
  brotli: () => brotli,
  zstd,
  lz4,
  snappy,
}
const made = new Map<CompressionName, Compressor>()

/**
 * The compressor of a name, made once. Throws CodecMissingError when its package or its Node is
 * not there.
 */
export function compressorOf(name: CompressionName): Compressor {
  let compressor = made.get(name)
  if (compressor === undefined) {
    compressor = makers[name]()
    made.set(name, compressor)
  }
  return compressor
}

/** What to compress with when nobody says: zstd where Node has it, otherwise brotli. */
export function compressionDefault(): CompressionName {
  return typeof zlib.zstdCompressSync === 'function' ? 'zstd' : 'brotli'
}
