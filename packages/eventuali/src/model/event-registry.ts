import { DefinitionError } from './errors.ts'
import type { RecordedEvent } from './event.ts'
import {
  definitionOfCreator,
  type EventCodec,
  type EventCreators,
  type EventDefinition,
} from './event-definitions.ts'

/** Event definitions by type name. */
export interface EventRegistry {
  /** Number of types. */
  readonly size: number
  get(type: string): EventDefinition | undefined
  types(): readonly string[]
  /** The event with its data decoded, where its definition names a codec; otherwise itself. */
  decode(event: RecordedEvent): RecordedEvent
}

function clash(type: string): DefinitionError {
  return new DefinitionError(
    `event type ${JSON.stringify(type)} is defined twice; rename one, or share the definition`,
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
  return {
    size: definitions.size,
    get: (type) => definitions.get(type),
    types: () => [...definitions.keys()],
    decode: (event) => {
      if (codecs.size === 0) return event
      const codec = codecs.get(event.type)
      return codec === undefined ? event : { ...event, data: codec.decode(event.data) }
    },
  }
}

/**
 * Joins definitions into one registry. The same definition may come twice; two definitions of one
 * type are a DefinitionError.
 */
export function eventRegistry(...sources: readonly EventCreators[]): EventRegistry {
  return registryOf(
    sources.flatMap((source) =>
      Object.keys(source).map((name) => definitionOfCreator(name, source[name])),
    ),
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
