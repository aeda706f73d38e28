import type { EventCreators, SchemaSource } from 'eventuali'
import { Refused } from './exit-codes.ts'
import { loadModule } from './load-module.ts'

function isCreator(value: unknown): value is EventCreators[string] {
  return typeof value === 'function' && typeof (value as { type?: unknown }).type === 'string'
}

function isCreators(value: unknown): value is EventCreators {
  if (typeof value !== 'object' || value === null) return false
  const members = Object.values(value)
  return members.length > 0 && members.every(isCreator)
}

/** The definitions in one exported value: events, aggregates, classes, and lists of these. */
function sourcesIn(value: unknown): readonly SchemaSource[] {
  if (Array.isArray(value)) return value.flatMap(sourcesIn)
  if (isCreator(value)) return [{ [value.type]: value }]
  if (isCreators(value)) return [value]
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return []
  const { registry, events } = value as { registry?: { types?: unknown }; events?: unknown }
  if (typeof registry?.types === 'function') return [value as SchemaSource]
  return typeof value === 'function' && isCreators(events) ? [events] : []
}

/**
 * Loads a module and collects the event definitions that it exports: what `defineEvents` gave,
 * single events, aggregates and aggregate classes. Throws Refused when there is none.
 */
export async function loadDefinitions(files: readonly string[]): Promise<readonly SchemaSource[]> {
  const sources: SchemaSource[] = []
  for (const file of files) {
    const exported = await loadModule(file, '--events')
    const found = Object.values(exported).flatMap(sourcesIn)
    if (found.length === 0) {
      throw new Refused(
        `${file} exports no event definitions; export what defineEvents gives, or an aggregate`,
      )
    }
    sources.push(...found)
  }
  return sources
}
