import { shownText } from '../kernel/index.ts'
import {
  DefinitionError,
  type EventCreators,
  type EventRegistry,
  type EventsOf,
  eventRegistry,
  isSystemType,
  type RecordedEvent,
  type RecordedFrom,
  systemEventTypes,
} from '../model/index.ts'
import type { ModelTable } from '../ports/index.ts'
import type { Collection, CollectionDefinitions, DocumentOf } from './collection.ts'

/** The recorded events of several definitions. */
export type EventsOfDefinitions<T extends EventCreators> = T extends EventCreators
  ? RecordedFrom<EventsOf<T>>
  : never

/** SQL tables by name: a `CREATE TABLE {table} (…)`, or a list that begins with one. */
export type TableDefinitions = Readonly<Record<string, string | readonly string[]>>

/** What a handler works on. */
export interface ProjectionContext<C, S> {
  /** A collection of this projection. */
  collection<K extends keyof C & string>(name: K): Collection<DocumentOf<C[K]>>
  /** The physical name of a table of this projection, quoted, for use in SQL. */
  table(name: keyof S & string): string
  /** The transaction's connection, for SQL on the tables; undefined in memory. */
  readonly sql: unknown
  /** Position of the (last) event at hand. */
  readonly position: number
}

type SystemType = (typeof systemEventTypes)[keyof typeof systemEventTypes]

/** Handlers by event type; the store's own events (`$deleted`, …) may have one as well. */
export type ProjectionHandlers<E extends RecordedEvent, Context> = {
  readonly [K in E['type']]?: (event: Extract<E, { readonly type: K }>, context: Context) => unknown
} & {
  readonly [K in SystemType]?: (event: RecordedEvent<K>, context: Context) => unknown
}

/** What an effect gets beside the event. */
export interface EffectContext {
  /** The same in every try: hand it on as the idempotency key of what you call. */
  readonly effectId: string
  /** Aborted when the store closes. */
  readonly signal: AbortSignal
}

/** Effects by event type. */
export type EffectHandlers<E extends RecordedEvent> = {
  readonly [K in E['type']]?: (
    event: Extract<E, { readonly type: K }>,
    context: EffectContext,
  ) => unknown
}

/** Which events beside the handlers' types; filters are joined by AND. */
export interface ProjectionSource {
  /** Any of them. */
  readonly categories?: readonly string[] | undefined
  /** All of them. */
  readonly tags?: readonly string[] | undefined
  readonly includeArchived?: boolean | undefined
}

/** `async`: follows the log. `inline`: runs in the append's own transaction. */
export type ProjectionMode = 'async' | 'inline'

/** A projection as `defineProjection` makes it. */
export interface ProjectionDefinition<C = CollectionDefinitions, S = TableDefinitions> {
  readonly kind: 'projection'
  readonly name: string
  readonly version: number
  readonly mode: ProjectionMode
  readonly collections: C
  readonly tables: S
  readonly registry: EventRegistry
  /** The types that it handles. */
  readonly types: readonly string[]
  /** The types under which such events may be stored. */
  readonly storedTypes: readonly string[]
  readonly from: ProjectionSource
  readonly handlers: Readonly<Record<string, Handler>>
  readonly batch: BatchHandler | undefined
  readonly effects: Readonly<Record<string, Effect>>
  readonly key: ((event: RecordedEvent) => string) | undefined
  readonly orderInsensitive: boolean
  readonly timeLimitMs: number
}

/** A projection, whatever it keeps. */
export type AnyProjection = ProjectionDefinition<CollectionDefinitions, TableDefinitions>

/** The context as the engine makes it. */
export type AnyContext = ProjectionContext<CollectionDefinitions, TableDefinitions>
type Handler = (event: RecordedEvent, context: AnyContext) => unknown
type BatchHandler = (events: readonly RecordedEvent[], context: AnyContext) => unknown
type Effect = (event: RecordedEvent, context: EffectContext) => unknown

/** A handler of an inline projection ends within this many milliseconds by default. */
const INLINE_TIME_LIMIT_MS = 2000
/** The same for a batch of an asynchronous one. */
const ASYNC_TIME_LIMIT_MS = 30_000

const NAME = /^[a-z][A-Za-z0-9_-]{0,59}$/
const TARGET = /^[a-z][A-Za-z0-9_]{0,39}$/

