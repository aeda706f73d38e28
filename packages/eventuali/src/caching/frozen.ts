const DEPTH_MAX = 200
const REFERENCE_BYTES = 8
const OBJECT_BYTES = 40

/** Bytes of what is frozen to its depths; a state shares most of its parts with the one before. */
const frozenBytes = new WeakMap<object, number>()

function isPlain(value: unknown, depth: number): boolean {
  if (typeof value === 'function') return false
  if (typeof value !== 'object' || value === null || frozenBytes.has(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  const isOwn = prototype === Object.prototype || prototype === Array.prototype
  if (depth > DEPTH_MAX || !(isOwn || prototype === null)) return false
  return Object.values(value).every((part) => isPlain(part, depth + 1))
}

function freeze(value: unknown): number {
  if (typeof value === 'string') return REFERENCE_BYTES + value.length
  if (typeof value !== 'object' || value === null) return REFERENCE_BYTES
  const known = frozenBytes.get(value)
  if (known !== undefined) return known
  let bytes = OBJECT_BYTES
  for (const part of Object.values(value)) bytes += REFERENCE_BYTES + freeze(part)
  Object.freeze(value)
  frozenBytes.set(value, bytes)
  return bytes
}

/**
 * Freezes a value of plain objects and arrays to its depths, since many loads will share it, and
 * gives about how many bytes it takes. Undefined, and nothing is frozen, where something of it
 * could be changed all the same: a Map, a Date, an instance of a class.
 */
export function frozenSize(value: unknown): number | undefined {
  return isPlain(value, 0) ? freeze(value) : undefined
}
