import { ImportSourceError } from '../model/index.ts'
import { PendingBytes, type SourceLine } from './lines.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const NEWLINE = 0x0a

const isSpace = (byte: number): boolean =>
  byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d
const opens = (byte: number): boolean => byte === 0x7b || byte === 0x5b
const closes = (byte: number): boolean => byte === 0x7d || byte === 0x5d

type Place =
  /** Before the opening bracket. */
  | 'start'
  /** After the opening bracket: an element or the end. */
  | 'first'
  /** After a comma: an element. */
  | 'next'
  | 'element'
  /** After an element: a comma or the end. */
  | 'after'
  | 'end'

/**
 * Cuts a JSON array into the texts of its elements, byte by byte and without parsing them: the
 * array may be far larger than the memory. What an element is worth is left to `JSON.parse`; here
 * only strings, escapes and brackets are told apart, all of them single bytes in UTF-8.
 */
class ElementSplitter {
  readonly #name: string
  readonly #pending: PendingBytes
  #place: Place = 'start'
  #depth = 0
  #inText = false
  #escaped = false
  #line = 1
  #elementLine = 1

  constructor(name: string, bytesMax: number) {
    this.#name = name
    this.#pending = new PendingBytes(bytesMax)
  }

  /** The elements that end in this chunk. Throws ImportSourceError where it is no array. */
  push(chunk: Buffer): SourceLine[] {
    const found: SourceLine[] = []
    let start = 0
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number
      if (byte === NEWLINE) this.#line++
      if (this.#place === 'element') {
        const ended = this.#inside(byte)
        if (ended === 'no') continue
        const end = ended === 'with' ? at + 1 : at
        this.#pending.add(chunk.subarray(start, end))
        found.push(this.#pending.take(this.#elementLine))
        this.#place = 'after'
        if (ended === 'before') this.#between(byte)
      } else if (this.#between(byte)) {
        start = at
        this.#elementLine = this.#line
      }
    }
    if (this.#place === 'element') this.#pending.add(chunk.subarray(start))
    return found
  }

  end(): void {
    if (this.#place !== 'end') this.#fail('the JSON array ends too early')
  }

  /** Whether the element ends `with` this byte, `before` it (a bare number or word), or not yet. */
  #inside(byte: number): 'no' | 'with' | 'before' {
    if (this.#inText) {
      if (this.#escaped) this.#escaped = false
      else if (byte === BACKSLASH) this.#escaped = true
      else if (byte === QUOTE) {
        this.#inText = false
        if (this.#depth === 0) return 'with'
      }
      return 'no'
    }
    if (byte === QUOTE) this.#inText = true
    else if (opens(byte)) this.#depth++
    else if (closes(byte)) {
      if (this.#depth === 0) return 'before'
      this.#depth--
      if (this.#depth === 0) return 'with'
    } else if (this.#depth === 0 && (byte === COMMA || isSpace(byte))) return 'before'
    return 'no'
  }

  /** Takes a byte outside of elements; true when an element begins with it. */
  #between(byte: number): boolean {
    if (isSpace(byte)) return false
    const place = this.#place
    if (place === 'start') {
      if (byte !== 0x5b) this.#fail('it is not a JSON array')
      this.#place = 'first'
      return false
    }
    if (byte === 0x5d && (place === 'first' || place === 'after')) {
      this.#place = 'end'
      return false
    }
    if (byte === COMMA && place === 'after') {
      this.#place = 'next'
      return false
    }
    if (place === 'end') this.#fail('something follows after the end of the JSON array')
    if (place === 'after') this.#fail('a comma is missing between two elements of the array')
    if (byte === COMMA || closes(byte)) this.#fail('an element of the array is missing')
    this.#place = 'element'
    this.#inText = byte === QUOTE
    this.#depth = opens(byte) ? 1 : 0
    return true
  }

  #fail(reason: string): never {
    throw new ImportSourceError(this.#name, `line ${this.#line}: ${reason}`)
  }
}

/** Splits the bytes of a JSON array into its elements, one array for each chunk. */
export async function* splitElements(
  chunks: AsyncIterable<Buffer>,
  name: string,
  elementBytesMax: number,
): AsyncGenerator<readonly SourceLine[]> {
  const splitter = new ElementSplitter(name, elementBytesMax)
  for await (const chunk of chunks) {
    const found = splitter.push(chunk)
    if (found.length > 0) yield found
  }
  splitter.end()
}
