import { ImportSourceError } from '../../model/index.ts'
import { PendingBytes, type SourceLine } from '../lines.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const NEWLINE = 0x0a
const OPEN_OBJECT = 0x7b
const OPEN_ARRAY = 0x5b
const CLOSE_OBJECT = 0x7d
const CLOSE_ARRAY = 0x5d
/** The names of a log's parts are short; a longer text is no name. */
const KEY_BYTES_MAX = 1000

/** What may stand before the text of a file. */
const byteOrderMark: ReadonlySet<number> = new Set([0xef, 0xbb, 0xbf])

const isSpace = (byte: number): boolean =>
  byte === 0x20 || byte === 0x09 || byte === NEWLINE || byte === 0x0d

/** One element of an array in the outer object, and the key that the array stands under. */
export interface SectionElement {
  readonly section: string
  readonly source: SourceLine
}

/**
 * Cuts a JSON object of arrays of objects, which an event log is, into the texts of those objects:
 * the file may be far larger than the memory. What an object is worth is left to `JSON.parse`;
 * here only texts, brackets and commas are told apart, single bytes in UTF-8 all of them.
 */
class SectionSplitter {
  readonly #name: string
  readonly #key = new PendingBytes(KEY_BYTES_MAX)
  readonly #element: PendingBytes
  #depth = 0
  #inText = false
  #escaped = false
  #line = 1
  #elementLine = 1
  #section = ''
  #isSection = false
  #isKey = false
  /** Whether what comes next in the section must be a comma, an object, or may end it. */
  #after: 'start' | 'comma' | 'element' = 'start'
  #isEnded = false
  /** The lists that there are, empty ones among them. */
  readonly sections = new Set<string>()

  constructor(name: string, bytesMax: number) {
    this.#name = name
    this.#element = new PendingBytes(bytesMax)
  }

  /** The objects that end in this chunk. Throws ImportSourceError where it is no event log. */
  push(chunk: Buffer): SectionElement[] {
    const found: SectionElement[] = []
    let start = 0
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number
      if (byte === NEWLINE) this.#line++
      if (this.#inText) {
        this.#text(byte)
        if (!this.#inText && this.#isKey) this.#endKey(chunk.subarray(start, at))
        continue
      }
      if (isSpace(byte)) continue
      if (this.#depth >= 3) this.#inside(byte)
      else if (this.#between(byte)) start = this.#depth === 3 ? at : at + 1
      if (this.#depth === 2 && this.#isSection && byte === CLOSE_OBJECT) {
        this.#element.add(chunk.subarray(start, at + 1))
        found.push({ section: this.#section, source: this.#element.take(this.#elementLine) })
        this.#after = 'element'
      }
    }
    if (this.#isSection && this.#depth >= 3) this.#element.add(chunk.subarray(start))
    else if (this.#isKey) this.#key.add(chunk.subarray(start))
    return found
  }

  end(): void {
    if (!this.#isEnded) this.#fail(this.#depth === 0 ? 'it is empty' : 'it ends too early')
  }

  #text(byte: number): void {
    if (this.#escaped) this.#escaped = false
    else if (byte === BACKSLASH) this.#escaped = true
    else if (byte === QUOTE) this.#inText = false
  }

  #endKey(part: Buffer): void {
    this.#key.add(part)
    this.#section = this.#key.take(this.#line).text
    this.#isKey = false
  }

  /** Takes a byte inside of an element, or of something that is passed over. */
  #inside(byte: number): void {
    if (byte === QUOTE) this.#inText = true
    else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) this.#depth++
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) this.#depth--
  }

  /** Takes a byte around elements; true when a key or an element begins with it. */
  #between(byte: number): boolean {
    if (this.#isEnded) this.#fail('something follows after the end of the log')
    if (this.#depth === 0) return this.#outside(byte)
    if (this.#depth === 1) return this.#inLog(byte)
    if (!this.#isSection) {
      this.#inside(byte)
      return false
    }
    return this.#inSection(byte)
  }

  #outside(byte: number): boolean {
    if (byteOrderMark.has(byte)) return false
    if (byte !== OPEN_OBJECT) this.#fail('it is no JSON object, which a log in OCEL 2.0 JSON is')
    this.#depth = 1
    this.#section = ''
    return false
  }

  #inLog(byte: number): boolean {
    if (byte === CLOSE_OBJECT) {
      this.#depth = 0
      this.#isEnded = true
    } else if (byte === COMMA) {
      this.#section = ''
    } else if (byte === QUOTE) {
      this.#inText = true
      this.#isKey = this.#section === ''
      return this.#isKey
    } else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      this.#depth = 2
      this.#isSection = byte === OPEN_ARRAY
      if (this.#isSection) this.sections.add(this.#section)
      this.#after = 'start'
    } else if (byte === CLOSE_ARRAY) this.#fail('a bracket is closed that was not opened')
    return false
  }

  #inSection(byte: number): boolean {
    if (byte === CLOSE_ARRAY && this.#after !== 'comma') {
      this.#depth = 1
      this.#isSection = false
      return false
    }
    if (byte === COMMA && this.#after === 'element') {
      this.#after = 'comma'
      return false
    }
    if (byte !== OPEN_OBJECT || this.#after === 'element') {
      this.#fail(`${JSON.stringify(this.#section)} is no list of objects`)
    }
    this.#depth = 3
    this.#elementLine = this.#line
    return true
  }

  #fail(reason: string): never {
    throw new ImportSourceError(this.#name, `line ${this.#line}: ${reason}`)
  }
}

/**
 * The objects of a log in their order, each with the part of the log that it is of. Throws
 * ImportSourceError for what has no list of events.
 */
export async function* splitSections(
  chunks: AsyncIterable<Buffer>,
  name: string,
  elementBytesMax: number,
): AsyncGenerator<SectionElement> {
  const splitter = new SectionSplitter(name, elementBytesMax)
  for await (const chunk of chunks) yield* splitter.push(chunk)
  splitter.end()
  if (splitter.sections.has('events')) return
  throw new ImportSourceError(name, 'it has no list of events; OCEL 2.0 in JSON is what is read')
}
