import { TextDecoder } from 'node:util'
import { systemClock, uuidV5 } from '../../kernel/index.ts'
import {
  assertEventId,
  assertStreamName,
  assertTypeName,
  type EventMetadata,
  ImportSourceError,
  InvalidArgumentError,
  InvalidNameError,
} from '../../model/index.ts'
import { optional, parsed, schemaVersionIn, tagsIn, Unfit } from '../exported-fields.ts'
import type { ImportOptions, ImportResult } from '../import-events.ts'
import { importItems } from '../import-items.ts'
import type { ImportItem, SkippedLine } from '../import-lines.ts'
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
  readonly #target: ImportTarget
  readonly #source: ImportSource
  readonly #options: XesImportOptions
  readonly #name: string
  readonly #ordinals = new Map<string, number>()

  constructor(target: ImportTarget, source: ImportSource, options: XesImportOptions) {
    const { category = 'case' } = options
    if (category === '' || category.includes('-')) {
      throw new InvalidArgumentError('category', 'must be a name without "-"')
    }
    this.#target = target
    this.#source = source
    this.#options = options
    this.#name = options.sourceName ?? sourceNameOf(source)
  }

  async go(): Promise<XesImportResult> {
    const reader = new XesReader()
    const opened = openSource(this.#source, this.#name, this.#options.signal)
    try {
      const items = this.#items(reader, opened.chunks)
      const { bytesRead } = opened
      const result = await importItems(this.#target, { items, bytesRead }, this.#options)
      // A trace of which no event could be read is a stream that the source has all the same.
      return { ...result, streams: this.#ordinals.size, emptyTraces: reader.emptyCount }
    } finally {
      opened.close()
    }
  }

  async *#items(
    reader: XesReader,
    chunks: AsyncIterable<Buffer>,
  ): AsyncGenerator<ImportItem | SkippedLine> {
    for await (const found of this.#found(reader, chunks)) {
      yield 'reason' in found ? found : this.#itemOf(found)
    }
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
