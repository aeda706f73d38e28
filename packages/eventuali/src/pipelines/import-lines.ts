import { uuidV5 } from '../kernel/index.ts'
import { eventBytesMax } from '../model/index.ts'
import type { NewEvent } from '../ports/index.ts'
import { splitElements } from './elements.ts'
import { type ImportedEvent, LineProblem, parseLine } from './event-line.ts'
import { type SourceLine, splitLines } from './lines.ts'

/** The longest line that is read: the largest event with room for the names around it. */
export const lineBytesMax: number = eventBytesMax + 1024 * 1024

/** An event as its line gives it, with the id that it has or gets. */
export interface ReadLine {
  /** Counts from 1. */
  readonly line: number
  readonly id: string
  readonly parsed: ImportedEvent
  readonly text: string
}

/** An event that is ready to be appended, with the line it came from. */
export interface ImportItem {
  readonly line: number
  readonly stream: string
  readonly event: NewEvent
}

/** A line that is not an event. */
export interface SkippedLine {
  /** Counts from 1. */
  readonly line: number
  readonly reason: string
}

/** Consecutive lines that are stored together, or not at all. */
export interface ImportBatch<Item = ImportItem> {
  readonly items: readonly Item[]
  readonly skipped: readonly SkippedLine[]
}

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])
const BRACKET = 0x5b

/** Splits a source into lines, or into the elements of its array: its first character tells. */
export async function* splitSource(
  chunks: AsyncIterable<Buffer>,
  name: string,
): AsyncGenerator<readonly SourceLine[]> {
  const iterator = chunks[Symbol.asyncIterator]()
  let head: Buffer = Buffer.alloc(0)
  let first: number | undefined
  for (let result = await iterator.next(); result.done !== true; result = await iterator.next()) {
    head = head.length === 0 ? result.value : Buffer.concat([head, result.value])
    const start = startsWithMark(head) ? BYTE_ORDER_MARK.length : 0
    // A chunk may end inside the mark; three bytes settle it.
    if (head.length < BYTE_ORDER_MARK.length) continue
    first = head.subarray(start).find((byte) => byte > 0x20)
    if (first !== undefined || head.length > lineBytesMax) break
  }
  async function* whole(): AsyncGenerator<Buffer> {
    yield startsWithMark(head) ? head.subarray(BYTE_ORDER_MARK.length) : head
    yield* { [Symbol.asyncIterator]: () => iterator }
  }
  first ??= head.find((byte) => byte > 0x20)
  if (first === BRACKET) yield* splitElements(whole(), name, lineBytesMax)
  else yield* splitLines(whole(), lineBytesMax)
}

function startsWithMark(head: Buffer): boolean {
  return head.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK)
}

/** How many lines and bytes make a batch. */
export interface BatchBounds {
  readonly batchCountMax: number
  readonly batchBytesMax: number
}

/**
 * Gives every line its event: what it says itself, and an id where it says none. The derived id
 * depends on the line's place in its own stream only, so it is the same in every run, whatever the
 * size of batches. Memory grows with the streams of a source, not with its events.
 */
export class LineReader {
  readonly #name: string
  readonly #ordinals = new Map<string, { next: number }>()
  /** Streams of which no line could be read so far; few, so the count of the others is cheap. */
  readonly #badStreams = new Set<string>()

  constructor(name: string) {
    this.#name = name
  }

  /** Streams that had an event so far. */
  get streamCount(): number {
    return this.#ordinals.size - this.#badStreams.size
  }

  read(source: SourceLine): ReadLine | SkippedLine {
    const { line, text } = source
    if (source.problem !== undefined) return { line, reason: source.problem }
    const parsed = parseLine(text)
    if (parsed instanceof LineProblem) {
      // It keeps its place, so that the ids of later lines hold when it is mended.
      const { stream, reason } = parsed
      if (stream !== undefined && this.#nextOrdinal(stream) === 0) this.#badStreams.add(stream)
      return { line, reason }
    }
    const ordinal = this.#nextOrdinal(parsed.stream)
    if (this.#badStreams.size > 0) this.#badStreams.delete(parsed.stream)
    // The id's own hash takes in the whole line; a file moved to Windows line ends is the same.
    const id = parsed.id ?? uuidV5(this.#name, parsed.stream, ordinal, text.trim())
    return { line, id, parsed, text }
  }

  #nextOrdinal(stream: string): number {
    const counter = this.#ordinals.get(stream)
    if (counter !== undefined) return counter.next++
    this.#ordinals.set(stream, { next: 1 })
    return 0
  }
}

/** The item of a line; one without a time gets the time of the import. */
export function itemOf(
  { line, id, parsed }: Pick<ReadLine, 'line' | 'id' | 'parsed'>,
  now: () => number,
): ImportItem {
  const { stream, type, data, metadata, time = now(), schemaVersion, tags } = parsed
  const event = { id, idGiven: true, type, data, metadata, time, schemaVersion, tags }
  return { line, stream, event }
}

/** Whether a line could not be read. */
export function isSkipped(line: object): line is SkippedLine {
  return 'reason' in line
}

/** Reads lines into batches; which line goes where depends on the lines alone, never on time. */
export async function* readBatches<Item extends object>(
  lines: AsyncIterable<readonly SourceLine[]>,
  read: (source: SourceLine) => Item | SkippedLine,
  bounds: BatchBounds,
): AsyncGenerator<ImportBatch<Item>> {
  let items: Item[] = []
  let skipped: SkippedLine[] = []
  let bytes = 0
  for await (const block of lines) {
    for (const source of block) {
      const found = read(source)
      if (isSkipped(found)) skipped.push(found)
      else items.push(found)
      bytes += source.text.length
      const count = items.length + skipped.length
      if (count < bounds.batchCountMax && bytes < bounds.batchBytesMax) continue
      yield { items, skipped }
      items = []
      skipped = []
      bytes = 0
    }
  }
  if (items.length + skipped.length > 0) yield { items, skipped }
}
