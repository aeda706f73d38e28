import type { EventInput, EventMetadata, RecordedEvent } from 'eventuali'
import { Failure } from './failure.ts'

/** A CloudEvent 1.0 in structured mode. */
export type CloudEvent = { readonly [attribute: string]: unknown }

/** Attributes with a place of their own in an event; all others go into the metadata. */
const placed: ReadonlySet<string> = new Set([
  'specversion',
  'id',
  'type',
  'subject',
  'time',
  'data',
  // Written by this server itself: what it says of an event, and no part of it.
  'streamversion',
  'position',
  'recordedat',
  'schemaversion',
])

const metadataNames: Readonly<Record<string, string>> = {
  correlationid: 'correlationId',
  causationid: 'causationId',
}
const attributeNames: Readonly<Record<string, string>> = {
  correlationId: 'correlationid',
  causationId: 'causationid',
}

/** What comes in, as an event of ours: the same as an import makes of a line. */
export function eventFromCloud(cloud: CloudEvent): EventInput {
  if (Object.hasOwn(cloud, 'data_base64')) {
    throw new Failure('REQUEST_INVALID', 'data_base64 is not taken; write the data as JSON')
  }
  const metadata: Record<string, unknown> = Object.create(null)
  for (const [name, value] of Object.entries(cloud)) {
    if (placed.has(name) || value === null || value === undefined) continue
    metadata[Object.hasOwn(metadataNames, name) ? (metadataNames[name] as string) : name] = value
  }
  const { id, type, time, data } = cloud as {
    id: string
    type: string
    time?: Date
    data?: unknown
  }
  return {
    ...{ id, type, data: data ?? null },
    ...(time === undefined ? {} : { time }),
    metadata: { ...metadata } as EventMetadata,
  }
}

/** An attribute's name and value, where CloudEvents have such. */
function isAttribute(name: string, value: unknown): boolean {
  if (!/^[a-z0-9]{1,20}$/.test(name) || placed.has(name) || name === 'source') return false
  if (typeof value === 'string' || typeof value === 'boolean') return true
  return Number.isInteger(value) && Math.abs(value as number) < 2 ** 31
}

/** What goes out. `source` and `id` together name one event, as CloudEvents ask for. */
export function cloudFromEvent(event: RecordedEvent, base: string): CloudEvent {
  const extensions: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(event.metadata)) {
    const attribute = Object.hasOwn(attributeNames, name) ? attributeNames[name] : name
    if (attribute !== undefined && isAttribute(attribute, value)) extensions[attribute] = value
  }
  return {
    ...extensions,
    specversion: '1.0',
    id: event.id,
    source: `${base.replace(/\/$/, '')}/streams/${encodeURIComponent(event.stream)}`,
    type: event.type,
    subject: event.stream,
    time: event.time.toISOString(),
    datacontenttype: 'application/json',
    data: event.data,
    streamversion: event.version,
    position: event.position,
    recordedat: event.recordedAt.toISOString(),
    schemaversion: event.schemaVersion,
  }
}