/** The table's name in the database: `openOrders` is `open_orders`. */
export function targetName(target: string): string {
  return target.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** The physical tables of one generation, by target. */
export function tablesOf(projection: AnyProjection, generation: number): Map<string, ModelTable> {
  const tables = new Map<string, ModelTable>()
  const nameOf = (target: string) => `${targetName(target)}__g${generation}`
  for (const [target, { indexes }] of Object.entries(projection.collections)) {
    tables.set(target, { name: nameOf(target), shape: { kind: 'documents', indexes } })
  }
  for (const [target, create] of Object.entries(projection.tables)) {
    const statements = typeof create === 'string' ? [create] : create
    tables.set(target, { name: nameOf(target), shape: { kind: 'sql', create: statements } })
  }
  return tables
}

interface LooseParts {
  readonly name: string
  readonly version: number
  readonly mode?: unknown
  readonly events: readonly EventCreators[]
  readonly collections?: CollectionDefinitions | undefined
  readonly tables?: TableDefinitions | undefined
  readonly handlers?: object | undefined
  readonly batch?: unknown
  readonly effects?: object | undefined
  readonly key?: unknown
  readonly orderInsensitive?: boolean | undefined
  readonly timeLimitMs?: number | undefined
}

function checkTargets({ name, collections = {}, tables = {} }: LooseParts): void {
  const targets = [...Object.keys(collections), ...Object.keys(tables)]
  const fail = (what: string) => {
    throw new DefinitionError(`projection ${name} ${what}`)
  }
  if (targets.length === 0) fail('keeps nothing; name its collections or tables')
  for (const [index, target] of targets.entries()) {
    const quoted = JSON.stringify(target)
    if (!TARGET.test(target) || target.includes('__')) {
      fail(`names a target ${quoted}; use letters, digits and single _, a small letter first`)
    }
    if (targets.findIndex((other) => targetName(other) === targetName(target)) !== index) {
      fail(`names two targets that are both ${targetName(target)} in the database`)
    }
  }
  for (const [target, definition] of Object.entries(collections)) {
    if (definition?.kind !== 'collection') fail(`has ${target}, which is no collection<T>()`)
  }
  for (const [target, create] of Object.entries(tables)) {
    const statements = typeof create === 'string' ? [create] : create
    const isFit = Array.isArray(statements) && statements.length > 0
    if (!isFit || statements.some((s) => typeof s !== 'string' || !s.includes('{table}'))) {
      fail(`has a table ${target} whose statements do not name {table}`)
    }
  }
}

function checkMode(parts: LooseParts): ProjectionMode {
  const { name, mode = 'async' } = parts
  if (mode !== 'async' && mode !== 'inline') {
    throw new DefinitionError(`projection ${name} has a mode that is neither async nor inline`)
  }
  if (mode === 'inline' && parts.key !== undefined && parts.orderInsensitive !== true) {
    throw new DefinitionError(
      `projection ${name} is inline with a key of its own, which may span streams: say orderInsensitive: true when the order of events of two streams makes no difference, otherwise make it async`,
    )
  }
  const { timeLimitMs } = parts
  if (timeLimitMs !== undefined && !(timeLimitMs > 0)) {
    throw new DefinitionError(`projection ${name} has no positive timeLimitMs`)
  }
  return mode
}

/** The types that handlers or a batch are for. Throws DefinitionError. */
function checkHandlers(parts: LooseParts, registry: EventRegistry): readonly string[] {
  const { name, handlers, batch, effects = {} } = parts
  if ((handlers === undefined) === (batch === undefined)) {
    throw new DefinitionError(`projection ${name} needs handlers or a batch, one of the two`)
  }
  const system: readonly string[] = Object.values(systemEventTypes)
  for (const type of [...Object.keys(handlers ?? {}), ...Object.keys(effects)]) {
    if (registry.get(type) !== undefined || system.includes(type)) continue
    throw new DefinitionError(
      `projection ${name} has a handler for ${JSON.stringify(type)}, which none of its events defines`,
    )
  }
  const given = handlers as Readonly<Record<string, unknown>> | undefined
  const types = given === undefined ? registry.types() : Object.keys(given)
  if (types.length === 0) throw new DefinitionError(`projection ${name} handles no event`)
  for (const type of Object.keys(given ?? {})) {
    if (typeof given?.[type] === 'function') continue
    throw new DefinitionError(`projection ${name} has a handler for ${type} that is no function`)
  }
  return types.filter((type) => batch === undefined || !isSystemType(type))
}

/** What `defineProjection` takes. */
export interface ProjectionParts<
  T extends EventCreators,
  C extends CollectionDefinitions,
  S extends TableDefinitions,
> {
  readonly name: string
  /** 1, 2, …: higher with every change of what the handlers do. */
  readonly version: number
  readonly mode?: ProjectionMode | undefined
  /** The events that handlers are typed by. */
  readonly events: readonly T[]
  readonly from?: ProjectionSource | undefined
  readonly collections?: C | undefined
  readonly tables?: S | undefined
  readonly handlers?:
    | ProjectionHandlers<EventsOfDefinitions<T>, ProjectionContext<NoInfer<C>, NoInfer<S>>>
    | undefined
  /** In the place of `handlers` (one for each type): all of a batch at once, in log order. */
  readonly batch?:
    | ((
        events: readonly EventsOfDefinitions<T>[],
        context: ProjectionContext<NoInfer<C>, NoInfer<S>>,
      ) => unknown)
    | undefined
  /**
   * What is done outside the store, at least once each, in log order, never in a rebuild: only
   * for events after the projection first went live.
   */
  readonly effects?: EffectHandlers<EventsOfDefinitions<T>> | undefined
  /**
   * Key of the documents that an event touches. Inline: locked before the handler runs. Async:
   * fetched for all events of a batch at once.
   */
  readonly key?: ((event: EventsOfDefinitions<T>) => string) | undefined
  /** Promises that events of different streams may be handled in any order. */
  readonly orderInsensitive?: boolean | undefined
  /** Bound of the handlers of one append (inline; 2,000) or of one batch (async; 30,000). */
  readonly timeLimitMs?: number | undefined
}

/**
 * Defines a projection: a read model kept from events. One definition runs `async` (follows the
 * log, each event's effect exactly once in the store's own database), `inline` (in the append's
 * transaction) or live (`projectLive`, in memory).
 *
 * A change of what the handlers do needs a higher `version` and a rebuild. Throws DefinitionError.
 *
 * @example
 * ```ts
 * import { collection, defineEvents, defineProjection, type } from 'eventuali'
 *
 * const events = defineEvents({
 *   OrderPlaced: type<{ total: number }>(),
 *   OrderShipped: type<{ carrier: string }>(),
 * })
 * interface Carrier {
 *   parcels: number
 * }
 * const carriers = defineProjection({
 *   name: 'carriers',
 *   version: 1,
 *   events: [events],
 *   collections: { carriers: collection<Carrier>({ indexes: { parcels: 'number' } }) },
 *   handlers: {
 *     OrderShipped: ({ data }, ctx) =>
 *       ctx.collection('carriers').patch(data.carrier, (was) => ({
 *         parcels: (was?.parcels ?? 0) + 1,
 *       })),
 *   },
 * })
 * console.log(carriers.name)
 * ```
 */
export function defineProjection<
  T extends EventCreators,
  // biome-ignore lint/complexity/noBannedTypes: a projection without collections has none by name.
  const C extends CollectionDefinitions = {},
  // biome-ignore lint/complexity/noBannedTypes: the same for tables.
  const S extends TableDefinitions = {},
>(parts: ProjectionParts<T, C, S>): ProjectionDefinition<C, S> {
  const loose = parts as LooseParts
  const { name, version } = loose
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new DefinitionError(
      `projection name ${shownText(name)} is not letters, digits, _ and -, a small letter first, at most 60`,
    )
  }
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new DefinitionError(`projection ${name} has version ${version}; use 1, 2, …`)
  }
  const mode = checkMode(loose)
  checkTargets(loose)
  const registry = eventRegistry(...loose.events)
  const types = checkHandlers(loose, registry)
  return {
    kind: 'projection',
    ...{ name, version, mode, registry },
    collections: (parts.collections ?? {}) as C,
    tables: (parts.tables ?? {}) as S,
    types,
    storedTypes: registry.storedTypes(types),
    from: parts.from ?? {},
    handlers: (parts.handlers ?? {}) as AnyProjection['handlers'],
    batch: parts.batch as BatchHandler | undefined,
    effects: (parts.effects ?? {}) as AnyProjection['effects'],
    key: parts.key as ((event: RecordedEvent) => string) | undefined,
    orderInsensitive: parts.orderInsensitive === true,
    timeLimitMs:
      parts.timeLimitMs ?? (mode === 'inline' ? INLINE_TIME_LIMIT_MS : ASYNC_TIME_LIMIT_MS),
  }
}
