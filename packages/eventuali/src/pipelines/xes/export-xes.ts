import { categoryOf, type Json, type RecordedEvent } from '../../model/index.ts'
import type { CallOptions } from '../../ports/index.ts'
import { type PortOrStore, portOf } from '../port-or-store.ts'
import { type StreamSource, streamNames, streamPages } from '../stream-pages.ts'
import { attributesOf, jsonOf, type TypeNotes, type XesAttribute } from './attributes.ts'

/** Options of an export to XES; without any it is the whole store. */
export interface XesExportOptions extends CallOptions {
  /** Only the streams of these categories. */
  readonly categories?: readonly string[] | undefined
}

type JsonObject = { [key: string]: Json }

const HEAD = `<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1849-2016" xes.features="nested-attributes" xmlns="http://www.xes-standard.org/">
  <extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
  <extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>
  <extension name="Organizational" prefix="org" uri="http://www.xes-standard.org/org.xesext"/>
  <extension name="Lifecycle" prefix="lifecycle" uri="http://www.xes-standard.org/lifecycle.xesext"/>
  <extension name="Identity" prefix="identity" uri="http://www.xes-standard.org/identity.xesext"/>
  <global scope="trace"><string key="concept:name" value=""/></global>
  <global scope="event">
    <string key="concept:name" value=""/>
    <date key="time:timestamp" value="1970-01-01T00:00:00.000Z"/>
  </global>
  <classifier name="Activity" keys="concept:name"/>
`

/**
 * Exports a store as an event log in XES (IEEE 1849), for process mining: each stream a trace, each
 * event with its type, time, actor and data. What XES cannot say is added under keys that begin
 * with `eventuali:`, so `importXes` gives the same events back, with ids, metadata and tags. Goes
 * stream by stream, a page at a time, and ends at the safe position as it was at the beginning; the
 * store's own events (`$archived`, …) and deleted streams are left out.
 *
 * @example
 * ```ts
 * import { exportXes, openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * await store.append('order-1', { type: 'OrderPlaced', data: { total: 30 } })
 * for await (const text of exportXes(store)) process.stdout.write(text)
 * ```
 */
export async function* exportXes(
  store: PortOrStore<StreamSource>,
  options: XesExportOptions = {},
): AsyncGenerator<string, void, void> {
  const { categories, signal, timeoutMs } = options
  const call: CallOptions = { signal, timeoutMs }
  const port = portOf(store)
  const { safe } = await port.positions(call)
  yield HEAD
  for await (const info of streamNames(port, { categories }, call)) {
    let isOpen = false
    for await (const page of streamPages(port, info, safe, call)) {
      const [first] = page
      if (first === undefined) continue
      let text = isOpen ? '' : traceHead(info.stream, first, categories)
      for (const event of page) text += eventElement(event, event === first && !isOpen)
      isOpen = true
      yield text
    }
    if (isOpen) yield '  </trace>\n'
  }
  yield '</log>\n'
}

function traceHead(
  stream: string,
  first: RecordedEvent,
  categories: readonly string[] | undefined,
): string {
  // Within one category the part after it is the case; among several only the whole name is one.
  const category = categoryOf(stream)
  const isOne = categories?.length === 1 && stream.length > category.length + 1
  const name = isOne ? stream.slice(category.length + 1) : stream
  const own = caseOf(first) ?? []
  const attributes = [text('concept:name', name), text('eventuali:stream', stream), ...own]
  return `  <trace>\n${attributes.map((one) => element(one, '    ')).join('')}`
}

