import {
  type EventInput,
  type EventRegistry,
  encodeEvent,
  type RecordedEvent,
  UnknownEventTypeError,
  validateData,
} from '../../model/index.ts'

/** A value, or the promise of one where a validator is asynchronous. */
export type Soon<T> = T | Promise<T>

/** Goes on with a value at once, or when its promise is kept. */
export function after<T, R>(value: Soon<T>, next: (value: T) => Soon<R>): Soon<R> {
  return value instanceof Promise ? value.then(next) : next(value)
}

/** Where events are put and when: the frame of a specification. */
export interface Frame {
  readonly stream: string
  readonly now: Date
  /** Version of the first event. */
  readonly from: number
}

/** Turns events into what a store would give back: validated, encoded, numbered. */
export function recordEvents(
  registry: EventRegistry,
  inputs: readonly EventInput[],
  frame: Frame,
  known?: readonly unknown[],
): Soon<readonly RecordedEvent[]> {
  const outputs = inputs.map((input, index) => {
    const definition = registry.get(input.type)
    if (definition === undefined) throw new UnknownEventTypeError(input.type)
    return known === undefined ? validateData(definition, input.data) : known[index]
  })
  const record = (settled: readonly unknown[]) =>
    inputs.map((input, index) => recordOne(registry, input, settled[index], frame, index))
  if (outputs.some((output) => output instanceof Promise)) return Promise.all(outputs).then(record)
  return record(outputs)
}

function recordOne(
  registry: EventRegistry,
  input: EventInput,
  output: unknown,
  { stream, now, from }: Frame,
  index: number,
): RecordedEvent {
  const definition = registry.get(input.type)
  const version = from + index
  const time = input.time ?? now
  const tags = [...new Set([...(definition?.tags?.(output) ?? []), ...(input.tags ?? [])])]
  const { type, metadata = {}, id = `${stream}@${version}` } = input
  const schemaVersion = definition?.schemaVersion ?? 1
  const data = definition?.codec === undefined ? output : definition.codec.encode(output)
  // The same checks and the same text as in a store, so that a spec does not pass on data that
  // no store takes.
  const encoded = encodeEvent(stream, {
    id,
    idGiven: input.id !== undefined,
    type,
    data,
    metadata,
    time: time.getTime(),
    schemaVersion,
    tags,
  })
  return {
    id,
    stream,
    version,
    position: version,
    type,
    data: JSON.parse(encoded.data),
    metadata: encoded.metadata === '' ? {} : JSON.parse(encoded.metadata),
    time,
    recordedAt: now,
    schemaVersion,
    tags,
  }
}

/** What two events are compared by: their content, and beyond it what was asked for. */
export function comparable(
  event: RecordedEvent,
  asked: Pick<EventInput, 'id' | 'time' | 'metadata' | 'tags'> = {},
): Record<string, unknown> {
  return {
    type: event.type,
    data: event.data,
    ...(asked.id !== undefined && { id: event.id }),
    ...(asked.time !== undefined && { time: event.time }),
    ...(asked.metadata !== undefined && { metadata: event.metadata }),
    ...(asked.tags !== undefined && { tags: event.tags }),
  }
}
