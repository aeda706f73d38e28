import { shownText } from '../kernel/index.ts'
import { DefinitionError } from './errors.ts'
import type { RecordedEvent } from './event.ts'
import {
  definitionOfCreator,
  type EventCodec,
  type EventCreators,
  type EventDefinition,
} from './event-definitions.ts'
import { Evolution } from './evolution.ts'

/** Event definitions by type name. */
export interface EventRegistry {
  /** Number of types. */
  readonly size: number
  get(type: string): EventDefinition | undefined
  types(): readonly string[]
  /** Whether events may be read as others than they are stored. */
  readonly evolves: boolean
  /**
   * Stored events as the definitions of today see them, before any codec: those of older versions
   * upcast, renamed, split or left out. The same array when there is nothing to do. Throws
   * UpcasterMissingError, UpcastError.
   */
  upcast(events: readonly RecordedEvent[]): readonly RecordedEvent[]
  /** Stored events as handlers see them: upcast, of these types (if any are said), decoded. */
  read(events: readonly RecordedEvent[], types?: readonly string[]): readonly RecordedEvent[]
  /** The types under which events may be stored that are read as one of these. */
  storedTypes(types: readonly string[]): readonly string[]
  /** The event with its data decoded, where its definition names a codec; otherwise itself. */
  decode(event: RecordedEvent): RecordedEvent
}

function clash(type: string): DefinitionError {
  return new DefinitionError(
    `event type ${JSON.stringify(type)} is defined twice; rename one, or share the definition`,
  )
}

function ambiguous(name: string, type: string, other: string): DefinitionError {
  return new DefinitionError(
    `event type ${JSON.stringify(name)} is said to be formerly of ${JSON.stringify(type)}, and ${JSON.stringify(other)} has it too; leave it to one of them`,
  )
}

function registryOf(all: Iterable<EventDefinition>): EventRegistry {
  const definitions = new Map<string, EventDefinition>()
  const codecs = new Map<string, EventCodec<unknown, unknown>>()
  for (const definition of all) {
    const { type, codec } = definition
    const known = definitions.get(type)
    if (known !== undefined && known !== definition) throw clash(type)
    definitions.set(type, definition)
    if (codec !== undefined) codecs.set(type, codec)
  }
  for (const { type, evolution } of definitions.values()) {
    for (const name of evolution.formerly ?? []) {
      const other =
        definitions.get(name) ??
        [...definitions.values()].find(
          (one) => one.type !== type && one.evolution.formerly?.includes(name),
        )
      if (other !== undefined) throw ambiguous(name, type, other.type)
    }
  }
  const evolution = new Evolution(definitions)
  const decode = (event: RecordedEvent): RecordedEvent => {
    const codec = codecs.get(event.type)
    return codec === undefined ? event : { ...event, data: codec.decode(event.data) }
  }
  return {
    size: definitions.size,
    evolves: evolution.isNeeded,
    upcast: (events) => evolution.upcast(events),
    read: (stored, types) => {
      const events = evolution.upcast(stored)
      const kept =
        types === undefined || !evolution.isNeeded
          ? events
          : events.filter(({ type }) => types.includes(type))
      return codecs.size === 0 ? kept : kept.map(decode)
    },
    storedTypes: (types) => evolution.storedTypes(types),
    get: (type) => definitions.get(type),
    types: () => [...definitions.keys()],
    decode: codecs.size === 0 ? (event) => event : decode,
  }
}

/**
 * Joins definitions into one registry. The same definition may come twice; two definitions of one
 * type are a DefinitionError.
 */
export function eventRegistry(...sources: readonly EventCreators[]): EventRegistry {
  return registryOf(
    sources.flatMap((source) => {
      if (typeof source !== 'object' || source === null) {
        throw new DefinitionError(`events are what defineEvents gives, not ${shownText(source)}`)
      }
      return Object.keys(source).map((name) => definitionOfCreator(name, source[name]))
    }),
  )
}

/** Joins registries under the same rule. */
export function joinRegistries(registries: readonly EventRegistry[]): EventRegistry {
  return registryOf(
    registries.flatMap((registry) =>
      registry.types().map((type) => registry.get(type) as EventDefinition),
    ),
  )
}
