import { categoryOf, isSystemType, type Json, type RecordedEvent } from '../../model/index.ts'
import type { CallOptions } from '../../ports/index.ts'
import { type PortOrStore, portOf } from '../port-or-store.ts'
import { type StreamSource, streamNames, streamPages } from '../stream-pages.ts'
import { timeOf } from '../timestamp.ts'

/** Options of an export to OCEL; without any it is the whole store. */
export interface OcelExportOptions extends CallOptions {
  /** Only the streams of these categories. */
  readonly categories?: readonly string[] | undefined
}

type OcelType = 'string' | 'time' | 'integer' | 'float' | 'boolean'

/** Names of event types and their attributes, as the first pass finds them. */
type Types = Map<string, Map<string, OcelType>>

interface Survey {
  readonly events: Types
  readonly objects: Set<string>
}

/**
 * Exports a store as an object-centric event log, OCEL 2.0 in JSON: each stream is an object whose
 * type is its category, and so is each tag of the form `type:id`; an event relates to its stream
 * and its tags. Data that is an object gives the attributes, what is nested in it as JSON text.
 * What OCEL cannot say is added under names that begin with `eventuali:`, so `importOcel` gives the
 * same events back.
 *
 * The log is read twice, first for the types, which stand at the head. Memory grows with the number
 * of types and of different tags, not with that of events. It ends at the safe position as it was
 * at the beginning; the store's own events and deleted streams are left out.
 *
 * @example
 * ```ts
 * import { exportOcel, openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * await store.append('order-1', { type: 'OrderPlaced', data: { total: 30 }, tags: ['item:tea'] })
 * let text = ''
 * for await (const part of exportOcel(store)) text += part
 * console.log(JSON.parse(text).objects.length) // 2
 * ```
 */
export async function* exportOcel(
  store: PortOrStore<StreamSource>,
  options: OcelExportOptions = {},
): AsyncGenerator<string, void, void> {
  const { categories, signal, timeoutMs } = options
  const call: CallOptions = { signal, timeoutMs }
  const port = portOf(store)
  const { safe } = await port.positions(call)
  const pages = () => logPages(port, categories, safe, call)
  const survey = await surveyOf(pages())
  const objectTypes = [...survey.objects].map((name) => ({ name, attributes: [] }))
  yield `{"objectTypes":${JSON.stringify(objectTypes)},\n"eventTypes":${JSON.stringify(
    [...survey.events].map(([name, found]) => ({
      name,
      attributes: [...found].map(([attribute, type]) => ({ name: attribute, type })),
    })),
  )},\n"events":[`
  const tags = new Set<string>()
  let separator = '\n'
  for await (const page of pages()) {
    let text = ''
    for (const event of page) {
      for (const tag of event.tags) if (isObjectTag(tag)) tags.add(tag)
      text += `${separator}${JSON.stringify(ocelEvent(event, survey.events))}`
      separator = ',\n'
    }
    yield text
  }
  yield '],\n"objects":['
  yield* objectsOf(port, categories, safe, call, tags)
  yield ']}\n'
}

async function* logPages(
  port: StreamSource,
  categories: readonly string[] | undefined,
  upTo: number,
  call: CallOptions,
): AsyncGenerator<readonly RecordedEvent[]> {
  const query = { categories, direction: 'forward', includeArchived: true, upTo } as const
  for await (const page of port.readLog(query, call)) {
    yield page.filter(({ type }) => !isSystemType(type))
  }
}

async function surveyOf(pages: AsyncIterable<readonly RecordedEvent[]>): Promise<Survey> {
  const events: Types = new Map()
  const objects = new Set<string>()
  for await (const page of pages) {
    for (const event of page) {
      const { type, stream, tags } = event
      objects.add(categoryOf(stream))
      for (const tag of tags) if (isObjectTag(tag)) objects.add(typeOfTag(tag))
      const known = events.get(type) ?? new Map<string, OcelType>()
      events.set(type, known)
      for (const [name, value] of fieldsOf(event)) {
        const found = typeOf(value)
        const before = known.get(name)
        const both = before === undefined ? found : joined(before, found)
        known.set(name, both)
        // What becomes text for the sake of others is told as it is, too.
        if (before !== undefined && before !== found && both === 'string') {
          known.set('eventuali:data', 'string')
        }
      }
      for (const [name, value] of extrasOf(event, known)) known.set(name, typeOf(value))
    }
  }
  return { events, objects }
}

