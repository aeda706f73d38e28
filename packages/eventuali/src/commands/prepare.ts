import {
  assertEventId,
  assertTag,
  assertTypeName,
  DataNotJsonError,
  definitionOfEvent,
  EmptyAppendError,
  type EventDefinition,
  type EventInput,
  type EventMetadata,
  InvalidArgumentError,
  type Json,
  UnknownEventTypeError,
  validateData,
} from '../model/index.ts'
import type { NewEvent } from '../ports/index.ts'
import { currentContext } from './context.ts'
import type { CommandRuntime } from './runtime.ts'

/** Events ready for a store, and what to show for those whose definition has a codec. */
export interface PreparedEvents {
  readonly events: readonly NewEvent[]
  /** The outputs before encoding, and the definitions; undefined while no codec is involved. */
  readonly coded:
    | {
        readonly outputs: readonly unknown[]
        readonly definitions: readonly (EventDefinition | undefined)[]
      }
    | undefined
}

/** What a command adds to the events it gives. */
export interface PrepareOptions {
  /** Under the events' own metadata; the surrounding context when left out. */
  readonly metadata?: EventMetadata | undefined
  /** The ids of the events by their index, for commands that carry an id. */
  readonly idAt?: ((index: number) => string) | undefined
  /** The validators' outputs, where they are known already. */
  readonly outputs?: readonly unknown[] | undefined
}

const noOptions: PrepareOptions = {}
const noMetadata: EventMetadata = Object.freeze({})
const noTags: readonly string[] = Object.freeze([])

function isOne(events: EventInput | readonly EventInput[]): events is EventInput {
  return !Array.isArray(events)
}

function checkedDefinition(
  runtime: CommandRuntime,
  input: EventInput,
): EventDefinition | undefined {
  if (typeof input !== 'object' || input === null) {
    throw new InvalidArgumentError('events', 'hold something that is no event { type, data }')
  }
  const known = runtime.registry.get(input.type)
  if (known !== undefined) return known
  assertTypeName(input.type)
  if (runtime.unknown === 'refuse') throw new UnknownEventTypeError(input.type)
  return definitionOfEvent(input)
}

function timeOf(input: EventInput, now: number): number {
  const { time } = input
  if (time === undefined) return now
  const value = time instanceof Date ? time.getTime() : Number.NaN
  if (Number.isNaN(value)) throw new InvalidArgumentError('time', 'is not a valid Date')
  return value
}

function metadataOf(input: EventInput, base: EventMetadata): EventMetadata {
  const { metadata } = input
  if (metadata === undefined) return base
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    throw new InvalidArgumentError('metadata', 'is not an object')
  }
  return base === noMetadata ? metadata : { ...base, ...metadata }
}

function tagsOf(
  input: EventInput,
  definition: EventDefinition | undefined,
  output: unknown,
): readonly string[] {
  const { tags: given } = input
  const declared = definition?.tags?.(output)
  if (given === undefined && declared === undefined) return noTags
  if (given !== undefined && !Array.isArray(given)) {
    throw new InvalidArgumentError('tags', 'are not an array of strings')
  }
  const tags = new Set<string>()
  for (const tag of declared ?? noTags) {
    assertTag(tag)
    tags.add(tag)
  }
  for (const tag of given ?? noTags) {
    assertTag(tag)
    tags.add(tag)
  }
  return [...tags]
}

function finish(
  runtime: CommandRuntime,
  inputs: readonly EventInput[],
  definitions: readonly (EventDefinition | undefined)[],
  outputs: readonly unknown[],
  options: PrepareOptions,
): PreparedEvents {
  const now = runtime.clock.now()
  const base = options.metadata ?? currentContext() ?? noMetadata
  let given: Set<string> | undefined
  let isCoded = false
  const events = inputs.map((input, index): NewEvent => {
    const definition = definitions[index]
    const output = outputs[index]
    const id = options.idAt === undefined ? input.id : options.idAt(index)
    if (id !== undefined) {
      if (input.id !== undefined && options.idAt !== undefined) {
        throw new InvalidArgumentError('id', 'of an event and a commandId exclude each other')
      }
      assertEventId(id)
      given ??= new Set()
      if (given.has(id)) throw new InvalidArgumentError('id', `${id} comes twice in one append`)
      given.add(id)
    }
    if (definition?.codec !== undefined) isCoded = true
    return {
      id: id ?? runtime.ids.next(),
      idGiven: id !== undefined,
      type: input.type,
      data: (definition?.codec === undefined ? output : definition.codec.encode(output)) as Json,
      metadata: metadataOf(input, base),
      time: timeOf(input, now),
      schemaVersion: definition?.schemaVersion ?? 1,
      tags: tagsOf(input, definition, output),
    }
  })
  return { events, coded: isCoded ? { outputs, definitions } : undefined }
}

/**
 * Turns what a caller hands in into what a store takes: types known, data validated and encoded,
 * ids, times, tags and metadata in place. A promise only when a validator is asynchronous.
 * Throws EmptyAppendError, InvalidArgumentError, InvalidNameError, UnknownEventTypeError,
 * ValidationError.
 */
export function prepareEvents(
  runtime: CommandRuntime,
  stream: string,
  events: EventInput | readonly EventInput[],
  options: PrepareOptions = noOptions,
): PreparedEvents | Promise<PreparedEvents> {
  const inputs = isOne(events) ? [events] : events
  if (inputs.length === 0) throw new EmptyAppendError(stream)
  const definitions: (EventDefinition | undefined)[] = []
  const outputs: unknown[] = []
  let isPending = false
  // Index by index, so that a hole in the array is met and refused.
  for (let index = 0; index < inputs.length; index++) {
    const input = inputs[index] as EventInput
    const definition = checkedDefinition(runtime, input)
    definitions.push(definition)
    const known = options.outputs
    const output =
      definition === undefined
        ? input.data
        : known === undefined
          ? validateData(definition, input.data)
          : known[index]
    if (output instanceof Promise) {
      // Not a validator's promise but the data itself: a forgotten await.
      if (output === input.data) {
        output.catch(() => undefined)
        throw new DataNotJsonError('data', 'is a Promise, which JSON does not carry')
      }
      isPending = true
      // A later event may throw first; this promise must not become an unhandled rejection.
      output.catch(() => undefined)
    }
    outputs.push(output)
  }
  if (!isPending) return finish(runtime, inputs, definitions, outputs, options)
  return Promise.all(outputs).then((settled) =>
    finish(runtime, inputs, definitions, settled, options),
  )
}

/** The system event that tells of a change of a stream's state. */
export function prepareSystemEvent(
  runtime: CommandRuntime,
  type: `$${string}`,
  data: Json,
  metadata?: EventMetadata,
): NewEvent {
  const context = currentContext()
  return {
    id: runtime.ids.next(),
    idGiven: false,
    type,
    data,
    metadata: { ...context, ...metadata },
    time: runtime.clock.now(),
    schemaVersion: 1,
    tags: noTags,
  }
}
