import { AggregateCache, type CacheOptions, StreamCache } from '../caching/index.ts'
import {
  type CommandRuntime,
  defaultRetryPolicy,
  foldStream,
  type UnknownTypes,
  unknownTypesDefault,
} from '../commands/index.ts'
import { type Clock, shownText, systemClock, systemRandom, uuidV7Source } from '../kernel/index.ts'
import {
  DefinitionError,
  type EventCreators,
  type EventInput,
  eventRegistry,
  InvalidArgumentError,
  StoreUrlError,
} from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { withInlineProjections } from '../projections/index.ts'
import type { ReplicatedStore } from '../replicas/index.ts'
import { Schemas } from '../schemas/index.ts'
import { Snapshots } from '../snapshots/index.ts'
import { openAdapter } from './adapters.ts'
import { guardNesting } from './nesting.ts'
import type { OpenStoreSettings } from './open-options.ts'
import { ReadSide } from './read-side.ts'
import { assertReplicas, overReplicas } from './replicas.ts'
import { notingAppends, Seen } from './session.ts'
import { Store } from './store.ts'
import type { EventsOfAll } from './store-events.ts'

/** Milliseconds after which a call that has no bound of its own gives up. */
const CALL_TIMEOUT_MS = 30_000

/** Options of `openStore` that name the events. */
export interface TypedStoreOptions<T extends EventCreators> extends OpenStoreSettings {
  /** What may be appended; checked by type name, and what reads are typed by. */
  readonly events: readonly T[]
  readonly unknown?: 'refuse' | undefined
}

/** Options of `openStore` that leave the events open. */
export interface UntypedStoreOptions extends OpenStoreSettings {
  readonly events?: readonly EventCreators[] | undefined
  /** `allow`: types that no definition names may be appended and read as well. */
  readonly unknown?: UnknownTypes | undefined
}

/**
 * Opens a store: `sqlite:FILE`, `sqlite::memory:`, `memory:`, `postgres://…`, or `http://…` for the
 * one behind a server. A SQLite file and the tables of a Postgres schema are made when they are
 * not there. In the place of a url it takes an adapter of your own, or a wrapped one: whatever
 * keeps the laws of `eventuali/ports`.
 *
 * Throws StoreUrlError, DriverMissingError, ConnectionError, SchemaTooNewError, DefinitionError,
 * SchemaIncompatibleError.
 *
 * @example
 * ```ts
 * import { openStore } from 'eventuali'
 *
 * const store = await openStore('sqlite::memory:')
 * try {
 *   await store.append('order-1', { type: 'OrderPlaced', data: { total: 30 } })
 * } finally {
 *   await store.close()
 * }
 * ```
 */
