import { codecOf } from './body.ts'
import { type BodyEncoder, bodyEncoder, type CodecOptions, exactEncoder } from './body-encoder.ts'
import { rowIsIntact, type StoredRow, textOfRow } from './codec.ts'

/** Bytes that one part of a recoding may hold in memory. */
const PART_BYTES_MAX: number = 8 * 1024 * 1024

/** A row's data in its new form. */
export interface Recoded {
  readonly position: number
  readonly data: string | Uint8Array
  /** Of the JSON text, which may be longer than the data. */
  readonly textBytes: number
}

/** Collects what becomes of the rows of one part, in the order of the log. */
export class Recoding {
  readonly changes: Recoded[] = []
  seen = 0
  position: number
  bytesBefore = 0
  bytesAfter = 0
  readonly #encoder: BodyEncoder
  #heldBytes = 0

  constructor(codec: CodecOptions, after: number) {
    this.#encoder = exactEncoder(bodyEncoder(codec))
    this.position = after
  }

  /** Takes the next row; false when the part is large enough. Throws CodecMissingError. */
  add(row: StoredRow): boolean {
    const { data, position } = row
    const recoded = this.#recoded(row)
    const next = recoded?.data
    this.seen++
    this.position = position
    this.bytesBefore += bytesOf(data)
    this.bytesAfter += bytesOf(next ?? data)
    if (recoded !== undefined) this.changes.push(recoded)
    this.#heldBytes += bytesOf(data) + bytesOf(next ?? '')
    return this.#heldBytes < PART_BYTES_MAX
  }

  /** The new form, or undefined when it has it already, or when the row is damaged. */
  #recoded(row: StoredRow): Recoded | undefined {
    // What is damaged stays as it is: written anew, it would look whole.
    if (!rowIsIntact(row)) return undefined
    const text = textOfRow(row)
    const next = this.#encoder.encode(text) ?? text
    if (codecOf(next) === codecOf(row.data)) return undefined
    return { position: row.position, data: next, textBytes: Buffer.byteLength(text) }
  }
}

function bytesOf(data: string | Uint8Array): number {
  return typeof data === 'string' ? Buffer.byteLength(data) : data.length
}
