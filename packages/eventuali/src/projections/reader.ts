import { isEventualiError } from '../kernel/index.ts'
import { InvalidArgumentError, ProjectionNotReadyError } from '../model/index.ts'
import type { CallOptions, EventStore, StoredDocument } from '../ports/index.ts'
import type { CollectionReads, DocumentEntry } from './collection.ts'
import { targetName } from './define.ts'
import { readRegistered } from './registry.ts'
import { type FindOptions, filtersOf, queryOf, type Where } from './where.ts'

/**
 * Reads a projection's collection from outside: always the live generation, from one statement to
 * the next, also while another one is built. Made by `store.collection(projection, name)`.
 *
 * Throws ProjectionNotReadyError until the first build has ended.
 *
 * @example
 * ```ts
 * import { openMemoryStore } from 'eventuali/testing'
 * import { CollectionReader } from 'eventuali'
 *
 * const port = await openMemoryStore()
 * const carriers = new CollectionReader<{ parcels: number }>(port, 'carriers', 'carriers')
 * await carriers.get('dhl').catch((error) => console.log(error.code)) // PROJECTION_NOT_READY
 * ```
 */
export class CollectionReader<T> implements CollectionReads<T> {
  readonly #port: Pick<EventStore, 'models' | 'records'>
  readonly #projection: string
  readonly #view: string

  constructor(port: Pick<EventStore, 'models' | 'records'>, projection: string, target: string) {
    this.#port = port
    this.#projection = projection
    this.#view = targetName(target)
  }

  /** The document, or undefined when there is none. */
  async get(key: string, options?: CallOptions): Promise<T | undefined> {
    const [found] = await this.getMany([key], options)
    return found
  }

  /** One for each key, in the order of the keys. */
  async getMany(
    keys: readonly string[],
    options?: CallOptions,
  ): Promise<readonly (T | undefined)[]> {
    if (!Array.isArray(keys) || keys.some((key) => typeof key !== 'string')) {
      throw new InvalidArgumentError('key', 'must be a text')
    }
    if (keys.length === 0) return []
    const found = await this.#read(() => this.#port.models.get(this.#view, keys, options))
    return found.map((document) => document?.value as T | undefined)
  }

  /** The documents that meet the conditions, in order. */
  async find(options: FindOptions<T> & CallOptions = {}): Promise<readonly T[]> {
    return (await this.#find(options)).map(({ value }) => value as T)
  }

  /** Like `find`, with keys and positions. */
  async entries(options: FindOptions<T> & CallOptions = {}): Promise<readonly DocumentEntry<T>[]> {
    const found = await this.#find(options)
    return found.map(({ key, value, position }) => ({ key, document: value as T, position }))
  }

  /** How many meet the conditions. */
  count(where?: Where<T>, options?: CallOptions): Promise<number> {
    return this.#read(() => this.#port.models.count(this.#view, filtersOf(where), options))
  }

  #find(options: FindOptions<T> & CallOptions): Promise<readonly StoredDocument[]> {
    return this.#read(() => this.#port.models.find(this.#view, queryOf(options), options))
  }

  async #read<R>(read: () => Promise<R>): Promise<R> {
    try {
      return await read()
    } catch (error) {
      // A view that is not there fails in the words of the database; the record tells why.
      if (isEventualiError(error) && error.retryable) throw error
      const registered = await readRegistered(this.#port.records, this.#projection)
      if (registered?.value.live != null) throw error
      throw new ProjectionNotReadyError(this.#projection)
    }
  }
}
