import { isEventualiError } from '../kernel/index.ts'
import { DataNotJsonError } from './errors.ts'
import { nestingDepthMax } from './limits.ts'

function describe(value: object): string {
  const name = (value as { constructor?: { name?: unknown } }).constructor?.name
  return `is a ${typeof name === 'string' && name !== '' ? name : 'value with a prototype'}, which JSON does not carry`
}

/**
 * Throws DataNotJsonError at the first place that JSON would lose or change: NaN, bigint,
 * undefined inside an array, Date, Map, class instances, functions, symbols, holes, cycles and
 * very deep nesting, and the keys with which a careless merge pollutes prototypes. A property
 * whose value is `undefined` counts as absent. -0 is stored as 0, as JSON does.
 */
export function assertJson(value: unknown, path: string): void {
  visit(value, path, undefined, 0)
}

/**
 * The JSON text of a value. Throws DataNotJsonError as `assertJson` does, and where looking at the
 * value fails: a getter that throws, or that tells something else the second time.
 */
export function jsonTextOf(value: unknown, path: string): string {
  let cause: unknown
  try {
    assertJson(value, path)
    const text: string | undefined = JSON.stringify(value)
    if (text !== undefined) return text
  } catch (error) {
    if (isEventualiError(error)) throw error
    cause = error
  }
  throw new DataNotJsonError(path, 'cannot be read', { cause })
}

interface Trail {
  readonly key: string | number
  readonly up: Trail | undefined
}

function fail(root: string, trail: Trail | undefined, what: string): never {
  let path = ''
  for (let t = trail; t !== undefined; t = t.up) {
    path = (typeof t.key === 'number' ? `[${t.key}]` : `.${t.key}`) + path
    if (path.length > 300) {
      path = `…${path.slice(-300)}`
      break
    }
  }
  throw new DataNotJsonError(root + path, what)
}

function visit(value: unknown, root: string, trail: Trail | undefined, depth: number): void {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return
    case 'number':
      if (!Number.isFinite(value)) fail(root, trail, `is ${value}, which JSON does not carry`)
      return
    case 'object':
      if (value === null) return
      if (depth >= nestingDepthMax) fail(root, trail, `is nested deeper than ${nestingDepthMax}`)
      if (Array.isArray(value)) visitArray(value, root, trail, depth)
      else visitObject(value, root, trail, depth)
      return
    default:
      fail(root, trail, `is a ${typeof value}, which JSON does not carry`)
  }
}

function visitArray(
  value: readonly unknown[],
  root: string,
  trail: Trail | undefined,
  depth: number,
): void {
  for (let i = 0; i < value.length; i++) {
    const item = value[i]
    if (typeof item === 'string') continue
    visit(item, root, { key: i, up: trail }, depth + 1)
  }
}

function visitObject(value: object, root: string, trail: Trail | undefined, depth: number): void {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) fail(root, trail, describe(value))
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') {
    fail(root, trail, 'has a toJSON method')
  }
  // `for in` copies no list of keys, which is half the work here; what it finds on a prototype
  // that somebody has extended is left out below, as JSON does.
  for (const key in value) {
    const item = (value as { [key: string]: unknown })[key]
    if (key === '__proto__' || key === 'constructor') assertKey(value, key, item, root, trail)
    if (typeof item === 'string' || item === undefined) continue
    if (Number.isFinite(item) || !Object.hasOwn(value, key)) continue
    visit(item, root, { key, up: trail }, depth + 1)
  }
}

/** Throws for the keys with which a careless merge pollutes prototypes. */
function assertKey(
  value: object,
  key: string,
  item: unknown,
  root: string,
  trail: Trail | undefined,
): void {
  const pollutes =
    key === '__proto__' || (typeof item === 'object' && item !== null && 'prototype' in item)
  if (!pollutes || !Object.hasOwn(value, key)) return
  fail(root, { key, up: trail }, 'is a key that pollutes prototypes')
}
