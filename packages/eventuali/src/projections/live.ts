import { systemClock } from '../kernel/index.ts'
import {
  CapabilityError,
  type EventInput,
  findDocuments,
  InvalidArgumentError,
  type RecordedEvent,
} from '../model/index.ts'
import type { ModelAccess, StoredDocument } from '../ports/index.ts'
import type { CollectionDefinitions, CollectionReads, DocumentOf } from './collection.ts'
import { type AnyProjection, type ProjectionDefinition, tablesOf } from './define.ts'
import { isWanted, ProjectionRun } from './run.ts'
import { collectionOver, WorkingSet } from './working-set.ts'

const BATCH_COUNT_MAX = 1000

/** Tables in memory, for one projection that nobody else sees. */
class LiveModels implements ModelAccess {
  readonly #tables = new Map<string, Map<string, StoredDocument>>()

  constructor(tables: readonly string[]) {
    for (const table of tables) this.#tables.set(table, new Map())
  }

  #table(name: string): Map<string, StoredDocument> {
    const found = this.#tables.get(name)
    if (found === undefined) throw new InvalidArgumentError('table', `${name} is not there`)
    return found
  }

  get: ModelAccess['get'] = async (table, keys) => keys.map((key) => this.#table(table).get(key))

  find: ModelAccess['find'] = async (table, query) =>
    findDocuments(this.#table(table).values(), query).map((found) => structuredClone(found))

  count: ModelAccess['count'] = async (table, filters) =>
    findDocuments(this.#table(table).values(), { filters, sort: [] }).length

  put: ModelAccess['put'] = async (table, documents) => {
    for (const document of documents) this.#table(table).set(document.key, document)
  }

  remove: ModelAccess['remove'] = async (table, keys) => {
    for (const key of keys) this.#table(table).delete(key)
  }

  rows: ModelAccess['rows'] = async (table) => [...this.#table(table).values()]
  lock: ModelAccess['lock'] = async () => {}
  create: ModelAccess['create'] = async () => {}
  drop: ModelAccess['drop'] = async () => {}
  publish: ModelAccess['publish'] = async () => {}
  unpublish: ModelAccess['unpublish'] = async () => {}
}

/** A projection in memory. */
export interface LiveProjection<C> {
  /** Position of the last event that was handled. */
  readonly position: number
  collection<K extends keyof C & string>(name: K): CollectionReads<DocumentOf<C[K]>>
  /** Goes on with more events. */
  apply(events: LiveEvents): Promise<void>
}

/** Recorded events (`store.readAll()`), or for a test what creators make. */
export type LiveEvents =
  | Iterable<RecordedEvent | EventInput>
  | AsyncIterable<RecordedEvent | EventInput>

/** An event from a creator as if it had been appended to a stream of its own. */
function recorded(
  { registry }: AnyProjection,
  event: RecordedEvent | EventInput,
  position: number,
): RecordedEvent {
  if ('position' in event) return event
  const time = event.time ?? new Date(0)
  return {
    id: event.id ?? `live-${position}`,
    ...{ stream: 'live-1', version: position, position },
    ...{ type: event.type, data: event.data, metadata: event.metadata ?? {} },
    schemaVersion: registry.get(event.type)?.schemaVersion ?? 1,
    ...{ time, recordedAt: time, tags: event.tags ?? [] },
  }
}

/**
 * Runs a projection over events in memory: for a test, or for one request. SQL tables need a
 * database and are a CapabilityError here.
 *
 * @example
 * ```ts
 * import { collection, defineEvents, defineProjection, projectLive, type } from 'eventuali'
 *
 * const events = defineEvents({ OrderShipped: type<{ carrier: string }>() })
 * const carriers = defineProjection({
 *   name: 'carriers',
 *   version: 1,
 *   events: [events],
 *   collections: { carriers: collection<{ parcels: number }>() },
 *   handlers: {
 *     OrderShipped: ({ data }, ctx) =>
 *       ctx.collection('carriers').patch(data.carrier, (was) => ({
 *         parcels: (was?.parcels ?? 0) + 1,
 *       })),
 *   },
 * })
 * const live = await projectLive(carriers, [events.OrderShipped({ carrier: 'dhl' })])
 * console.log(await live.collection('carriers').get('dhl')) // { parcels: 1 }
 * ```
 */
export async function projectLive<C extends CollectionDefinitions, S>(
  definition: ProjectionDefinition<C, S>,
  events: LiveEvents = [],
): Promise<LiveProjection<C>> {
  const projection = definition as unknown as AnyProjection
  if (typeof projection?.tables !== 'object' || typeof projection.collections !== 'object') {
    throw new InvalidArgumentError('projection', 'is not what defineProjection gave')
  }
  if (Object.keys(projection.tables).length > 0) {
    throw new CapabilityError('live', 'sql', 'a projection with SQL tables needs a database')
  }
  const tables = tablesOf(projection, 0)
  const models = new LiveModels([...tables.values()].map(({ name }) => name))
  const live = new Live<C>(projection, models)
  await live.apply(events)
  return live
}

class Live<C> implements LiveProjection<C> {
  readonly #projection: AnyProjection
  readonly #models: LiveModels
  #position = 0

  constructor(projection: AnyProjection, models: LiveModels) {
    this.#projection = projection
    this.#models = models
  }

  get position(): number {
    return this.#position
  }

  collection<K extends keyof C & string>(name: K): CollectionReads<DocumentOf<C[K]>> {
    const table = tablesOf(this.#projection, 0).get(name)?.name ?? name
    const state = { position: 0, ended: false }
    const taking = { locking: false, beforeWrite: () => {} }
    // Made anew for each call, so that nothing read before is remembered.
    const fresh = () =>
      collectionOver<DocumentOf<C[K]> & object>(
        new WorkingSet(this.#models, table, state, taking),
      ) as CollectionReads<DocumentOf<C[K]>>
    return {
      get: (key) => fresh().get(key),
      getMany: (keys) => fresh().getMany(keys),
      find: (options) => fresh().find(options),
      entries: (options) => fresh().entries(options),
      count: (where) => fresh().count(where),
    }
  }

  async apply(events: LiveEvents): Promise<void> {
    let batch: RecordedEvent[] = []
    for await (const event of events) {
      const known = recorded(this.#projection, event, this.#position + 1)
      this.#position = known.position
      if (isWanted(this.#projection, known)) batch.push(known)
      if (batch.length < BATCH_COUNT_MAX) continue
      await this.#handle(batch)
      batch = []
    }
    if (batch.length > 0) await this.#handle(batch)
  }

  async #handle(events: readonly RecordedEvent[]): Promise<void> {
    const run = new ProjectionRun(
      this.#projection,
      0,
      { models: this.#models, sql: undefined },
      { clock: systemClock, qualifier: '', inline: false, decode: (event) => event },
    )
    await run.take(events)
    await run.handle(events)
    await run.end()
  }
}
