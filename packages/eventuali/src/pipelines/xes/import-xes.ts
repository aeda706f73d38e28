import { TextDecoder } from 'node:util'
import { systemClock, systemRandom, uuidV5 } from '../../kernel/index.ts'
import {
  assertEventId,
  assertStreamName,
  assertTag,
  assertTypeName,
  type EventMetadata,
  ImportSourceError,
  InvalidArgumentError,
  InvalidNameError,
  type Json,
} from '../../model/index.ts'
import {
  batchBytesMax,
  batchCount,
  type ImportOptions,
  type ImportResult,
} from '../import-events.ts'
import type { ImportItem, SkippedLine } from '../import-lines.ts'
import { ImportTally } from '../import-tally.ts'
import { type PortOrStore, portOf } from '../port-or-store.ts'
import { type ImportSource, openSource, sourceNameOf } from '../source.ts'
import type { ImportTarget } from '../store-batch.ts'
import { timeOf } from '../timestamp.ts'
import { jsonOf, type TypeNotes, type XesAttribute } from './attributes.ts'
import { type XesEvent, XesReader } from './read-xes.ts'

/** Options of an import of XES. */
export interface XesImportOptions extends ImportOptions {
  /** A trace named 7 becomes the stream `CATEGORY-7`; `case` when left out. */
  readonly category?: string | undefined
}

/** What an import of XES did. */
export interface XesImportResult extends ImportResult {
  /** Traces without events, of which nothing is stored. */
  readonly emptyTraces: number
}

/** Keys that are told elsewhere than in the data. */
const ownKeys: ReadonlySet<string> = new Set([
  ...['concept:name', 'time:timestamp', 'org:resource', 'identity:id'],
  ...['eventuali:data', 'eventuali:metadata', 'eventuali:tags', 'eventuali:schemaVersion'],
])

/**
 * Imports an event log in XES (IEEE 1849), plain or gzip: a trace becomes a stream, `concept:name`
 * the type of an event, `time:timestamp` its time, `org:resource` its actor, everything else its
 * data. The attributes of a trace are kept in the metadata of its first event, as `case`. The file
 * is read as it comes; memory grows with the number of its traces alone.
 *
 * Running it again stores nothing twice. Needs the package `saxes`.
 *
 * Throws ImportLineError with the line and the reason for what is no XES (with `skipInvalid` events
 * that cannot be stored are left out; XML that is not well-formed ends it always), and what
 * `importEvents` throws.
 *
 * @example
 * ```ts
 * import { importXes, openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * const log = `<log><trace><string key="concept:name" value="7"/><event>
 *   <string key="concept:name" value="Received"/>
 *   <date key="time:timestamp" value="2024-05-01T10:00:00Z"/></event></trace></log>`
 * await importXes(store, [log], { category: 'permit' })
 * console.log((await store.readStream('permit-7').toArray())[0]?.type) // Received
 * ```
 */
export async function importXes(
  store: PortOrStore<ImportTarget>,
  source: ImportSource,
  options: XesImportOptions = {},
): Promise<XesImportResult> {
  return new XesImport(portOf(store), source, options).go()
}

class XesImport {
  readonly #tally: ImportTally
  readonly #source: ImportSource
  readonly #options: XesImportOptions
  readonly #name: string
  readonly #ordinals = new Map<string, number>()

  constructor(target: ImportTarget, source: ImportSource, options: XesImportOptions) {
    const { category = 'case' } = options
    if (category === '' || category.includes('-')) {
      throw new InvalidArgumentError('category', 'must be a name without "-"')
    }
    const { clock = systemClock, random = systemRandom, skipInvalid = false } = options
    this.#tally = new ImportTally(target, { clock, random }, skipInvalid === true)
    this.#source = source
    this.#options = options
    this.#name = options.sourceName ?? sourceNameOf(source)
  }

