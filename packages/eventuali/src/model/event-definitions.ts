import type { StandardSchemaV1 } from '@standard-schema/spec'
import { shownText } from '../kernel/index.ts'
import { DefinitionError, InvalidNameError } from './errors.ts'
import type { EventInput, EventMetadata, RecordedEvent } from './event.ts'
import type { EventEvolution } from './evolution.ts'
import type { JsonProblem } from './json-check.ts'
import { assertTypeName } from './names.ts'
import {
  type EventSchema,
  isStandardSchema,
  isTypeOnly,
  type SchemaInput,
  type SchemaOutput,
  validate,
} from './standard-schema.ts'

declare const outputType: unique symbol
declare const storedType: unique symbol

/** An event as a creator makes it. `Out` is what evolve and readers see: the validator's output. */
export interface TypedEvent<Type extends string = string, In = unknown, Out = In>
  extends EventInput<Type, In> {
  readonly [outputType]?: Out
}

/** What may stand beside the data of one event. */
export type EventOptions = Pick<EventInput, 'id' | 'time' | 'metadata' | 'tags'>

/** Makes events of one type. */
export interface EventCreator<Type extends string, In, Out> {
  (data: In, options?: EventOptions): TypedEvent<Type, In, Out>
  /** The type's name, as stored. */
  readonly type: Type
}

/** A creator of some event. */
export interface AnyEventCreator {
  (data: never, options?: EventOptions): TypedEvent
  readonly type: string
}

/** What `defineEvents` returns, whatever it defines. Several may be joined by spreading them. */
export type EventCreators = Readonly<Record<string, AnyEventCreator>>

/** The union of the events that these creators make: what commands return and `append` takes. */
export type EventsOf<T extends EventCreators> = ReturnType<T[keyof T]>

/** What evolve and readers see as the data of an event. */
export type OutputOf<E extends EventInput> = typeof outputType extends keyof E
  ? Exclude<E[typeof outputType], undefined>
  : E['data']

/** The recorded form of a union of events. */
export type RecordedFrom<E extends EventInput> = E extends EventInput
  ? RecordedEvent<E['type'], OutputOf<E>>
  : never

/**
 * The recorded events of these creators, or of one: what a handler of your own takes.
 *
 * @example
 * ```ts
 * import { defineEvents, type RecordedOf, type } from 'eventuali'
 *
 * const events = defineEvents({ OrderPlaced: type<{ total: number }>() })
 *
 * function receipt({ stream, data }: RecordedOf<typeof events, 'OrderPlaced'>): string {
 *   return `${stream}: ${data.total}`
 * }
 * console.log(typeof receipt)
 * ```
 */
export type RecordedOf<T extends EventCreators, Type extends keyof T = keyof T> = RecordedFrom<
  ReturnType<T[Type]>
>

/** Carries what JSON does not: `encode` before storing, `decode` after reading. Both pure. */
export interface EventCodec<Out, Stored> {
  encode(data: Out): Stored
  decode(stored: Stored): Out
}

/** What is said about an event beside its schema. */
export interface EventDetails<Out, Stored> extends EventEvolution<NoInfer<Stored>> {
  /** `key:value` labels made from the data, for decision models and filters. */
  readonly tags?: (data: Out) => readonly string[]
  /** Version of the schema, stored with each event; 1 when left out. */
  readonly version?: number
  readonly codec?: EventCodec<Out, Stored>
}

/** A schema with its details; made by `event(...)`. */
export interface AnyDetailedEvent {
  readonly kind: 'event'
  readonly schema: EventSchema
  readonly details: object
}

/** A schema with its details, typed; `Stored` is what JSON must carry. */
export interface DetailedEvent<S extends EventSchema, Stored> extends AnyDetailedEvent {
  readonly schema: S
  readonly [storedType]?: Stored
}

/** What `defineEvents` takes for each name. */
export type EventSpec = EventSchema | AnyDetailedEvent

type InputOfSpec<D> = D extends DetailedEvent<infer S, unknown> ? SchemaInput<S> : SchemaInput<D>
type OutputOfSpec<D> = D extends DetailedEvent<infer S, unknown> ? SchemaOutput<S> : SchemaOutput<D>
type StoredOfSpec<D> = D extends DetailedEvent<EventSchema, infer Stored> ? Stored : SchemaOutput<D>

/** `unknown` where JSON carries the data, otherwise the sentence that the compiler shows. */
export type StorableSpecs<D> = {
  readonly [K in keyof D]: [JsonProblem<StoredOfSpec<D[K]>>] extends [never]
    ? unknown
    : JsonProblem<StoredOfSpec<D[K]>>
}

/** The definition behind a creator, as the engine uses it. */
export interface EventDefinition {
  readonly type: string
  readonly schemaVersion: number
  /** Undefined for `type<T>()`. */
  readonly schema: StandardSchemaV1 | undefined
  readonly tags: ((data: unknown) => readonly string[]) | undefined
  readonly codec: EventCodec<unknown, unknown> | undefined
  readonly evolution: EventEvolution
}

const definitionByCreator = new WeakMap<object, EventDefinition>()
const definitionByEvent = new WeakMap<object, EventDefinition>()

/** The definition of the creator that made an event, if one did. */
export function definitionOfEvent(event: object): EventDefinition | undefined {
  return definitionByEvent.get(event)
}

/** The definition behind a creator. Throws DefinitionError for anything else. */
export function definitionOfCreator(name: string, creator: unknown): EventDefinition {
  const definition = typeof creator === 'function' ? definitionByCreator.get(creator) : undefined
  if (definition !== undefined) return definition
  throw new DefinitionError(`${JSON.stringify(name)} is not an event; make it with defineEvents`)
}

