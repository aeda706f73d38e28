import { systemClock } from '../../kernel/index.ts'
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
import { optional, parsed, schemaVersionIn, tagsIn, Unfit } from '../exported-fields.ts'
import type { ImportOptions, ImportResult } from '../import-events.ts'
import { importItems } from '../import-items.ts'
import { type ImportItem, lineBytesMax, type SkippedLine } from '../import-lines.ts'
import { type PortOrStore, portOf } from '../port-or-store.ts'
import { type ImportSource, openSource, sourceNameOf } from '../source.ts'
import type { ImportTarget } from '../store-batch.ts'
import { timeOf } from '../timestamp.ts'
import { type OcelEvent, OcelNames, type OcelObject, type OcelType, ocelElement } from './names.ts'
import { type SectionElement, splitSections } from './sections.ts'

/** Options of an import of OCEL. */
export interface OcelImportOptions extends ImportOptions {
  /**
   * Types of objects that are streams: an event goes to the first object that it relates to of the
   * first of these types, and gets the others as tags. Needed unless the log is an export of
   * `exportOcel`, which names the streams itself.
   */
  readonly categories?: readonly string[] | undefined
}

/**
 * Imports an object-centric event log, OCEL 2.0 in JSON, plain or gzip. An event belongs to many
 * objects: `categories` says which of them is its stream, the others become tags `type:id`. The
 * attributes of an event are its data; what is known of the stream's own object stands in the
 * metadata of its first event, as `object`. An export of `exportOcel` gives the same events in the
 * same streams again.
 *
 * The file is read as it comes, twice when it is given by its path: memory grows with the number of
 * its objects. A stream of bytes is read once, and its objects must stand before its events.
 * Running it again stores nothing twice.
 *
 * Throws ImportLineError with the line and the reason for an event that cannot be stored (with
 * `skipInvalid` it is left out), and what `importEvents` throws.
 *
 * @example
 * ```ts
 * import { importOcel, openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * const log = {
 *   objects: [{ id: 'o1', type: 'order' }, { id: 'tea', type: 'item' }],
 *   events: [{
 *     id: 'e1', type: 'place', time: '2024-05-01T10:00:00Z',
 *     attributes: [{ name: 'total', value: 30 }],
 *     relationships: [{ objectId: 'o1', qualifier: '' }, { objectId: 'tea', qualifier: '' }],
 *   }],
 * }
 * await importOcel(store, [JSON.stringify(log)], { categories: ['order'] })
 * const [event] = await store.readStream('order-o1').toArray()
 * console.log(event?.type, event?.tags) // place [ 'item:tea' ]
 * ```
 */
export async function importOcel(
  store: PortOrStore<ImportTarget>,
  source: ImportSource,
  options: OcelImportOptions = {},
): Promise<ImportResult> {
  const { categories, signal } = options
  for (const category of categories ?? []) {
    if (typeof category === 'string' && category !== '') continue
    throw new InvalidArgumentError('categories', 'must be names of types of objects')
  }
  const reader = new OcelReader(options, options.sourceName ?? sourceNameOf(source))
  if (typeof source === 'string') {
    const first = openSource(source, reader.name, signal)
    try {
      for await (const element of splitSections(first.chunks, reader.name, lineBytesMax)) {
        reader.learn(element)
      }
    } finally {
      first.close()
    }
    reader.knowsAll = true
  }
  const opened = openSource(source, reader.name, signal)
  try {
    const items = reader.items(opened.chunks)
    return await importItems(portOf(store), { items, bytesRead: opened.bytesRead }, options)
  } finally {
    opened.close()
  }
}

/** Makes events of the elements of a log, with what is known of its objects so far. */
class OcelReader {
  readonly name: string
  /** Whether the objects are known before the events are looked at. */
  knowsAll = false
  readonly #options: OcelImportOptions
  readonly #names: OcelNames
  readonly #begun = new Set<string>()

  constructor(options: OcelImportOptions, name: string) {
    this.name = name
    this.#options = options
    this.#names = new OcelNames(options.categories ?? [])
  }

  /** Remembers types and objects. Throws ImportSourceError for what is no OCEL 2.0. */
  learn({ section, source }: SectionElement): void {
    if (section !== 'objects' && section !== 'eventTypes') return
    const element = ocelElement(source)
    try {
      if ('reason' in element) throw new Unfit(element.reason)
      if (section === 'objects') this.#names.object(element.value as unknown as OcelObject)
      else this.#names.eventType(element.value as unknown as OcelType)
    } catch (error) {
      if (!(error instanceof Unfit)) throw error
      throw new ImportSourceError(this.name, `line ${element.line}: ${error.message}`)
    }
  }

  async *items(chunks: AsyncIterable<Buffer>): AsyncGenerator<ImportItem | SkippedLine> {
    for await (const element of splitSections(chunks, this.name, lineBytesMax)) {
      if (element.section !== 'events') {
        if (!this.knowsAll) this.learn(element)
        continue
      }
      const event = ocelElement(element.source)
      yield 'reason' in event ? event : this.#itemOf(event.line, event.value as never)
    }
  }

  #itemOf(line: number, event: OcelEvent): ImportItem | SkippedLine {
    try {
      return this.#eventItem(line, event)
    } catch (error) {
      if (!(error instanceof InvalidNameError || error instanceof Unfit)) throw error
      return { line, reason: error.message }
    }
  }

  #eventItem(line: number, found: OcelEvent): ImportItem {
    const { clock = systemClock } = this.#options
    const { type, time } = found
    if (type === undefined) throw new Unfit('the event has no type')
    assertTypeName(type)
    const at = time === undefined || time === null ? clock.now() : timeOf(time)
    if (at === undefined) {
      const shown = JSON.stringify(time)
      throw new Unfit(`time ${shown} is no time with a zone, such as "2013-01-31T10:15:00Z"`)
    }
    const { stream, id, tags, qualifiers, object, isExport } = this.#names.placeOf(
      found,
      this.knowsAll,
    )
    assertStreamName(stream)
    assertEventId(id)
    for (const tag of tags) assertTag(tag)
    const attributes = this.#names.attributesOf(found)
    const own = (key: string) => attributes.get(`eventuali:${key}`)
    const told = parsed(own('data') as string | undefined, 'eventuali:data')
    const actor = isExport && told === undefined ? attributes.get('actor') : undefined
    const shown = [...attributes].filter(
      ([key]) => !key.startsWith('eventuali:') && (actor === undefined || key !== 'actor'),
    )
    const allTags = own('tags') === undefined ? tags : tagsIn(own('tags') as string)
    const isFirst = !this.#begun.has(stream)
    const event = {
      ...{ id, idGiven: true, type, time: at, tags: allTags },
      // `null` is data, too.
      data: told === undefined ? (Object.fromEntries(shown) as Json) : told,
      metadata: {
        ...optional('actor', actor as string | undefined),
        ...(parsed(own('metadata') as string | undefined, 'eventuali:metadata') as EventMetadata),
        ...optional('qualifiers', qualifiers),
        ...optional('object', isFirst ? object : undefined),
      },
      schemaVersion: schemaVersionIn((own('schemaVersion') as string | number | undefined) ?? 1),
    }
    this.#begun.add(stream)
    return { line, stream, event }
  }
}
