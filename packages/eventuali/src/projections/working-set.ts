import { compareText } from '../kernel/index.ts'
import { InvalidArgumentError, type Json } from '../model/index.ts'
import type { DocumentQuery, ModelAccess, StoredDocument } from '../ports/index.ts'
import type { Collection, DocumentEntry } from './collection.ts'
import { copyDocument } from './json-copy.ts'
import { filtersOf, queryOf } from './where.ts'

/** Documents that wait for the database, at most; then they are written in mid-batch. */
const PENDING_COUNT_MAX = 10_000
const KEY_LENGTH_MAX = 500

/** Where a handler stands, for all collections of a run. */
export interface RunState {
  /** Position of the event at hand. */
  position: number
  /** Once set, nothing more is read or written. */
  ended: boolean
}

/** How documents are taken. */
export interface Taking {
  /** Each is locked before it is read, for others may write it at the same time. */
  readonly locking: boolean
  /** Called before a document is written that an event of this position wrote last. */
  readonly beforeWrite: (key: string, lastPosition: number) => void
}

interface Entry {
  /** undefined: there is no such document. */
  readonly value: Json | undefined
  readonly position: number
}

function checkedKey(key: unknown): asserts key is string {
  if (typeof key === 'string' && key !== '' && key.length <= KEY_LENGTH_MAX && key.isWellFormed()) {
    return
  }
  throw new InvalidArgumentError('key', `must be text of 1 to ${KEY_LENGTH_MAX} characters`)
}

/**
 * The documents of one collection during a batch: read once, written together at the end. Finds
 * go to the database, so that what waits is written before.
 */
export class WorkingSet {
  readonly #models: ModelAccess
  readonly #table: string
  readonly #state: RunState
  readonly #taking: Taking
  readonly #known = new Map<string, Entry>()
  readonly #locked = new Set<string>()
  #pending = new Map<string, Entry>()

  constructor(models: ModelAccess, table: string, state: RunState, taking: Taking) {
    this.#models = models
    this.#table = table
    this.#state = state
    this.#taking = taking
  }

  /** Takes documents ahead of the handlers: locked in key order where locks are needed. */
  async take(keys: readonly string[]): Promise<void> {
    this.#assertOpen()
    for (const key of keys) checkedKey(key)
    const missing = [...new Set(keys)].filter((key) => !this.#known.has(key))
    if (missing.length === 0) return
    if (this.#taking.locking) {
      const free = missing.filter((key) => !this.#locked.has(key)).sort(compareText)
      if (free.length > 0) await this.#models.lock(this.#table, free)
      for (const key of free) this.#locked.add(key)
    }
    const documents = await this.#models.get(this.#table, missing)
    for (const [index, key] of missing.entries()) {
      // What a handler has written meanwhile counts.
      if (this.#known.has(key)) continue
      const found = documents[index]
      this.#known.set(key, { value: found?.value, position: found?.position ?? 0 })
    }
  }

  async read(key: string): Promise<Json | undefined> {
    this.#assertOpen()
    if (!this.#known.has(key)) await this.take([key])
    return this.#known.get(key)?.value
  }

  async readMany(keys: readonly string[]): Promise<readonly (Json | undefined)[]> {
    await this.take(keys)
    return keys.map((key) => this.#known.get(key)?.value)
  }

  async write(key: string, value: Json | undefined): Promise<void> {
    checkedKey(key)
    this.#assertOpen()
    if (this.#taking.locking && !this.#known.has(key)) await this.take([key])
    const was = this.#known.get(key)
    if (was !== undefined) this.#taking.beforeWrite(key, was.position)
    const entry = { value, position: this.#state.position }
    this.#known.set(key, entry)
    this.#pending.set(key, entry)
    if (this.#pending.size >= PENDING_COUNT_MAX) await this.flush()
  }

  async find(query: DocumentQuery): Promise<readonly StoredDocument[]> {
    this.#assertOpen()
    await this.flush()
    return this.#models.find(this.#table, query)
  }

  async count(where: unknown): Promise<number> {
    this.#assertOpen()
    const filters = filtersOf(where)
    await this.flush()
    return this.#models.count(this.#table, filters)
  }

  /** Writes what waits. */
  async flush(): Promise<void> {
    if (this.#pending.size === 0) return
    const pending = this.#pending
    this.#pending = new Map()
    const written: StoredDocument[] = []
    const removed: string[] = []
    for (const [key, { value, position }] of pending) {
      if (value === undefined) removed.push(key)
      else written.push({ key, value, position })
    }
    if (written.length > 0) await this.#models.put(this.#table, written)
    if (removed.length > 0) await this.#models.remove(this.#table, removed)
  }

  #assertOpen(): void {
    if (!this.#state.ended) return
    throw new InvalidArgumentError('context', 'was used after its handler ended; await every call')
  }
}

/** The collection that handlers see. What goes in and out is copied. */
export function collectionOver<T extends object>(set: WorkingSet): Collection<T> {
  const copy = (value: Json | undefined) =>
    (value === undefined ? undefined : copyDocument(value)) as T | undefined
  const entries = async (options: object = {}): Promise<readonly DocumentEntry<T>[]> => {
    const found = await set.find(queryOf(options))
    return found.map(({ key, value, position }) => ({ key, document: value as T, position }))
  }
  return {
    get: async (key) => copy(await set.read(key)),
    getMany: async (keys) => (await set.readMany(keys)).map(copy),
    entries,
    find: async (options) => (await entries(options)).map(({ document }) => document),
    count: (where) => set.count(where),
    put: (key, document) => set.write(key, copyDocument(document)),
    delete: (key) => set.write(key, undefined),
    patch: async (key, change) => {
      const was = await set.read(key)
      if (typeof change !== 'function') {
        if (was === undefined) return undefined
        const next = copyDocument({ ...(was as object), ...change })
        await set.write(key, next)
        return copy(next)
      }
      const given = change(copy(was))
      const next = given === undefined ? undefined : copyDocument(given)
      if (next !== undefined || was !== undefined) await set.write(key, next)
      return copy(next)
    },
  }
}