/**
 * The data as it is stored before any codec: the validator's output, or the data itself without
 * a validator. A promise only when the validator is asynchronous. Throws ValidationError.
 */
export function validateData(
  definition: EventDefinition,
  data: unknown,
): unknown | Promise<unknown> {
  if (definition.schema === undefined) return data
  return validate(definition.type, definition.schema, data)
}

/**
 * Adds details to an event's schema: tags, the schema's version and how older ones are read, a
 * codec for what JSON does not carry.
 *
 * @example
 * ```ts
 * import { defineEvents, event, type } from 'eventuali'
 *
 * const events = defineEvents({
 *   StudentEnrolled: event(type<{ course: string; student: string }>(), {
 *     tags: (data) => [`course:${data.course}`, `student:${data.student}`],
 *   }),
 *   InvoiceDue: event(type<{ at: Date }>(), {
 *     codec: {
 *       encode: (data) => ({ at: data.at.toISOString() }),
 *       decode: (stored) => ({ at: new Date(stored.at) }),
 *     },
 *   }),
 * })
 * console.log(events.StudentEnrolled.type)
 * ```
 */
export function event<S extends EventSchema, Stored = SchemaOutput<S>>(
  schema: S,
  details: EventDetails<SchemaOutput<S>, Stored> = {},
): DetailedEvent<S, Stored> {
  return { kind: 'event', schema, details }
}

function definitionFrom(type: string, spec: unknown): EventDefinition {
  const detailed = (spec as { readonly kind?: unknown } | null)?.kind === 'event'
  const { schema, details } = detailed
    ? (spec as { schema: unknown; details: EventDetails<unknown, unknown> })
    : { schema: spec, details: {} as EventDetails<unknown, unknown> }
  if (!isStandardSchema(schema) && !isTypeOnly(schema)) {
    throw new DefinitionError(
      `event ${JSON.stringify(type)} needs a Standard Schema (zod, valibot, arktype, …) or type<T>()`,
    )
  }
  const version = details.version ?? 1
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new DefinitionError(
      `event ${JSON.stringify(type)} has version ${shownText(version)}; use 1, 2, …`,
    )
  }
  return {
    type,
    schemaVersion: version,
    schema: isStandardSchema(schema) ? schema : undefined,
    tags: details.tags,
    codec: details.codec,
    evolution: checkedEvolution(type, version, details),
  }
}

function assertDefinable(type: string): void {
  try {
    assertTypeName(type)
  } catch (error) {
    if (!(error instanceof InvalidNameError)) throw error
    throw new DefinitionError(error.message)
  }
}

function checkedEvolution(
  type: string,
  version: number,
  { upcast = {}, formerly = [], into = [], defaults }: EventEvolution,
): EventEvolution {
  const refuse = (what: string) => new DefinitionError(`event ${JSON.stringify(type)} ${what}`)
  if (typeof upcast !== 'object' || upcast === null) throw refuse('has an "upcast" of no functions')
  if (!Array.isArray(formerly) || !Array.isArray(into)) {
    throw refuse('has a "formerly" or an "into" that is no list of names')
  }
  for (const [from, upcaster] of Object.entries(upcast)) {
    if (!(Number(from) >= 1 && Number(from) < version)) {
      throw refuse(`has an upcaster from version ${from}; it has to be below its own, ${version}`)
    }
    if (typeof upcaster !== 'function') {
      throw refuse(`has an upcaster from version ${from} that is no function`)
    }
  }
  for (const name of [...formerly, ...into]) {
    assertDefinable(name)
    if (name === type) throw refuse('names itself in "formerly" or "into"; leave it out')
  }
  return { upcast, formerly, into, ...(defaults === undefined ? {} : { defaults }) }
}

function creatorOf(definition: EventDefinition): AnyEventCreator {
  const { type } = definition
  const create = (data: unknown, options?: EventOptions): EventInput => {
    const made: {
      type: string
      data: unknown
      id?: string
      time?: Date
      metadata?: EventMetadata
      tags?: readonly string[]
    } = { type, data }
    if (options !== undefined) {
      if (options.id !== undefined) made.id = options.id
      if (options.time !== undefined) made.time = options.time
      if (options.metadata !== undefined) made.metadata = options.metadata
      if (options.tags !== undefined) made.tags = options.tags
    }
    definitionByEvent.set(made, definition)
    return made
  }
  Object.defineProperty(create, 'name', { value: type })
  Object.defineProperty(create, 'type', { value: type, enumerable: true })
  definitionByCreator.set(create, definition)
  return create as unknown as AnyEventCreator
}

/**
 * Defines event types by name. Gives one creator for each, which makes plain objects
 * `{ type, data }`; the data is checked when it is appended, and what is stored is the
 * validator's output. Throws DefinitionError for a name or schema that no store takes.
 *
 * @example
 * ```ts
 * import { defineEvents, type } from 'eventuali'
 *
 * const events = defineEvents({
 *   OrderPlaced: type<{ customer: string; total: number }>(),
 *   OrderShipped: type<{ carrier: string }>(),
 * })
 * console.log(events.OrderPlaced({ customer: 'ada', total: 30 }))
 * ```
 */
export function defineEvents<const D extends Readonly<Record<string, EventSpec>>>(
  definitions: D & StorableSpecs<D>,
): { readonly [K in keyof D & string]: EventCreator<K, InputOfSpec<D[K]>, OutputOfSpec<D[K]>> } {
  const creators: Record<string, AnyEventCreator> = {}
  for (const type of Object.keys(definitions)) {
    assertDefinable(type)
    const creator = creatorOf(definitionFrom(type, definitions[type]))
    Object.defineProperty(creators, type, { value: creator, enumerable: true })
  }
  return creators as never
}
