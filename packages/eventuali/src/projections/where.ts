import { InvalidArgumentError, type Json } from '../model/index.ts'
import type { DocumentFilter, DocumentOperator, DocumentQuery } from '../ports/index.ts'
import { namesOf, type PathOf, type ScalarPath, type ValueAt } from './paths.ts'

/** How a property is asked for; several are joined by AND. */
export interface Comparison<V> {
  readonly gt?: V
  readonly gte?: V
  readonly lt?: V
  readonly lte?: V
  /** Any of them. */
  readonly in?: readonly (V | null)[]
  /** Text that begins with it. */
  readonly prefix?: V extends string ? string : never
  /** Whether the property is there and not null. */
  readonly exists?: boolean
  /** Anything else, absence included. */
  readonly not?: V | null
}

/** A value that the property must be equal to (`null`: it is not there), or a comparison. */
export type Condition<V> = [V] extends [string | number | boolean]
  ? V | null | Comparison<V>
  : { readonly exists: boolean }

/** Conditions by path; a document must meet all of them. */
export type Where<T> = {
  readonly [P in PathOf<T>]?: Condition<ValueAt<T, P>>
}

/** Which documents, in which order. */
export interface FindOptions<T> {
  readonly where?: Where<T> | undefined
  /**
   * Paths, the most important first. Documents without the property come last; ties go by key.
   * Without it, by key.
   */
  readonly sort?:
    | { readonly [P in ScalarPath<T>]?: 'asc' | 'desc' }
    | readonly { readonly [P in ScalarPath<T>]?: 'asc' | 'desc' }[]
    | undefined
  readonly limit?: number | undefined
  readonly offset?: number | undefined
}

const operators: Readonly<Record<string, DocumentOperator>> = {
  gt: 'gt',
  gte: 'gte',
  lt: 'lt',
  lte: 'lte',
  in: 'in',
  prefix: 'prefix',
  exists: 'exists',
  not: 'ne',
}

function isScalar(value: unknown): value is string | number | boolean | null {
  return (
    value === null ||
    typeof value === 'string' ||
    typeof value === 'boolean' ||
    (typeof value === 'number' && Number.isFinite(value))
  )
}

function checkedOperand(path: string, name: string, value: unknown): Json {
  const isFit =
    name === 'in'
      ? Array.isArray(value) && value.every(isScalar)
      : name === 'exists'
        ? typeof value === 'boolean'
        : name === 'prefix'
          ? typeof value === 'string'
          : isScalar(value)
  if (isFit) return value as Json
  throw new InvalidArgumentError('where', `has a value for ${path} (${name}) that does not compare`)
}

/** The filters of a `where`. Throws InvalidArgumentError. */
export function filtersOf(where: unknown): readonly DocumentFilter[] {
  if (where === undefined) return []
  if (typeof where !== 'object' || where === null || Array.isArray(where)) {
    throw new InvalidArgumentError('where', 'is no object of conditions by path')
  }
  const filters: DocumentFilter[] = []
  for (const [path, condition] of Object.entries(where)) {
    if (condition === undefined) continue
    if (typeof condition !== 'object' || condition === null) {
      const value = checkedOperand(path, 'equal to', condition)
      filters.push({ path: namesOf(path), operator: 'eq', value })
      continue
    }
    for (const [name, operand] of Object.entries(condition)) {
      if (operand === undefined) continue
      const operator = Object.hasOwn(operators, name) ? operators[name] : undefined
      if (operator === undefined) {
        throw new InvalidArgumentError('where', `knows no comparison ${JSON.stringify(name)}`)
      }
      const value = checkedOperand(path, name, operand)
      filters.push({ path: namesOf(path), operator, value })
    }
  }
  return filters
}

function sortOf(sort: unknown): DocumentQuery['sort'] {
  if (sort === undefined) return []
  const parts = (Array.isArray(sort) ? sort : [sort]) as readonly unknown[]
  return parts.flatMap((part) => {
    if (typeof part !== 'object' || part === null) {
      throw new InvalidArgumentError('sort', "is no object like { total: 'desc' }")
    }
    return Object.entries(part).map(([path, direction]) => {
      if (direction !== 'asc' && direction !== 'desc') {
        throw new InvalidArgumentError('sort', `has ${path} neither 'asc' nor 'desc'`)
      }
      return { path: namesOf(path), descending: direction === 'desc' }
    })
  })
}

function countOf(name: string, value: unknown): number | undefined {
  if (value === undefined) return undefined
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
  throw new InvalidArgumentError(name, 'must be an integer of 0 or more')
}

/** The port's query for the options of a find. Throws InvalidArgumentError. */
export function queryOf(options: {
  readonly where?: unknown
  readonly sort?: unknown
  readonly limit?: unknown
  readonly offset?: unknown
}): DocumentQuery {
  return {
    filters: filtersOf(options.where),
    sort: sortOf(options.sort),
    limit: countOf('limit', options.limit),
    offset: countOf('offset', options.offset),
  }
}
