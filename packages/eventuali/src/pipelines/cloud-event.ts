/** The fields of a line, unchecked. */
export type LineFields = { readonly [key: string]: unknown }

/** Attributes with a place of their own in an event; all others go into the metadata. */
const placed: ReadonlySet<string> = new Set([
  'specversion',
  'id',
  'type',
  'subject',
  'time',
  'data',
  'data_base64',
])

/** Extensions that mean what a named key of the metadata means. */
const metadataNames: ReadonlyMap<string, string> = new Map([
  ['correlationid', 'correlationId'],
  ['causationid', 'causationId'],
])

/** Whether a line is a CloudEvent in structured mode rather than a line of our own. */
export function isCloudEvent(fields: LineFields): boolean {
  return Object.hasOwn(fields, 'specversion')
}

/**
 * A CloudEvent 1.0 as a line of our own. `subject` names the stream, or `source` when there is no
 * subject; `id`, `type`, `time` and `data` stay what they are; `source`, `datacontenttype`,
 * `dataschema` and extensions become metadata.
 */
export function cloudEventFields(event: LineFields, refuse: (reason: string) => never): LineFields {
  if (event.specversion !== '1.0') {
    refuse(`is a CloudEvent of specversion ${JSON.stringify(event.specversion)}; 1.0 is known`)
  }
  for (const required of ['id', 'source', 'type']) {
    if (Object.hasOwn(event, required) && typeof event[required] === 'string') continue
    refuse(`is a CloudEvent without ${JSON.stringify(required)}`)
  }
  if (Object.hasOwn(event, 'data_base64')) {
    refuse('is a CloudEvent with binary data (data_base64); write its data as JSON')
  }
  const metadata: { [key: string]: unknown } = {}
  for (const [name, value] of Object.entries(event)) {
    if (placed.has(name) || value === null) continue
    // Defined, not assigned: a key called __proto__ must arrive as a key, to be refused later.
    Object.defineProperty(metadata, metadataNames.get(name) ?? name, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    })
  }
  return {
    stream: event.subject ?? event.source,
    type: event.type,
    id: event.id,
    time: event.time,
    data: event.data ?? null,
    metadata,
  }
}