/** What an import has kept of the trace; undefined for other metadata of that name. */
function caseOf({ metadata }: RecordedEvent): XesAttribute[] | undefined {
  const { case: kept, xesCaseTypes } = metadata
  if (!isObject(kept)) return undefined
  const attributes = attributesOf(kept, notesIn(xesCaseTypes))
  const isOurs = attributes.every(({ key }) => !reserved.test(key)) && comesBack(kept, attributes)
  return isOurs ? attributes : undefined
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

function eventElement(event: RecordedEvent, isFirst: boolean): string {
  const { type, time, id, metadata, schemaVersion, tags } = event
  const { actor, xesTypes, case: kept, xesCaseTypes, ...rest } = metadata
  const isCaseTold = isFirst && caseOf(event) !== undefined
  const isActorTold = typeof actor === 'string' && legalText(actor) === actor
  const others = {
    ...rest,
    ...(isCaseTold || kept === undefined ? {} : { case: kept }),
    ...(isCaseTold || xesCaseTypes === undefined ? {} : { xesCaseTypes }),
    ...(isActorTold || actor === undefined ? {} : { actor }),
  }
  const data = event.data as Json
  const own = isObject(data) ? attributesOf(data, notesIn(xesTypes)) : []
  const clashing = own.filter(({ key }) => reserved.test(key))
  const shown = own.filter(({ key }) => !reserved.test(key))
  const isWhole = clashing.length === 0 && comesBack(data, shown)
  const attributes: XesAttribute[] = [
    text('concept:name', type),
    { type: 'date', key: 'time:timestamp', value: time.toISOString(), children: [] },
    { type: UUID.test(id) ? 'id' : 'string', key: 'identity:id', value: id, children: [] },
    ...(isActorTold ? [text('org:resource', actor)] : []),
    ...shown,
    ...(isWhole ? [] : [text('eventuali:data', jsonText(data))]),
    ...(Object.keys(others).length > 0 ? [text('eventuali:metadata', jsonText(others))] : []),
    ...(tags.length > 0 ? [text('eventuali:tags', jsonText([...tags]))] : []),
    ...(schemaVersion === 1
      ? []
      : [{ type: 'int', key: 'eventuali:schemaVersion', value: `${schemaVersion}`, children: [] }]),
  ]
  return `    <event>\n${attributes.map((one) => element(one, '      ')).join('')}    </event>\n`
}

const reserved = /^(concept:name|time:timestamp|identity:id|org:resource|eventuali:.*)$/

/** Whether reading the attributes gives the data again; otherwise it is told in JSON as well. */
function comesBack(data: Json, attributes: readonly XesAttribute[]): boolean {
  const asRead = jsonOf(attributes.map(legal), {})
  return JSON.stringify(asRead) === JSON.stringify(data)
}

function legal(attribute: XesAttribute): XesAttribute {
  const { key, value, children } = attribute
  return {
    ...attribute,
    key: legalText(key),
    value: legalText(value),
    children: children.map(legal),
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function notesIn(value: unknown): TypeNotes {
  return isObject(value) ? (value as TypeNotes) : {}
}

/** JSON of characters that XML can carry. */
function jsonText(value: Json): string {
  const hex = (char: string) => `\\u${char.charCodeAt(0).toString(16)}`
  return JSON.stringify(value).replace(/[\ufffe\uffff]/g, hex)
}

function text(key: string, value: string): XesAttribute {
  return { type: 'string', key, value, children: [] }
}

function element({ type, key, value, children }: XesAttribute, indent: string): string {
  const start = `${indent}<${type} key="${escaped(key)}"`
  const head = type === 'list' ? start : `${start} value="${escaped(value)}"`
  if (children.length === 0) return `${head}/>\n`
  const inner = children.map((child) => element(child, `${indent}  `)).join('')
  const body = type === 'list' ? `${indent}<values>\n${inner}${indent}</values>\n` : inner
  return `${head}>\n${body}${indent}</${type}>\n`
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: XML has no way to write these.
const ILLEGAL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g

function legalText(value: string): string {
  return value.toWellFormed().replace(ILLEGAL, '\ufffd')
}

const ENTITIES: Readonly<Record<string, string>> = {
  ...{ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' },
  // As they are they would be read as spaces.
  ...{ '\n': '&#10;', '\r': '&#13;', '\t': '&#9;' },
}

function escaped(value: string): string {
  return legalText(value).replace(/[&<>"\n\r\t]/g, (char) => ENTITIES[char] ?? char)
}
