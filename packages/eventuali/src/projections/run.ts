import { type Clock, compareText, isRetryable } from '../kernel/index.ts'
import {
  categoryOf,
  isSystemType,
  ProjectionOrderError,
  ProjectionTimeoutError,
  type RecordedEvent,
} from '../model/index.ts'
import type { ModelAccess } from '../ports/index.ts'
import type { Collection } from './collection.ts'
import { type AnyContext, type AnyProjection, tablesOf } from './define.ts'
import { collectionOver, type RunState, WorkingSet } from './working-set.ts'

/** What a run works on: a transaction, or something that looks like its half. */
export interface RunTarget {
  readonly models: ModelAccess
  readonly sql: unknown
}

/** How a run goes about its work. */
export interface RunOptions {
  readonly clock: Clock
  /** Quoted, with a dot: what stands before a table's name in SQL. */
  readonly qualifier: string
  /** Whether it runs in appends' own transactions, beside others of its kind. */
  readonly inline: boolean
  /** From what is stored to what handlers see; the registry's own when left out. */
  readonly decode?: ((event: RecordedEvent) => RecordedEvent) | undefined
}

/** The projection's handlers over events, in one transaction, on the tables of one generation. */
export class ProjectionRun {
  readonly projection: AnyProjection
  readonly #options: RunOptions
  readonly #sets = new Map<string, WorkingSet>()
  readonly #state: RunState = { position: 0, ended: false }
  readonly #context: AnyContext
  readonly #decode: (event: RecordedEvent) => RecordedEvent

  constructor(
    projection: AnyProjection,
    generation: number,
    target: RunTarget,
    options: RunOptions,
  ) {
    this.projection = projection
    this.#options = options
    this.#decode = options.decode ?? ((event) => projection.registry.decode(event))
    const tables = tablesOf(projection, generation)
    const collections = new Map<string, Collection<object>>()
    const taking = {
      locking: options.inline,
      beforeWrite: options.inline && !projection.orderInsensitive ? this.#checkOrder : () => {},
    }
    for (const name of Object.keys(projection.collections)) {
      const table = tables.get(name)?.name ?? ''
      const set = new WorkingSet(target.models, table, this.#state, taking)
      this.#sets.set(name, set)
      collections.set(name, collectionOver(set))
    }
    const state = this.#state
    this.#context = {
      collection: (name) => known(projection, 'collection', name, collections.get(name)) as never,
      table: (name) => {
        const table = Object.hasOwn(projection.tables, name) ? tables.get(name) : undefined
        return `${options.qualifier}"${known(projection, 'table', name, table).name}"`
      },
      sql: target.sql,
      get position() {
        return state.position
      },
    }
  }

  /** Locks and fetches what the events' keys name. All runs' keys together keep one order. */
  async take(events: readonly RecordedEvent[]): Promise<void> {
    const { key } = this.projection
    if (key === undefined || events.length === 0) return
    // The store's own events have no data that a key could be made of.
    const keyOf = (event: RecordedEvent) =>
      isSystemType(event.type) ? event.stream : key(this.#decode(event))
    const sorted = [...new Set(this.#seen(events).map(keyOf))].sort(compareText)
    for (const set of this.#sets.values()) await set.take(sorted)
  }

  /**
   * Runs the handlers in log order. Throws what a handler throws, ProjectionTimeoutError after
   * `timeLimitMs`.
   */
  async handle(events: readonly RecordedEvent[]): Promise<void> {
    const { name, timeLimitMs } = this.projection
    await new Promise<void>((resolve, reject) => {
      const stop = this.#options.clock.timer(timeLimitMs, () => {
        this.#state.ended = true
        reject(new ProjectionTimeoutError(name, timeLimitMs))
      })
      this.#runAll(events).then(resolve, reject).finally(stop)
    })
  }

  /** Writes what the handlers have left; nothing can be read or written through them after it. */
  async end(): Promise<void> {
    await this.flush()
    this.#state.ended = true
  }

  /** Writes what the handlers have left so far. */
  async flush(): Promise<void> {
    for (const set of this.#sets.values()) await set.flush()
  }

  /** Stored events as of today: what stands in their places may be of other types, too. */
  #seen(stored: readonly RecordedEvent[]): readonly RecordedEvent[] {
    const { registry, types } = this.projection
    const events = registry.upcast(stored)
    return events === stored ? stored : events.filter(({ type }) => types.includes(type))
  }

  async #runAll(stored: readonly RecordedEvent[]): Promise<void> {
    const { batch, handlers } = this.projection
    const events = this.#seen(stored)
    if (batch !== undefined) {
      this.#state.position = stored.at(-1)?.position ?? 0
      if (events.length === 0) return
      await batch(events.map(this.#decode), this.#context)
      return
    }
    for (const event of events) {
      if (!Object.hasOwn(handlers, event.type)) continue
      this.#state.position = event.position
      const result = handlers[event.type]?.(this.#decode(event), this.#context)
      // A handler that returns no promise costs no turn of the event loop.
      if (result instanceof Promise) await result
      if (this.#state.ended) return
    }
  }

  readonly #checkOrder = (key: string, lastPosition: number): void => {
    if (lastPosition <= this.#state.position) return
    throw new ProjectionOrderError(this.projection.name, key, this.#state.position, lastPosition)
  }
}

function known<V>(projection: AnyProjection, kind: string, name: string, value: V | undefined): V {
  if (value !== undefined) return value
  throw new TypeError(`projection ${projection.name} has no ${kind} ${JSON.stringify(name)}`)
}

/** Whether the storage is to blame, and not a handler. */
export function isStorageTrouble(error: unknown): boolean {
  return isRetryable(error) && !(error instanceof ProjectionTimeoutError)
}

/** Whether a projection handles an event, upcast or as it is stored. */
export function isWanted({ from, storedTypes }: AnyProjection, event: RecordedEvent): boolean {
  if (!storedTypes.includes(event.type)) return false
  if (from.categories !== undefined && !from.categories.includes(categoryOf(event.stream))) {
    return false
  }
  return from.tags === undefined || from.tags.every((tag) => event.tags.includes(tag))
}