/** One type for both, since an attribute has one: text is what everything can be. */
function joined(one: OcelType, other: OcelType): OcelType {
  if (one === other) return one
  const isNumber = (type: OcelType) => type === 'integer' || type === 'float'
  return isNumber(one) && isNumber(other) ? 'float' : 'string'
}

function fieldsOf(event: RecordedEvent): [string, Exclude<Json, null>][] {
  const { actor } = event.metadata
  const data = event.data as Json
  const isObject = typeof data === 'object' && data !== null && !Array.isArray(data)
  const fields: [string, Json][] = Object.entries(isObject ? data : { data })
  if (typeof actor === 'string' && !fields.some(([name]) => name === 'actor'))
    fields.unshift(['actor', actor])
  // OCEL has no null: what is not there has no attribute.
  return fields.filter((field): field is [string, Exclude<Json, null>] => field[1] != null)
}

/**
 * What OCEL has no word for, so that an import gives the same event again: data that attributes do
 * not carry, other metadata than the actor, other tags than objects, the schema version.
 */
function extrasOf(
  event: RecordedEvent,
  types: ReadonlyMap<string, OcelType> | undefined,
): [string, Exclude<Json, null>][] {
  const { metadata, tags, schemaVersion } = event
  const extras: [string, Exclude<Json, null>][] = []
  const isCarried = carries(event.data as Json, types)
  if (!isCarried) extras.push(['eventuali:data', JSON.stringify(event.data)])
  const { actor, ...others } = metadata
  const rest = isCarried && typeof actor === 'string' ? others : metadata
  if (Object.keys(rest).length > 0) extras.push(['eventuali:metadata', JSON.stringify(rest)])
  if (!tags.every(isObjectTag)) extras.push(['eventuali:tags', JSON.stringify(tags)])
  if (schemaVersion !== 1) extras.push(['eventuali:schemaVersion', schemaVersion])
  return extras
}

/** Whether the attributes of an event give its data again. */
function carries(data: Json, types: ReadonlyMap<string, OcelType> | undefined): boolean {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return false
  return Object.entries(data).every(([name, value]) => {
    if (name === 'actor' || name.startsWith('eventuali:')) return false
    if (typeof value === 'string') return true
    const isPlain = typeof value === 'number' || typeof value === 'boolean'
    return isPlain && types?.get(name) !== 'string'
  })
}

function typeOf(value: Exclude<Json, null>): OcelType {
  if (typeof value === 'boolean') return 'boolean'
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'integer' : 'float'
  return typeof value === 'string' && timeOf(value) !== undefined ? 'time' : 'string'
}

function ocelEvent(event: RecordedEvent, types: Types) {
  const { id, stream, version, type, time, tags } = event
  const known = types.get(type)
  const fields = [...fieldsOf(event), ...extrasOf(event, known)]
  const attributes = fields.map(([name, value]) => ({
    name,
    value: known?.get(name) === 'string' ? textOf(value) : value,
  }))
  return {
    // An id is unique within its stream; OCEL wants it to be so in the log.
    id: `${stream}@${version}/${id}`,
    type,
    time: time.toISOString(),
    attributes,
    relationships: [
      { objectId: stream, qualifier: categoryOf(stream) },
      ...tags
        .filter(isObjectTag)
        .map((tag) => ({ objectId: `#${tag}`, qualifier: typeOfTag(tag) })),
    ],
  }
}

function textOf(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

async function* objectsOf(
  port: StreamSource,
  categories: readonly string[] | undefined,
  upTo: number,
  call: CallOptions,
  tags: ReadonlySet<string>,
): AsyncGenerator<string> {
  let separator = '\n'
  const line = (id: string, type: string) => {
    const object = { id, type, attributes: [], relationships: [] }
    const text = `${separator}${JSON.stringify(object)}`
    separator = ',\n'
    return text
  }
  for await (const info of streamNames(port, { categories }, call)) {
    // One that came after the beginning has no event in this log.
    for await (const page of streamPages(port, info, upTo, call)) {
      if (page.length > 0) yield line(info.stream, categoryOf(info.stream))
      break
    }
  }
  for (const tag of tags) yield line(`#${tag}`, typeOfTag(tag))
}

function isObjectTag(tag: string): boolean {
  return /^[^:]+:./.test(tag)
}

function typeOfTag(tag: string): string {
  return tag.slice(0, tag.indexOf(':'))
}