  async go(): Promise<XesImportResult> {
    const { signal, onProgress, clock = systemClock } = this.#options
    const started = clock.monotonic()
    const batchCountMax = batchCount(this.#options.batchCountMax)
    const reader = new XesReader()
    const opened = openSource(this.#source, this.#name, signal)
    let items: ImportItem[] = []
    let bytes = 0
    const store = async () => {
      if (items.length > 0) await this.#tally.store(items)
      items = []
      bytes = 0
      const { events, duplicates, skippedCount: skipped } = this.#tally
      onProgress?.({ events, duplicates, skipped, bytesRead: opened.bytesRead() })
      signal?.throwIfAborted()
    }
    try {
      for await (const found of this.#found(reader, opened.chunks)) {
        const item = 'reason' in found ? found : this.#itemOf(found)
        if ('reason' in item) {
          this.#tally.skip([item])
          continue
        }
        items.push(item)
        bytes += JSON.stringify(item.event.data).length
        if (items.length >= batchCountMax || bytes >= batchBytesMax) await store()
      }
      await store()
    } finally {
      opened.close()
    }
    return this.#result((clock.monotonic() - started) / 1000, reader.emptyCount)
  }

  async *#found(
    reader: XesReader,
    chunks: AsyncIterable<Buffer>,
  ): AsyncGenerator<XesEvent | SkippedLine> {
    let decoder: TextDecoder | undefined
    const decode = (chunk?: Buffer): string => {
      try {
        return decoder?.decode(chunk, { stream: chunk !== undefined }) ?? ''
      } catch (cause) {
        throw new ImportSourceError(this.#name, `it is not ${decoder?.encoding} text`, { cause })
      }
    }
    for await (const chunk of chunks) {
      decoder ??= decoderOf(this.#name, chunk)
      yield* reader.read(decode(chunk))
    }
    yield* reader.read(decode())
    yield* reader.end()
  }

  #itemOf(found: XesEvent): ImportItem | SkippedLine {
    try {
      return itemOf(found, this.#options, this.#name, this.#ordinals)
    } catch (error) {
      if (!(error instanceof InvalidNameError || error instanceof Unfit)) throw error
      return { line: found.line, reason: error.message }
    }
  }

  #result(seconds: number, emptyTraces: number): XesImportResult {
    const { events, duplicates, skipped, skippedCount } = this.#tally
    const read = events + duplicates
    return {
      ...{ events, duplicates, streams: this.#ordinals.size },
      ...{ skipped, skippedCount, emptyTraces, seconds },
      eventsPerSecond: seconds > 0 ? read / seconds : read,
    }
  }
}

/** The text decoder for what the XML declaration says; UTF-8 when it says nothing. */
function decoderOf(name: string, head: Buffer): TextDecoder {
  const declared = /^[^<]{0,4}<\?xml[^>]{0,200}encoding\s*=\s*["']([\w.:-]+)["']/.exec(
    head.subarray(0, 300).toString('latin1'),
  )?.[1]
  try {
    return new TextDecoder(declared ?? 'utf-8', { fatal: true })
  } catch (cause) {
    throw new ImportSourceError(name, `its encoding ${declared} is unknown`, { cause })
  }
}

class Unfit extends Error {}

function itemOf(
  { line, attributes, caseName, caseAttributes, stream: exported }: XesEvent,
  { category, clock = systemClock }: XesImportOptions,
  name: string,
  ordinals: Map<string, number>,
): ImportItem {
  // A file that was exported names its streams, unless a category is asked for.
  const stream =
    category === undefined && exported !== undefined
      ? exported
      : `${category ?? 'case'}-${caseName}`
  assertStreamName(stream)
  const ordinal = ordinals.get(stream) ?? 0
  ordinals.set(stream, ordinal + 1)
  const named = (key: string) => attributes.find((one) => one.key === key)?.value
  const type = named('concept:name')
  if (type === undefined) throw new Unfit('the event has no concept:name, which is its type')
  assertTypeName(type)
  const notes: TypeNotes = {}
  const rest = jsonOf(
    attributes.filter(({ key }) => !ownKeys.has(key)),
    notes,
  )
  const told = parsed(named('eventuali:data'), 'eventuali:data')
  // `null` is data, too.
  const data = told === undefined ? rest : told
  const time = timeIn(named('time:timestamp'))
  const id =
    named('identity:id') ?? uuidV5(name, stream, ordinal, type, JSON.stringify([data, time]))
  assertEventId(id)
  const event = {
    ...{ id, idGiven: true, type, data, time: time ?? clock.now() },
    metadata: {
      ...optional('actor', named('org:resource')),
      ...(parsed(named('eventuali:metadata'), 'eventuali:metadata') as EventMetadata | undefined),
      ...optional('xesTypes', Object.keys(notes).length > 0 ? notes : undefined),
      ...caseIn(caseAttributes),
    },
    schemaVersion: schemaVersionIn(named('eventuali:schemaVersion') ?? '1'),
    tags: tagsIn(named('eventuali:tags')),
  }
  return { line, stream, event }
}

function optional<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>)
}

function caseIn(attributes: readonly XesAttribute[] | undefined): EventMetadata {
  const kept = attributes?.filter(({ key }) => !['concept:name', 'eventuali:stream'].includes(key))
  if (kept === undefined || kept.length === 0) return {}
  const notes: TypeNotes = {}
  const found = jsonOf(kept, notes)
  return {
    case: found,
    ...optional('xesCaseTypes', Object.keys(notes).length > 0 ? notes : undefined),
  }
}

function timeIn(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const time = timeOf(text.trim())
  if (time !== undefined) return time
  throw new Unfit(
    `time:timestamp ${JSON.stringify(text)} is no time with a zone, such as "2013-01-31T10:15:00Z"`,
  )
}

function parsed(text: string | undefined, key: string): Json | undefined {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as Json
  } catch {
    throw new Unfit(`${key} is not JSON`)
  }
}

function schemaVersionIn(text: string): number {
  const version = Number(text)
  if (Number.isSafeInteger(version) && version >= 1) return version
  throw new Unfit('eventuali:schemaVersion is not an integer of 1 or more')
}

function tagsIn(text: string | undefined): readonly string[] {
  const tags = parsed(text, 'eventuali:tags') ?? []
  if (!Array.isArray(tags)) throw new Unfit('eventuali:tags is no array of texts')
  for (const tag of tags) assertTag(tag)
  return tags as string[]
}
