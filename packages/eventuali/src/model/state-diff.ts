import { isDeepStrictEqual, types } from 'node:util'
import { InvalidArgumentError } from './errors.ts'

/** One difference between two states. */
export interface StateChange {
  /** Where, as a JSON Pointer (RFC 6901): `/lines/0/price`; empty for the state as a whole. */
  readonly path: string
  readonly kind: 'added' | 'removed' | 'changed'
  /** Undefined when it was added. */
  readonly before: unknown
  /** Undefined when it was removed. */
  readonly after: unknown
}

/** Values that are looked into; dates, maps, sets, buffers and so on are compared as a whole. */
function isContainer(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  return !(
    types.isDate(value) ||
    types.isMap(value) ||
    types.isSet(value) ||
    types.isRegExp(value) ||
    types.isBoxedPrimitive(value) ||
    types.isAnyArrayBuffer(value) ||
    ArrayBuffer.isView(value)
  )
}

function escaped(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}

function* differences(
  path: string,
  before: unknown,
  after: unknown,
  above: readonly unknown[],
): Generator<StateChange, void, void> {
  const isLookedInto =
    isContainer(before) &&
    isContainer(after) &&
    Array.isArray(before) === Array.isArray(after) &&
    !above.includes(before)
  if (!isLookedInto) {
    if (!isDeepStrictEqual(before, after)) yield { path, kind: 'changed', before, after }
    return
  }
  const inside = [...above, before]
  for (const key of Object.keys(before)) {
    const at = `${path}/${escaped(key)}`
    if (Object.hasOwn(after, key)) yield* differences(at, before[key], after[key], inside)
    else yield { path: at, kind: 'removed', before: before[key], after: undefined }
  }
  for (const key of Object.keys(after)) {
    if (Object.hasOwn(before, key)) continue
    yield { path: `${path}/${escaped(key)}`, kind: 'added', before: undefined, after: after[key] }
  }
}

/**
 * What makes one state another: the differences in the order of their keys, none when they are
 * equal. Objects and arrays are looked into, by their own enumerable properties; dates, maps, sets
 * and the like are compared as a whole.
 *
 * @example
 * ```ts
 * import { diffStates } from 'eventuali'
 *
 * console.log(diffStates({ total: 30, open: true }, { total: 45, open: true }))
 * // [ { path: '/total', kind: 'changed', before: 30, after: 45 } ]
 * ```
 */
export function diffStates(before: unknown, after: unknown): readonly StateChange[] {
  return [...differences('', before, after, [])]
}

/** Whether there is any difference. */
export function isSameState(before: unknown, after: unknown): boolean {
  return differences('', before, after, []).next().done === true
}

/** The way that a JSON Pointer goes. Throws InvalidArgumentError. */
export function pointerOf(path: string): readonly string[] {
  if (path === '') return []
  if (typeof path !== 'string' || !path.startsWith('/')) {
    throw new InvalidArgumentError('path', "is no JSON Pointer, such as '/lines/0/price' or ''")
  }
  return path
    .slice(1)
    .split('/')
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** The value at the end of the way; undefined when there is none. Maps are asked by text. */
export function valueAt(state: unknown, pointer: readonly string[]): unknown {
  let value = state
  for (const key of pointer) {
    if (types.isMap(value)) value = value.get(key)
    else if (isContainer(value) && Object.hasOwn(value, key)) value = value[key]
    else return undefined
  }
  return value
}
