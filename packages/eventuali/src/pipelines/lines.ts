import { isUtf8 } from 'node:buffer'

/** One line of a source, or one element of an array, with the reason when it cannot be used. */
export interface SourceLine {
  /** Counts from 1; for an element, the line on which it begins. */
  readonly line: number
  readonly text: string
  readonly problem?: string
}

const NEWLINE = 0x0a

/** The bytes of one record as text; invalid UTF-8 is a problem, never a replacement mark. */
export function recordOf(line: number, bytes: Buffer): SourceLine {
  return isUtf8(bytes)
    ? { line, text: bytes.toString() }
    : { line, text: '', problem: 'is not valid UTF-8' }
}

/** The problem of a record over the limit. */
export function tooLong(line: number, bytesMax: number): SourceLine {
  return { line, text: '', problem: `is longer than ${bytesMax} bytes` }
}

/**
 * Bytes that belong to a record whose end has not come yet. Beyond the limit only the fact is
 * kept, not the bytes, so that a file without line ends cannot fill the memory.
 */
export class PendingBytes {
  readonly #bytesMax: number
  #parts: Buffer[] = []
  #length = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get length(): number {
    return this.#length
  }

  add(part: Buffer): void {
    if (part.length === 0) return
    this.#length += part.length
    if (this.#length > this.#bytesMax) this.#parts = []
    else this.#parts.push(part)
  }

  /** The record that ends with what was added, and starts afresh. */
  take(line: number): SourceLine {
    const parts = this.#parts
    const over = this.#length > this.#bytesMax
    this.#parts = []
    this.#length = 0
    if (over) return tooLong(line, this.#bytesMax)
    return recordOf(line, parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts))
  }
}

/**
 * Splits bytes into lines, one array for each chunk. Blank lines are left out but counted. Whole
 * chunks are decoded at once: a decoder call for each line costs more than finding its end.
 */
export async function* splitLines(
  chunks: AsyncIterable<Buffer>,
  lineBytesMax: number,
): AsyncGenerator<readonly SourceLine[]> {
  const pending = new PendingBytes(lineBytesMax)
  let line = 1
  for await (const chunk of chunks) {
    const found: SourceLine[] = []
    const firstEnd = chunk.indexOf(NEWLINE)
    if (firstEnd === -1) {
      pending.add(chunk)
      continue
    }
    let start = 0
    if (pending.length > 0) {
      pending.add(chunk.subarray(0, firstEnd))
      push(found, pending.take(line++))
      start = firstEnd + 1
    }
    const end = chunk.lastIndexOf(NEWLINE) + 1
    if (end > start) line = splitBlock(chunk.subarray(start, end), line, lineBytesMax, found)
    pending.add(chunk.subarray(end))
    if (found.length > 0) yield found
  }
  if (pending.length > 0) {
    const found: SourceLine[] = []
    push(found, pending.take(line))
    if (found.length > 0) yield found
  }
}

/** Splits bytes that end with a newline; gives the number of the line after them. */
function splitBlock(block: Buffer, first: number, bytesMax: number, found: SourceLine[]): number {
  let line = first
  if (!isUtf8(block) || block.length > bytesMax) {
    for (let start = 0; start < block.length; line++) {
      const end = block.indexOf(NEWLINE, start)
      const bytes = block.subarray(start, end)
      push(found, bytes.length > bytesMax ? tooLong(line, bytesMax) : recordOf(line, bytes))
      start = end + 1
    }
    return line
  }
  const text = block.toString()
  for (let start = 0; start < text.length; line++) {
    const end = text.indexOf('\n', start)
    if (end > start) push(found, { line, text: text.slice(start, end) })
    start = end + 1
  }
  return line
}

function push(found: SourceLine[], line: SourceLine): void {
  if (line.problem === undefined && isBlank(line.text)) return
  found.push(line)
}

function isBlank(text: string): boolean {
  // Nearly every line begins with a brace; only the others are looked at as a whole.
  return text.charCodeAt(0) !== 0x7b && text.trim() === ''
}
