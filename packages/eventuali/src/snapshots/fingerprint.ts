import { createHash } from 'node:crypto'
import type { AnyAggregate } from '../ports/index.ts'

const known = new WeakMap<object, string>()

/** The source of a function; a class shows its constructor and fields with its methods. */
function sourceOf(value: unknown): string {
  return typeof value === 'function' ? Function.prototype.toString.call(value) : ''
}

/**
 * A fingerprint of the code that makes states: the sources of `initial`, the handlers, the
 * upcasters and the codecs, the versions of the schemas, and the explicit version. It does not see
 * what these functions call or refer to; the behaviour probe is there for that.
 */
export function fingerprintOf(definition: AnyAggregate): string {
  const found = known.get(definition)
  if (found !== undefined) return found
  const { name, registry, initial, evolve, snapshot, unknownEvents } = definition
  const rules = snapshot === false ? {} : (snapshot ?? {})
  const hash = createHash('sha256')
  const add = (...parts: readonly unknown[]) => hash.update(`${JSON.stringify(parts)}\n`)
  add(name, rules.version ?? 1, unknownEvents ?? 'refuse')
  add(
    sourceOf(initial),
    sourceOf(rules.encode),
    sourceOf(rules.decode),
    sourceOf(definition.source),
  )
  const handlers = evolve as Readonly<Record<string, unknown>>
  for (const type of [...registry.types()].sort()) {
    const event = registry.get(type)
    const { upcast = {}, formerly, into, defaults } = event?.evolution ?? {}
    add(type, event?.schemaVersion, formerly, into, defaults, sourceOf(handlers[type]))
    add(sourceOf(event?.codec?.encode), sourceOf(event?.codec?.decode))
    for (const [from, upcaster] of Object.entries(upcast)) add(from, sourceOf(upcaster))
  }
  const made = hash.digest('hex').slice(0, 16)
  known.set(definition, made)
  return made
}
