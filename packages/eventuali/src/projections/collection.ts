import { DefinitionError, type JsonProblem } from '../model/index.ts'
import type { DocumentIndex } from '../ports/index.ts'
import { namesOf, type ScalarPath, type ValueAt } from './paths.ts'
import type { FindOptions, Where } from './where.ts'

declare const documentType: unique symbol

/** How an index holds a value, told from the property's type. */
type IndexType<V> = [V] extends [string]
  ? 'text'
  : [V] extends [number]
    ? 'number'
    : [V] extends [boolean]
      ? 'boolean'
      : 'text' | 'number' | 'boolean'

/** What is said about a collection. */
export interface CollectionOptions<T> {
  /** Properties that finds go by: `{ status: 'text', 'address.zip': 'number' }`. */
  readonly indexes?: { readonly [P in ScalarPath<T>]?: IndexType<ValueAt<T, P>> }
}

/** A collection, whatever its documents are. */
export interface AnyCollection {
  readonly kind: 'collection'
  readonly indexes: readonly DocumentIndex[]
}

/** A collection of documents as `collection` makes it. */
export interface CollectionDefinition<T> extends AnyCollection {
  /** Never there at run time; carries the type. */
  readonly [documentType]?: T
}

/** Collections by name. */
export type CollectionDefinitions = Readonly<Record<string, AnyCollection>>

/** The type of a collection's documents. */
export type DocumentOf<C> = C extends CollectionDefinition<infer T> ? T : never

type CollectionArguments<T> = [JsonProblem<T, 'document'>] extends [never]
  ? [options?: CollectionOptions<T>]
  : [problem: JsonProblem<T, 'document'>]

const indexTypes: readonly unknown[] = ['text', 'number', 'boolean']

/**
 * A collection of documents for a projection to keep: JSON by key, in the store's own database.
 *
 * @example
 * ```ts
 * import { collection } from 'eventuali'
 *
 * interface Carrier {
 *   name: string
 *   parcels: number
 *   home: { city: string }
 * }
 * const carriers = collection<Carrier>({ indexes: { parcels: 'number', 'home.city': 'text' } })
 * console.log(carriers.indexes.length) // 2
 * ```
 */
export function collection<T extends object>(
  ...args: CollectionArguments<T>
): CollectionDefinition<T> {
  const [{ indexes = {} } = {}] = args as [CollectionOptions<T>?]
  return {
    kind: 'collection',
    indexes: Object.entries(indexes).map(([path, type]) => {
      const names = namesOf(path)
      if (names.includes('') || !indexTypes.includes(type)) {
        throw new DefinitionError(
          `the index of ${JSON.stringify(path)} is no path with 'text', 'number' or 'boolean'`,
        )
      }
      return { path: names, type: type as DocumentIndex['type'] }
    }),
  }
}

/** A document with what stands beside it. */
export interface DocumentEntry<T> {
  readonly key: string
  readonly document: T
  /** Position of the event that wrote it last. */
  readonly position: number
}

/** Reads of a collection. What they give is the caller's own copy. */
export interface CollectionReads<T> {
  /** The document, or undefined when there is none. */
  get(key: string): Promise<T | undefined>
  /** One for each key, in the order of the keys. */
  getMany(keys: readonly string[]): Promise<readonly (T | undefined)[]>
  find(options?: FindOptions<T>): Promise<readonly T[]>
  /** Like `find`, with keys and positions. */
  entries(options?: FindOptions<T>): Promise<readonly DocumentEntry<T>[]>
  count(where?: Where<T>): Promise<number>
}

/** Keys of `T` whose change `undefined` takes away. */
type Changes<T> = { readonly [K in keyof T]?: T[K] | undefined }

/**
 * A collection in a handler. Writes are gathered and go to the database before the batch's
 * checkpoint, in its transaction; reads see them at once.
 */
export interface Collection<T> extends CollectionReads<T> {
  /** Writes a document, whether there is one or not. */
  put(key: string, document: T): Promise<void>
  /**
   * Changes a document: properties to set (`undefined` removes one), or a function from the
   * document that is there (or undefined) to the one that shall be (undefined: none). Properties
   * for a document that is not there change nothing. Gives what is there afterwards.
   */
  patch(
    key: string,
    change: Changes<T> | ((document: T | undefined) => T | undefined),
  ): Promise<T | undefined>
  /** Removes a document; nothing happens when there is none. */
  delete(key: string): Promise<void>
}
