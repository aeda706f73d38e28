import { uuidV5 } from '../kernel/index.ts'
import type { RecordedEvent } from './event.ts'
import { UpcastError, UpcasterMissingError } from './evolution-errors.ts'

/** An event that stands in the place of an older one. */
export interface ReplacementEvent {
  /** The definition's own type, or one that its `into` names. */
  readonly type: string
  /** As it is stored: before any codec. */
  readonly data: unknown
  /** Version of the schema that the data has; the newest when left out. */
  readonly version?: number
}

class Replacement {
  readonly events: readonly ReplacementEvent[]
  constructor(events: readonly ReplacementEvent[]) {
    this.events = events
  }
}

/** What `replacedBy` makes, for an upcaster to give back. */
export type Replaced = Replacement

/**
 * Reads stored data of one version as the next one: gives the data, or `replacedBy(…)`. Pure and
 * synchronous; it runs at every read. `stored` has the names, the times and the metadata.
 */
export type Upcaster = (
  // biome-ignore lint/suspicious/noExplicitAny: the old shape is known to the upcaster alone.
  data: any,
  stored: Omit<RecordedEvent, 'data'>,
) => unknown

/** How events that were stored by earlier versions of a definition are read. */
export interface EventEvolution<Stored = unknown> {
  /** Upcasters by the version that they read: `1` makes version 2 of version 1. */
  readonly upcast?: Readonly<Record<number, Upcaster>>
  /** Names that the type had before; events that are stored under them are read as this type. */
  readonly formerly?: readonly string[]
  /** Other types that the upcasters make (`replacedBy`), so that filters for them look here too. */
  readonly into?: readonly string[]
  /** For fields that stored data does not have. With it, a version may go without an upcaster. */
  readonly defaults?: Partial<Stored>
}

/** What evolution needs to know of a definition. */
export interface EvolvingDefinition {
  readonly type: string
  readonly schemaVersion: number
  readonly evolution: EventEvolution
}

/** Upcasters that call each other in a circle end here. */
const STEP_COUNT_MAX = 1000

/**
 * In an upcaster: other events stand in the place of this one, several or none. They keep its
 * place in the log, its times, metadata and tags; the first one keeps its id.
 *
 * @example
 * ```ts
 * import { defineEvents, event, replacedBy, type } from 'eventuali'
 *
 * const events = defineEvents({
 *   Renamed: type<{ name: string }>(),
 *   Moved: event(type<{ street: string }>(), {
 *     version: 2,
 *     formerly: ['DetailsChanged'],
 *     into: ['Renamed'],
 *     upcast: {
 *       1: ({ name, street }: { name: string; street: string }) =>
 *         replacedBy([
 *           { type: 'Renamed', data: { name } },
 *           { type: 'Moved', data: { street } },
 *         ]),
 *     },
 *   }),
 * })
 * console.log(events.Moved.type)
 * ```
 */
export function replacedBy(events: readonly ReplacementEvent[]): Replaced {
  return new Replacement(events)
}

/** Reads stored events as the definitions of today see them. */
export class Evolution {
  readonly #byStoredType = new Map<string, EvolvingDefinition>()
  readonly #byType: ReadonlyMap<string, EvolvingDefinition>
  /** Whether there is anything to do for any event. */
  readonly isNeeded: boolean

  constructor(definitions: ReadonlyMap<string, EvolvingDefinition>) {
    this.#byType = definitions
    for (const definition of definitions.values()) {
      const { formerly = [], defaults } = definition.evolution
      for (const name of formerly) this.#byStoredType.set(name, definition)
      if (formerly.length === 0 && defaults === undefined && definition.schemaVersion === 1) {
        continue
      }
      this.#byStoredType.set(definition.type, definition)
    }
    this.isNeeded = this.#byStoredType.size > 0
  }

  /** The events as of today, in order; the same array when all of them are. */
  upcast(events: readonly RecordedEvent[]): readonly RecordedEvent[] {
    if (!this.isNeeded) return events
    let out: RecordedEvent[] | undefined
    for (const [index, event] of events.entries()) {
      const definition = this.#byStoredType.get(event.type)
      if (definition === undefined || isCurrent(definition, event)) {
        out?.push(event)
        continue
      }
      out ??= events.slice(0, index)
      const parts = this.#partsOf(event)
      for (const [at, part] of parts.entries()) {
        out.push(at === 0 ? part : { ...part, id: uuidV5(event.id, at) })
      }
    }
    return out ?? events
  }