export function openStore<T extends EventCreators>(
  place: string | EventStore,
  options: TypedStoreOptions<T>,
): Promise<Store<EventsOfAll<T>>>
export function openStore(place: string | EventStore, options?: UntypedStoreOptions): Promise<Store>
export async function openStore(
  place: string | EventStore,
  options: UntypedStoreOptions = {},
): Promise<Store<EventInput>> {
  const { clock = systemClock, random = systemRandom, timeoutMs = CALL_TIMEOUT_MS } = options
  const retryCountMax = options.conflictRetryCountMax ?? defaultRetryPolicy.retryCountMax
  if (!Number.isSafeInteger(retryCountMax) || retryCountMax < 0) {
    throw new InvalidArgumentError('conflictRetryCountMax', 'must be an integer of 0 or more')
  }
  if (options.unknown !== undefined && !['allow', 'refuse'].includes(options.unknown)) {
    throw new InvalidArgumentError('unknown', "must be 'allow' or 'refuse'")
  }
  if (typeof timeoutMs !== 'number' || !(timeoutMs > 0)) {
    throw new InvalidArgumentError('timeoutMs', 'must be a positive number of milliseconds')
  }
  assertDefinitions(options)
  assertReplicas(options)
  assertPlace(place)
  const ids = options.ids ?? uuidV7Source(clock, random)
  const registry = eventRegistry(...(options.events ?? []))
  const runtime: CommandRuntime = {
    ...{ clock, random, ids, registry, timeoutMs },
    unknown: options.unknown ?? unknownTypesDefault(registry),
    retry: { ...defaultRetryPolicy, retryCountMax },
  }
  const sources = { clock, random, ids }
  const own = typeof place === 'object' ? place : await openAdapter(place, options, sources)
  let replicated: ReplicatedStore | undefined
  try {
    replicated = await overReplicas(own, options, sources)
    const adapter = replicated ?? own
    const { projections = [], processes = [], scheduleTargets = [], leaseTtlMs } = options
    const seen = replicated && new Seen({})
    const streams = streamCache(adapter, clock, options)
    const stored = streams?.port ?? adapter
    const inline = guardNesting(withInlineProjections(stored, projections, { clock }))
    const port = seen === undefined ? inline : notingAppends(inline, seen)
    // Beside whatever transaction a load may be part of: so not through the guard against nesting.
    const snapshots =
      options.snapshots &&
      new Snapshots(adapter, runtime, options.snapshots, {
        refold: (definition, stream, version) =>
          foldStream(adapter, definition, stream, { version, timeoutMs }),
        load: (definition, stream, source) =>
          foldStream(adapter, definition, stream, { timeoutMs }, source),
      })
    const bytes = options.cache?.bytes
    const cache = bytes === undefined ? undefined : new AggregateCache(snapshots, clock, bytes)
    const keeping: CommandRuntime = { ...runtime, snapshots: cache ?? snapshots }
    const readSide = new ReadSide(port, keeping, {
      ...{ projections, processes, scheduleTargets, leaseTtlMs, timeoutMs },
    })
    const schemas = new Schemas(port, clock, timeoutMs)
    if (options.schemas !== false) await schemas.enter(registry, options.schemas ?? {})
    const replicas = replicated?.replicaStatus
    return new Store(port, keeping, { readSide, schemas, timeoutMs, replicas, seen, streams })
  } catch (error) {
    if (replicated !== own) await replicated?.closeReplicas()
    if (typeof place === 'string') await own.close()
    throw error
  }
}

/** Throws InvalidArgumentError for a cache of nothing, or of no number of bytes. */
function streamCache(
  adapter: EventStore,
  clock: Clock,
  { cache }: UntypedStoreOptions,
): StreamCache | undefined {
  if (cache === undefined) return undefined
  const { bytes, streamBytes, headMs } = Object(cache) as Partial<CacheOptions>
  if (bytes === undefined && streamBytes === undefined) {
    throw new InvalidArgumentError('cache', 'must have bytes for states, streamBytes, or both')
  }
  if (streamBytes !== undefined) return new StreamCache(adapter, clock, { streamBytes, headMs })
  if (headMs === undefined) return undefined
  throw new InvalidArgumentError('cache.headMs', 'goes with streamBytes')
}

/** Throws InvalidArgumentError and DefinitionError for what no definition is. */
function assertDefinitions(options: UntypedStoreOptions): void {
  for (const name of ['events', 'projections', 'processes', 'scheduleTargets'] as const) {
    if (options[name] === undefined || Array.isArray(options[name])) continue
    throw new InvalidArgumentError(name, 'must be an array')
  }
  for (const one of (options.projections ?? []) as readonly unknown[]) {
    if ((one as { readonly kind?: unknown } | null | undefined)?.kind === 'projection') continue
    throw new DefinitionError('projections take what defineProjection returns')
  }
}

/** Throws StoreUrlError for what is neither a url nor a store. */
function assertPlace(place: unknown): void {
  const port = place as Partial<EventStore> | null
  const isPort = typeof port === 'object' && typeof port?.append === 'function'
  if (typeof place === 'string' || (isPort && typeof port.close === 'function')) return
  throw new StoreUrlError(shownText(place), 'is neither a url nor a store')
}
