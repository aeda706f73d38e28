import { type Clock, isEventualiError } from '../kernel/index.ts'
import {
  type EventCreators,
  type EventDefinition,
  type EventRegistry,
  eventRegistry,
  InvalidArgumentError,
  joinRegistries,
  SchemaIncompatibleError,
} from '../model/index.ts'
import type { CallOptions, EventStore } from '../ports/index.ts'
import {
  type Compatibility,
  checkDefinitions,
  compatibilities,
  type SchemaProblem,
  type StoredSchema,
} from './compatibility.ts'
import { countSchemas, type SchemaCount } from './counts.ts'
import { EventCheck, type EventCheckResult } from './event-check.ts'
import { allRegistered, type RegisteredSchema, register, registeredOf } from './ledger.ts'

/** Event definitions, as `defineEvents` gives them, or what has them: an aggregate, a registry. */
export type SchemaSource = EventCreators | { readonly registry: EventRegistry }

/** How a store handles the schemas of the events that it is opened with. */
export interface SchemaOptions {
  /** What new definitions have to keep; SchemaIncompatibleError otherwise. `none` when left out. */
  readonly compatibility?: Compatibility | undefined
}

/** A type and version that the store has seen. */
export interface SchemaInfo {
  readonly type: string
  readonly version: number
  /** Events that were counted; those that were removed later are among them. */
  readonly count: number
  /** Positions of the first and last of these events; undefined when none was appended. */
  readonly first: number | undefined
  readonly last: number | undefined
  /** What programs registered for it, in the order in which they did. */
  readonly registered: readonly RegisteredSchema[]
}

/** Options of `schemas.list`. */
export interface SchemaListOptions extends CallOptions {
  /** Called while events are counted: the position reached, and the one to reach. */
  readonly onProgress?: ((position: number, upTo: number) => void) | undefined
}

/** Options of `schemas.check`. */
export interface SchemaCheckOptions extends SchemaListOptions {
  /** `backward` when left out. */
  readonly compatibility?: Compatibility | undefined
  /**
   * Which stored events are read and checked: `all` (when left out), so many of the newest of each
   * type, or `none`.
   */
  readonly events?: 'all' | 'none' | number | undefined
}

/** What `schemas.check` found. */
export interface SchemaReport {
  /** No problem is an error. */
  readonly ok: boolean
  readonly problems: readonly SchemaProblem[]
  /** Types and versions that were compared. */
  readonly schemas: number
  /** Events that were read. */
  readonly events: number
  /** Events of these whose data was not checked: their definition has no validator to ask. */
  readonly unchecked: number
}

const SAMPLE_COUNT_MAX = 1_000_000

/** Joins definitions. Throws DefinitionError where two of one type differ. */
function registryOfSources(sources: readonly SchemaSource[]): EventRegistry {
  return joinRegistries(
    sources.map((source) => {
      const registry = (source as { readonly registry?: Partial<EventRegistry> }).registry
      return typeof registry?.types === 'function'
        ? (registry as EventRegistry)
        : eventRegistry(source as EventCreators)
    }),
  )
}

function definitionsOf(registry: EventRegistry): readonly EventDefinition[] {
  return registry.types().map((type) => registry.get(type) as EventDefinition)
}

function assertCompatibility(argument: string, value: unknown): void {
  if ((compatibilities as readonly unknown[]).includes(value)) return
  throw new InvalidArgumentError(argument, `must be one of ${compatibilities.join(', ')}`)
}

/**
 * Compares definitions with what other programs registered, without a store: for a build server
 * that has only the output of `schemas.registered()`.
 *
 * @example
 * ```ts
 * import { checkSchemas, defineEvents, event, type } from 'eventuali'
 *
 * const events = defineEvents({
 *   OrderPlaced: event(type<{ total: number; currency: string }>(), { version: 2 }),
 * })
 * const [problem] = checkSchemas([events], [{ type: 'OrderPlaced', version: 1 }], 'backward')
 * console.log(problem?.kind) // upcaster-missing
 * ```
 */
export function checkSchemas(
  sources: readonly SchemaSource[],
  stored: readonly StoredSchema[],
  compatibility: Compatibility = 'backward',
): readonly SchemaProblem[] {
  assertCompatibility('compatibility', compatibility)
  return checkDefinitions(registryOfSources(sources), stored, compatibility)
}

/**
 * The types and versions of events that a store has seen, and what their data looks like.
 *
 * @example
 * ```ts
 * import { defineEvents, openStore, type } from 'eventuali'
 *
 * const events = defineEvents({ OrderPlaced: type<{ total: number }>() })
 * await using store = await openStore('memory:', { events: [events] })
 * await store.append('order-1', events.OrderPlaced({ total: 30 }))
 * const [info] = await store.schemas.list()
 * console.log(info?.type, info?.version, info?.count) // OrderPlaced 1 1
 * console.log((await store.schemas.check([events])).ok) // true
 * ```
 */
export class Schemas {
  readonly #port: EventStore
  readonly #clock: Clock
  readonly #timeoutMs: number