  /** The types under which events may be stored that are read as one of these. */
  storedTypes(types: readonly string[]): readonly string[] {
    if (!this.isNeeded) return types
    const found = new Set(types)
    for (let before = -1; before !== found.size; ) {
      before = found.size
      for (const { type, evolution } of this.#byStoredType.values()) {
        const { into = [], formerly = [] } = evolution
        if (!found.has(type) && !into.some((other) => found.has(other))) continue
        for (const name of [type, ...formerly]) found.add(name)
      }
    }
    return [...found]
  }

  #partsOf(event: RecordedEvent): readonly RecordedEvent[] {
    const done: RecordedEvent[] = []
    // The next one last.
    const waiting = [event]
    for (let steps = 0; ; steps++) {
      const next = waiting.pop()
      if (next === undefined) return done
      const definition = this.#byStoredType.get(next.type)
      if (definition === undefined) done.push(next)
      else if (next.schemaVersion >= definition.schemaVersion) done.push(finished(definition, next))
      else if (steps < STEP_COUNT_MAX) waiting.push(...this.#step(definition, next).reverse())
      else throw new UpcastError(event, `has not come to an end in ${STEP_COUNT_MAX} steps`)
    }
  }

  /** The event one version on. */
  #step(definition: EvolvingDefinition, event: RecordedEvent): RecordedEvent[] {
    const { upcast = {}, defaults } = definition.evolution
    const { type, schemaVersion: target } = definition
    const { schemaVersion } = event
    const upcaster = upcast[schemaVersion]
    if (upcaster === undefined && defaults === undefined) {
      throw new UpcasterMissingError(event, type, target)
    }
    const data = upcaster === undefined ? event.data : called(upcaster, event)
    if (data instanceof Replacement) {
      return data.events.map((part) => this.#replacement(definition, event, part))
    }
    return [{ ...event, type, data, schemaVersion: schemaVersion + 1 }]
  }

  #replacement(
    { type: own, evolution }: EvolvingDefinition,
    event: RecordedEvent,
    { type, data, version }: ReplacementEvent,
  ): RecordedEvent {
    const { into = [] } = evolution
    if (type !== own && !into.includes(type)) {
      throw new UpcastError(event, `gave ${JSON.stringify(type)}, which its "into" does not name,`)
    }
    if (data === undefined) throw new UpcastError(event, `gave ${type} without data`)
    const newest = this.#byType.get(type)?.schemaVersion ?? 1
    return { ...event, type, data, schemaVersion: version ?? newest }
  }
}

function called(upcaster: Upcaster, event: RecordedEvent): unknown {
  let data: unknown
  try {
    data = upcaster(event.data, event)
  } catch (error) {
    throw new UpcastError(event, 'failed', error)
  }
  if (data === undefined) {
    throw new UpcastError(event, 'gave nothing (the data, or replacedBy([]), is asked for)')
  }
  if (data instanceof Promise) {
    data.catch(() => undefined)
    throw new UpcastError(event, 'gave a promise (upcasters are synchronous)')
  }
  return data
}

function missing(data: unknown, defaults: object): readonly string[] {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return []
  return Object.keys(defaults).filter((key) => !Object.hasOwn(data, key))
}

function isCurrent({ type, schemaVersion, evolution }: EvolvingDefinition, event: RecordedEvent) {
  if (event.type !== type || event.schemaVersion < schemaVersion) return false
  const { defaults } = evolution
  return defaults === undefined || missing(event.data, defaults).length === 0
}

/** With its name of today, and what it lacks. */
function finished({ type, evolution }: EvolvingDefinition, event: RecordedEvent): RecordedEvent {
  const { defaults = {} } = evolution
  const lacks = missing(event.data, defaults)
  if (lacks.length === 0) return event.type === type ? event : { ...event, type }
  const added: Record<string, unknown> = {}
  for (const key of lacks) {
    // A copy for each event, so that a handler that changes its event changes no other.
    added[key] = structuredClone(defaults[key as never])
  }
  return { ...event, type, data: { ...added, ...(event.data as object) } }
}
