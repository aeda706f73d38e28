/** What may stand at one place of the configuration. */
export type Shape = LeafShape | BranchShape

/** A place with one value; `default` is what holds when nobody says anything. */
export type LeafShape =
  | {
      readonly kind: 'text'
      /** The only texts that it may be. */
      readonly of?: readonly string[]
      /** A secret by itself: shown as `***` unless it is a reference. */
      readonly isSecret?: true
      readonly default?: string
    }
  | { readonly kind: 'number'; readonly min: number; readonly default?: number }
  | { readonly kind: 'boolean'; readonly default?: boolean }
  | { readonly kind: 'false' }
  | CodeShape

/** A value that only code can give: a definition, a function. */
export interface CodeShape {
  readonly kind: 'code'
  /** As an error says it: `what defineProjection returns`. */
  readonly what: string
  readonly is: (value: unknown) => boolean
  /** How it is shown. */
  readonly nameOf: (value: unknown) => string
}

type BranchShape =
  | {
      readonly kind: 'group'
      readonly keys: Readonly<Record<string, Shape>>
      readonly needs?: readonly string[]
    }
  /** Keys that the user chooses. */
  | { readonly kind: 'named'; readonly of: Shape }
  | { readonly kind: 'list'; readonly of: Shape }
  | { readonly kind: 'either'; readonly of: readonly Shape[] }

/** A shape for every key of a type, so that neither can be changed without the other. */
export type ShapesOf<T> = { readonly [K in keyof Required<T>]: Shape }

/** A value that is wrong, and in what. */
export interface Misfit {
  readonly key: string
  readonly what: string
}

const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,59}$/
const SUGGESTION_DISTANCE_MAX = 2

/** A plain object: what is looked into, rather than taken as it is. */
export function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

export function joined(key: string, part: string): string {
  return key === '' ? part : `${key}.${part}`
}

function described(shape: Shape): string {
  switch (shape.kind) {
    case 'text':
      return shape.of === undefined ? 'a text' : shape.of.map((one) => `'${one}'`).join(', ')
    case 'number':
      return `a whole number of ${shape.min} or more`
    case 'boolean':
      return 'true or false'
    case 'false':
      return 'false'
    case 'code':
      return shape.what
    case 'list':
      return `a list, each ${described(shape.of)}`
    case 'either':
      return shape.of.map(described).join(' or ')
    default:
      return 'an object'
  }
}

function fitsLeaf(value: unknown, shape: Shape): boolean {
  switch (shape.kind) {
    case 'text':
      return typeof value === 'string' && value !== '' && (shape.of?.includes(value) ?? true)
    case 'number':
      return Number.isSafeInteger(value) && (value as number) >= shape.min
    case 'boolean':
      return typeof value === 'boolean'
    case 'false':
      return value === false
    case 'code':
      return shape.is(value)
    default:
      return false
  }
}

/** The type of a value, never the value: it may be a secret. */
function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (value === '') return 'empty'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/** The branch of an `either` that a value takes, or the shape itself. */
export function shapeFor(value: unknown, shape: Shape): Shape {
  if (shape.kind !== 'either') return shape
  const kinds = isPlain(value) ? ['group', 'named'] : Array.isArray(value) ? ['list'] : []
  const branch = shape.of.find(({ kind }) => kinds.includes(kind))
  return branch ?? shape.of.find((one) => fitsLeaf(value, one)) ?? shape
}

/** Everything in a value that does not fit; undefined stands for a setting that is left out. */
export function misfits(value: unknown, shape: Shape, key: string): Misfit[] {
  if (value === undefined) return []
  const taken = shapeFor(value, shape)
  if (taken.kind === 'list' && Array.isArray(value)) {
    return value.flatMap((one, at) => misfits(one ?? null, taken.of, `${key}[${at}]`))
  }
  if (taken.kind === 'named' && isPlain(value)) {
    return Object.entries(value).flatMap(([name, one]) =>
      NAME.test(name)
        ? misfits(one, taken.of, joined(key, name))
        : [
            {
              key: joined(key, name),
              what: 'is no name: letters, digits, - and _, a letter first',
            },
          ],
    )
  }
  if (taken.kind === 'group' && isPlain(value)) {
    return Object.entries(value).flatMap(([name, one]) => {
      const inner = Object.hasOwn(taken.keys, name) ? taken.keys[name] : undefined
      const at = joined(key, name)
      return inner === undefined
        ? [{ key: at, what: `is not known; ${advice(name, Object.keys(taken.keys))}` }]
        : misfits(one, inner, at)
    })
  }
  if (fitsLeaf(value, taken)) return []
  return [{ key, what: `must be ${described(shape)}, and is ${typeOf(value)}` }]
}

/** The known name that was probably meant, or all of them. */
export function advice(name: string, known: readonly string[]): string {
  const near = known
    .map((one) => ({ one, distance: distance(name.toLowerCase(), one.toLowerCase()) }))
    .filter((each) => each.distance <= SUGGESTION_DISTANCE_MAX)
    .sort((a, b) => a.distance - b.distance)[0]
  return near === undefined ? `there is ${known.join(', ')}` : `did you mean ${near.one}?`
}

/** Levenshtein's: letters to add, to take away or to change. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** The single values in a value, by key. An empty object stands for itself. */
export function leavesOf(value: unknown, shape: Shape, key: string): [string, unknown, Shape][] {
  if (value === undefined) return []
  const taken = shapeFor(value, shape)
  const isBranch = taken.kind === 'group' || taken.kind === 'named'
  if (!isBranch || !isPlain(value) || Object.keys(value).length === 0) return [[key, value, taken]]
  return Object.entries(value).flatMap(([name, one]) => {
    const inner = taken.kind === 'group' ? taken.keys[name] : taken.of
    return inner === undefined ? [] : leavesOf(one, inner, joined(key, name))
  })
}

/** What a value lacks that its shape needs. */
export function lacking(value: unknown, shape: Shape, key: string): Misfit[] {
  const taken = shapeFor(value, shape)
  if (taken.kind === 'list' && Array.isArray(value)) {
    return value.flatMap((one, at) => lacking(one, taken.of, `${key}[${at}]`))
  }
  if ((taken.kind !== 'group' && taken.kind !== 'named') || !isPlain(value)) return []
  const needs = taken.kind === 'group' ? (taken.needs ?? []) : []
  return [
    ...needs
      .filter((name) => value[name] === undefined)
      .map((name) => ({ key: joined(key, name), what: 'is missing' })),
    ...Object.entries(value).flatMap(([name, one]) => {
      const inner = taken.kind === 'group' ? taken.keys[name] : taken.of
      return inner === undefined ? [] : lacking(one, inner, joined(key, name))
    }),
  ]
}

/** What holds when nothing is said. */
export function defaultsOf(shape: Shape, key: string): [string, unknown, Shape][] {
  if (shape.kind === 'group') {
    return Object.entries(shape.keys).flatMap(([name, one]) => defaultsOf(one, joined(key, name)))
  }
  return 'default' in shape && shape.default !== undefined ? [[key, shape.default, shape]] : []
}