  /** @internal Use `store.schemas`. */
  constructor(port: EventStore, clock: Clock, timeoutMs: number) {
    this.#port = port
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  /**
   * Checks the definitions of a program against what is registered of their types, and registers
   * them. A store that is open for reading only is checked. Throws SchemaIncompatibleError.
   * @internal
   */
  async enter(registry: EventRegistry, { compatibility = 'none' }: SchemaOptions): Promise<void> {
    assertCompatibility('schemas.compatibility', compatibility)
    const definitions = definitionsOf(registry)
    if (compatibility !== 'none') {
      const names = definitions.flatMap(({ type, evolution }) => [
        type,
        ...(evolution.formerly ?? []),
      ])
      const stored = await registeredOf(this.#port, [...new Set(names)], this.#bounds({}))
      // A newer program is no reason for an older one to refuse: it runs until it is replaced.
      const errors = checkDefinitions(registry, stored, compatibility).filter(
        ({ kind, severity }) => severity === 'error' && kind !== 'newer-version',
      )
      if (errors.length > 0) throw new SchemaIncompatibleError(compatibility, errors)
    }
    try {
      await register(this.#port, this.#clock, definitions, this.#bounds({}))
    } catch (error) {
      if (!isEventualiError(error, 'STORE_READ_ONLY')) throw error
    }
  }

  /**
   * Remembers what the data of these definitions looks like, and gives the number of schemas that
   * were not known. `openStore(url, { events })` does it by itself.
   */
  register(sources: readonly SchemaSource[], options: CallOptions = {}): Promise<number> {
    const definitions = definitionsOf(registryOfSources(sources))
    return register(this.#port, this.#clock, definitions, this.#bounds(options))
  }

  /** What was registered, by type and in the order in which it was. */
  registered(
    options: CallOptions & { readonly type?: string } = {},
  ): Promise<readonly RegisteredSchema[]> {
    const bounds = this.#bounds(options)
    return options.type === undefined
      ? allRegistered(this.#port, bounds)
      : registeredOf(this.#port, [options.type], bounds)
  }

  /**
   * Every type and version that was registered or is in the log, by type and version. Counts what
   * has come since the last time, and keeps the counts unless the store is open for reading only.
   */
  async list(options: SchemaListOptions = {}): Promise<readonly SchemaInfo[]> {
    const bounds = { ...this.#bounds(options), onProgress: options.onProgress }
    const { counts } = await countSchemas(this.#port, bounds)
    const registered = await allRegistered(this.#port, bounds)
    const byPlace = new Map<string, SchemaInfo & { registered: RegisteredSchema[] }>()
    const at = (type: string, version: number) => {
      const key = `${version}/${type}`
      const found = byPlace.get(key)
      if (found !== undefined) return found
      const none = { count: 0, first: undefined, last: undefined }
      const made = { type, version, ...none, registered: [] as RegisteredSchema[] }
      byPlace.set(key, made)
      return made
    }
    for (const one of counts) Object.assign(at(one.type, one.version), one satisfies SchemaCount)
    for (const one of registered) at(one.type, one.version).registered.push(one)
    return [...byPlace.values()].sort(
      (a, b) => (a.type < b.type ? -1 : Number(a.type > b.type)) || a.version - b.version,
    )
  }

  /**
   * Which stored events would these definitions fail to read? Compares schemas, then reads the
   * events themselves with the definitions' upcasters and validators. Writes nothing.
   */
  async check(
    sources: readonly SchemaSource[],
    options: SchemaCheckOptions = {},
  ): Promise<SchemaReport> {
    const { compatibility = 'backward', events = 'all', signal, onProgress } = options
    assertCompatibility('compatibility', compatibility)
    assertEvents(events)
    const bounds = this.#bounds(options)
    const registry = registryOfSources(sources)
    const stored = await allRegistered(this.#port, bounds)
    const problems = checkDefinitions(registry, stored, compatibility)
    if (events === 'none') return reportOf(problems, stored, undefined)
    const types = [...new Set([...stored.map(({ type }) => type), ...allNames(registry)])]
    const sample = events === 'all' ? undefined : { types, count: events }
    const check = new EventCheck(registry)
    const seen = await check.run(this.#port, { ...bounds, sample, signal, onProgress })
    return reportOf(joined(problems, seen), stored, seen)
  }

  #bounds({ signal, timeoutMs }: CallOptions): CallOptions {
    return { signal, timeoutMs: timeoutMs ?? this.#timeoutMs }
  }
}

function allNames(registry: EventRegistry): readonly string[] {
  return registry.storedTypes(registry.types())
}

function assertEvents(events: unknown): void {
  if (events === 'all' || events === 'none') return
  const count = events as number
  if (Number.isSafeInteger(count) && count >= 1 && count <= SAMPLE_COUNT_MAX) return
  const range = `a number of events from 1 to ${SAMPLE_COUNT_MAX}`
  throw new InvalidArgumentError('events', `must be "all", "none" or ${range}`)
}

/** What the schemas say, together with what the events have shown. */
function joined(
  problems: readonly SchemaProblem[],
  { problems: found, isProven }: EventCheckResult,
): readonly SchemaProblem[] {
  const rest = new Set(found)
  const all = problems.map((problem) => {
    const { kind, type, version } = problem
    const own = found.filter((one) => one.type === type && one.version === version)
    const same = own.find((one) => one.kind === kind)
    if (same?.events !== undefined) {
      rest.delete(same)
      return { ...problem, events: same.events }
    }
    if (kind === 'older-readers' || own.length > 0 || !isProven(type, version)) return problem
    const reason = `${problem.reason} (every stored event of it is read as it should be)`
    return { ...problem, severity: 'warning' as const, reason }
  })
  return [...all, ...rest]
}

function reportOf(
  problems: readonly SchemaProblem[],
  stored: readonly RegisteredSchema[],
  seen: EventCheckResult | undefined,
): SchemaReport {
  return {
    ok: problems.every(({ severity }) => severity !== 'error'),
    problems,
    schemas: stored.length,
    events: seen?.events ?? 0,
    unchecked: seen?.unchecked ?? 0,
  }
}
