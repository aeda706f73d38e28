import { isEventualiError } from '../kernel/index.ts'
import { type EventMetadata, jsonTextOf, TextEvent } from '../model/index.ts'
import { type ImportedEvent, LineProblem, parseLine } from './event-line.ts'
import {
  type ImportBatch,
  type ImportItem,
  itemOf,
  type ReadLine,
  type SkippedLine,
} from './import-lines.ts'

/** A line in the form that goes to another thread. */
export interface PackedLine {
  readonly line: number
  readonly id: string
  readonly parsed: Omit<ImportedEvent, 'data'>
  /** The JSON text of the data; of one that no store takes, the line itself. */
  readonly text: string
  readonly isWhole: boolean
  /** JSON text; empty for none. */
  readonly metadata: string
}

/**
 * A batch of lines on its way to another thread: lists of texts and numbers, of which a copy costs
 * little. A copy of a thousand objects would cost as much as parsing them.
 */
export interface PackedBatch {
  /** For each event `numberCount` numbers: line, time (NaN for none), version, stream and type. */
  readonly numbers: Float64Array
  readonly ids: readonly string[]
  readonly texts: readonly string[]
  /** Names that no batch before had, in the order of their numbers. */
  readonly streams: readonly string[]
  readonly types: readonly string[]
  /** JSON text for each event, or nothing at all when none has any. */
  readonly metadata: readonly string[]
  readonly tags: readonly string[]
  /** Places of events whose text is their whole line. */
  readonly whole: readonly number[]
  readonly skipped: readonly SkippedLine[]
}

const numberCount = 5

/** The form that a line travels in. */
export function packLine({ line, id, parsed, text }: ReadLine): PackedLine {
  const { data, ...rest } = parsed
  try {
    const metadata = isEmpty(parsed.metadata) ? '' : jsonTextOf(parsed.metadata, 'metadata')
    return { line, id, parsed: rest, text: jsonTextOf(data, 'data'), isWhole: false, metadata }
  } catch (error) {
    if (!isEventualiError(error, 'DATA_NOT_JSON')) throw error
    // Its text would lose what is wrong with it. The store says so when it is appended.
    return { line, id, parsed: rest, text, isWhole: true, metadata: '' }
  }
}

function isEmpty(metadata: EventMetadata): boolean {
  for (const _ in metadata) return false
  return true
}

/** Numbers for names, counted from 0 as they come. */
class NameNumbers {
  readonly #numbers = new Map<string, number>()
  #added: string[] = []

  of(name: string): number {
    const known = this.#numbers.get(name)
    if (known !== undefined) return known
    const number = this.#numbers.size
    this.#numbers.set(name, number)
    this.#added.push(name)
    return number
  }

  takeAdded(): readonly string[] {
    const added = this.#added
    this.#added = []
    return added
  }
}

/** Packs the batches of one source; they must be unpacked in the same order. */
export class BatchPacker {
  readonly #streams = new NameNumbers()
  readonly #types = new NameNumbers()

  pack({ items, skipped }: ImportBatch<PackedLine>): PackedBatch {
    const numbers = new Float64Array(items.length * numberCount)
    const whole: number[] = []
    let hasTags = false
    let hasMetadata = false
    items.forEach(({ line, parsed, isWhole, metadata }, place) => {
      const { time = Number.NaN, schemaVersion, stream, type, tags } = parsed
      const row = [line, time, schemaVersion, this.#streams.of(stream), this.#types.of(type)]
      numbers.set(row, place * numberCount)
      if (isWhole) whole.push(place)
      hasTags ||= tags.length > 0
      hasMetadata ||= metadata !== ''
    })
    const tagsOf = ({ parsed: { tags } }: PackedLine) =>
      tags.length === 0 ? '' : JSON.stringify(tags)
    return {
      numbers,
      ids: items.map(({ id }) => id),
      texts: items.map(({ text }) => text),
      streams: this.#streams.takeAdded(),
      types: this.#types.takeAdded(),
      metadata: hasMetadata ? items.map(({ metadata }) => metadata) : [],
      tags: hasTags ? items.map(tagsOf) : [],
      whole,
      skipped,
    }
  }
}

const noMetadata: EventMetadata = Object.freeze({})
const noTags: readonly string[] = Object.freeze([])

/** Makes items of packed batches again, in the order in which they were packed. */
export class BatchUnpacker {
  readonly #now: () => number
  readonly #streams: string[] = []
  readonly #types: string[] = []

  constructor(now: () => number) {
    this.#now = now
  }

  unpack(batch: PackedBatch): ImportBatch {
    this.#streams.push(...batch.streams)
    this.#types.push(...batch.types)
    const items: ImportItem[] = []
    const skipped = [...batch.skipped]
    const whole = new Set(batch.whole)
    for (let place = 0; place < batch.ids.length; place++) {
      const item = whole.has(place) ? this.#readAgain(batch, place) : this.#item(batch, place)
      if ('event' in item) items.push(item)
      else skipped.push(item)
    }
    if (skipped.length > batch.skipped.length) skipped.sort((a, b) => a.line - b.line)
    return { items, skipped }
  }

  #item({ numbers, ids, texts, metadata, tags }: PackedBatch, place: number): ImportItem {
    const at = place * numberCount
    const time = numbers[at + 1] as number
    const metadataText = metadata[place] ?? ''
    const tagsText = tags[place] ?? ''
    const event = {
      id: ids[place] as string,
      idGiven: true,
      type: this.#types[numbers[at + 4] as number] as string,
      metadata: metadataText === '' ? noMetadata : JSON.parse(metadataText),
      time: Number.isNaN(time) ? this.#now() : time,
      schemaVersion: numbers[at + 2] as number,
      tags: tagsText === '' ? noTags : JSON.parse(tagsText),
    }
    return {
      line: numbers[at] as number,
      stream: this.#streams[numbers[at + 3] as number] as string,
      event: new TextEvent(event, texts[place] as string),
    }
  }

  #readAgain({ numbers, ids, texts }: PackedBatch, place: number): ImportItem | SkippedLine {
    const line = numbers[place * numberCount] as number
    const parsed = parseLine(texts[place] as string)
    // Only one with very deep nesting, for which this thread has less room than the other had.
    if (parsed instanceof LineProblem) return { line, reason: parsed.reason }
    return itemOf({ line, id: ids[place] as string, parsed }, this.#now)
  }
}
