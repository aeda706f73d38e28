import { compareText } from '../kernel/index.ts'
import type { Json } from './json.ts'

/** How a property is compared. */
export type DocumentOperator =
  | 'eq'
  | 'ne'
  | 'lt'
  | 'lte'
  | 'gt'
  | 'gte'
  | 'in'
  | 'prefix'
  | 'exists'

/**
 * A condition on one property. A property that is not there (or null) matches only `exists: false`
 * and `eq: null`, `ne` of another value, and `in` with null. Values of different types never
 * compare as less or greater, nor are they equal (`true` is not 1). Lists and objects equal
 * nothing and compare with nothing. Text compares by code point; one that holds half of a surrogate
 * pair is kept, but what finds it is the store's own choice.
 */
export interface DocumentFilter {
  /** From the document's root through objects; it never goes into a list. */
  readonly path: readonly string[]
  readonly operator: DocumentOperator
  /** A list for `in`, a boolean for `exists`. */
  readonly value: Json
}

/** A property to order by. */
export interface DocumentSort {
  readonly path: readonly string[]
  readonly descending: boolean
}

/** Which documents, in which order. Filters are joined by AND. Ties are broken by key. */
export interface DocumentQuery {
  readonly filters: readonly DocumentFilter[]
  /**
   * Ascending: false, true, numbers, texts; descending is the reverse. Documents without the
   * property, or with null, a list or an object in it, come last, whatever the direction. Then by
   * key, ascending.
   */
  readonly sort: readonly DocumentSort[]
  readonly limit?: number | undefined
  readonly offset?: number | undefined
}

/** What a query needs to know of a document. */
interface Queried {
  readonly key: string
  readonly value: Json
}

type Scalar = string | number | boolean

/** The property at the path; null when there is none. */
function propertyAt(value: Json, path: readonly string[]): Json {
  let at: Json | undefined = value
  for (const name of path) {
    if (typeof at !== 'object' || at === null || Array.isArray(at)) return null
    if (!Object.hasOwn(at, name)) return null
    at = (at as { readonly [key: string]: Json })[name]
  }
  return at ?? null
}

function isEqual(a: Json, b: Json): boolean {
  return a === b && (typeof a !== 'object' || a === null)
}

const typeRanks: Readonly<Record<string, number>> = { boolean: 0, number: 1, string: 2 }

function typeRank(value: Json): number | undefined {
  return typeRanks[typeof value]
}

/** Below, at or above 0, for two values of the same type. */
function compareAlike(a: Scalar, b: Scalar): number {
  if (typeof a === 'string') return compareText(a, b as string)
  return Number(a) - Number(b)
}

/** The same, or undefined for values that do not compare. */
function order(a: Json, b: Json): number | undefined {
  const rank = typeRank(a)
  if (rank === undefined || rank !== typeRank(b)) return undefined
  return compareAlike(a as Scalar, b as Scalar)
}

function holds(property: Json, { operator, value }: DocumentFilter): boolean {
  switch (operator) {
    case 'eq':
      return isEqual(property, value)
    case 'ne':
      return !isEqual(property, value)
    case 'lt':
      return (order(property, value) ?? 0) < 0
    case 'lte':
      return (order(property, value) ?? 1) <= 0
    case 'gt':
      return (order(property, value) ?? 0) > 0
    case 'gte':
      return (order(property, value) ?? -1) >= 0
    case 'in':
      return Array.isArray(value) && value.some((one: Json) => isEqual(property, one))
    case 'prefix':
      return typeof property === 'string' && typeof value === 'string' && property.startsWith(value)
    case 'exists':
      return (property !== null) === value
  }
}

/** Whether a document matches all of the filters. */
function matchesFilters(value: Json, filters: readonly DocumentFilter[]): boolean {
  return filters.every((filter) => holds(propertyAt(value, filter.path), filter))
}

interface Ranked<D> {
  readonly document: D
  /** One for each part of the sort. */
  readonly by: readonly Json[]
}

function compareRanked(
  a: Ranked<Queried>,
  b: Ranked<Queried>,
  sort: readonly DocumentSort[],
): number {
  for (const [i, { descending }] of sort.entries()) {
    const [x, y] = [a.by[i] as Json, b.by[i] as Json]
    const [rankX, rankY] = [typeRank(x), typeRank(y)]
    if (rankX === undefined || rankY === undefined) {
      if (rankX === rankY) continue
      return rankX === undefined ? 1 : -1
    }
    const difference = rankX - rankY || compareAlike(x as Scalar, y as Scalar)
    if (difference !== 0) return descending ? -difference : difference
  }
  return compareText(a.document.key, b.document.key)
}

/**
 * What a query finds among documents in memory: the meaning of `find` that every store's SQL has
 * to agree with.
 */
export function findDocuments<D extends Queried>(
  documents: Iterable<D>,
  { filters, sort, limit, offset = 0 }: DocumentQuery,
): D[] {
  const found: Ranked<D>[] = []
  for (const document of documents) {
    if (!matchesFilters(document.value, filters)) continue
    found.push({ document, by: sort.map(({ path }) => propertyAt(document.value, path)) })
  }
  found.sort((a, b) => compareRanked(a, b, sort))
  const end = limit === undefined ? undefined : offset + limit
  return found.slice(offset, end).map(({ document }) => document)
}
