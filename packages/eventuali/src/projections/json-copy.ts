import { DataNotJsonError, type Json, nestingDepthMax } from '../model/index.ts'

function fail(path: string, what: string): never {
  throw new DataNotJsonError(path, what)
}

function copyObject(value: object, path: string, depth: number): Json {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    fail(path, `is a ${value.constructor?.name ?? 'special object'}, which JSON does not carry`)
  }
  const copy: Record<string, Json> = {}
  for (const key of Object.keys(value)) {
    const property = (value as Readonly<Record<string, unknown>>)[key]
    if (property === undefined) continue
    const copied = copyAt(property, path, key, depth + 1)
    // An own property of that name, which a plain assignment would not make.
    if (key === '__proto__') {
      Object.defineProperty(copy, key, {
        ...{ value: copied, enumerable: true, writable: true, configurable: true },
      })
    } else copy[key] = copied
  }
  return copy
}

function copyAt(value: unknown, path: string, key: string | number, depth: number): Json {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      if (Number.isFinite(value)) return value
      return fail(`${path}.${key}`, `is ${value}, which JSON does not carry`)
    case 'object': {
      if (value === null) return value
      const at = `${path}.${key}`
      if (depth > nestingDepthMax) fail(at, `is nested deeper than ${nestingDepthMax}`)
      if (!Array.isArray(value)) return copyObject(value, at, depth)
      return value.map((element, index) => copyAt(element, at, index, depth + 1))
    }
    default:
      return fail(`${path}.${key}`, `is a ${typeof value}, which JSON does not carry`)
  }
}

/**
 * A document of its own: what the caller does with the original does not reach it. Properties that
 * are undefined are left out. Throws DataNotJsonError.
 */
export function copyDocument(value: unknown): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    fail('document', 'is no object')
  }
  return copyObject(value, 'document', 0)
}
