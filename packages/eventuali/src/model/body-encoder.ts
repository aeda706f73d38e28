import { codecName, codecNumber, type EncodingName, frameBody, packed, textOfData } from './body.ts'
import {
  type CompressionName,
  type Compressor,
  compressionDefault,
  compressionNames,
  compressorOf,
} from './compression.ts'
import { InvalidArgumentError } from './errors.ts'
import { expandedBytesMax } from './limits.ts'
import { messagePack } from './message-pack.ts'

/** Data above so many bytes is compressed, unless said otherwise. */
const ABOVE_DEFAULT = 1024

/** How a store writes the data of events. Whatever is set here, it reads all that is there. */
export interface CodecOptions {
  /** `json` (default): text that SQL can look into. `msgpack`: shorter; needs msgpackr. */
  readonly encoding?: EncodingName | undefined
  /** Compresses large data; without it nothing is compressed. */
  readonly compress?:
    | {
        /** zstd where Node has it, brotli otherwise. */
        readonly with?: CompressionName | undefined
        /** Only data of more bytes than this; 1,024. */
        readonly above?: number | undefined
      }
    | undefined
}

/** Turns the JSON text of data into what is stored. */
export interface BodyEncoder {
  /** The whole choice in a word: `msgpack+zstd>1024`. */
  readonly name: string
  /** The body, or undefined when the text itself is to be stored. */
  encode(json: string): Uint8Array | undefined
}

/** The choice of an operator in full. Throws InvalidArgumentError. */
function checked(options: CodecOptions): {
  readonly encoding: EncodingName
  readonly compression: CompressionName | undefined
  readonly above: number
} {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError('codec', 'must be an object')
  }
  const { encoding = 'json', compress } = options
  if (encoding !== 'json' && encoding !== 'msgpack') {
    throw new InvalidArgumentError('codec.encoding', "must be 'json' or 'msgpack'")
  }
  if (compress === undefined) return { encoding, compression: undefined, above: 0 }
  if (typeof compress !== 'object' || compress === null) {
    throw new InvalidArgumentError('codec.compress', 'must be an object')
  }
  const { with: compression = compressionDefault(), above = ABOVE_DEFAULT } = compress
  if (!compressionNames.includes(compression)) {
    throw new InvalidArgumentError(
      'codec.compress.with',
      `must be one of ${compressionNames.join(', ')}`,
    )
  }
  if (!Number.isSafeInteger(above) || above < 0) {
    throw new InvalidArgumentError('codec.compress.above', 'must be a number of bytes, 0 or more')
  }
  return { encoding, compression, above }
}

/**
 * The encoder of a choice; undefined for plain JSON text. Throws InvalidArgumentError, and
 * CodecMissingError at once, not at the first event.
 */
export function bodyEncoder(options: CodecOptions | undefined): BodyEncoder | undefined {
  if (options === undefined) return undefined
  const { encoding, compression, above } = checked(options)
  if (encoding === 'json' && compression === undefined) return undefined
  if (encoding === 'msgpack') messagePack()
  const compressor = compression === undefined ? undefined : compressorOf(compression)
  const name = `${codecName(codecNumber(encoding, compression))}${compressor ? `>${above}` : ''}`
  return { name, encode: (json) => encodeBody(json, encoding, compressor, above) }
}

function encodeBody(
  json: string,
  encoding: EncodingName,
  compressor: Compressor | undefined,
  above: number,
): Uint8Array | undefined {
  const packedBytes = encoding === 'msgpack' ? packed(json) : undefined
  const kept: EncodingName = packedBytes === undefined ? 'json' : 'msgpack'
  // Three bytes a unit is the most that UTF-8 takes: short text is not measured.
  const maybeLarge = compressor !== undefined && (packedBytes ?? json).length * 3 > above
  if (maybeLarge) {
    const content = packedBytes ?? Buffer.from(json)
    // A kept state may be larger than any event; what would not be expanded again stays text.
    if (content.length > above && content.length <= expandedBytesMax) {
      const small = compressor.compress(content)
      if (small.length + 9 < content.length) {
        return frameBody(codecNumber(kept, compressor.name), content.length, small)
      }
    }
  }
  return packedBytes === undefined
    ? undefined
    : frameBody(codecNumber(kept), undefined, packedBytes)
}

/**
 * The encoder for rows whose text somebody else may have written: what would not come back as the
 * very same text stays text.
 */
export function exactEncoder(encoder: BodyEncoder | undefined): BodyEncoder {
  return {
    name: encoder?.name ?? 'json',
    encode: (json) => {
      const body = encoder?.encode(json)
      return body !== undefined && textOfData(body) === json ? body : undefined
    },
  }
}
