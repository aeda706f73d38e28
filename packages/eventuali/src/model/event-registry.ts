import { DefinitionError } from './errors.ts'
import type { RecordedEvent } from './event.ts'
import {
  definitionOfCreator,
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

/**
 * Joins definitions into one registry. The same definition may come twice; two definitions of one
 * type are a DefinitionError.
 */
export function eventRegistry(...sources: readonly EventCreators[]): EventRegistry {
  const definitions = new Map<string, EventDefinition>()
  for (const source of sources) {
    for (const name of Object.keys(source)) {
      const definition = definitionOfCreator(name, source[name])
      const known = definitions.get(definition.type)
      if (known !== undefined && known !== definition) {
        throw new DefinitionError(
          `event type ${JSON.stringify(definition.type)} is defined twice; rename one, or share the definition`,
        )
      }
      definitions.set(definition.type, definition)
    }
  }
  const codecs = new Map(
    [...definitions].flatMap(([type, { codec }]) => (codec === undefined ? [] : [[type, codec]])),
  )
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
