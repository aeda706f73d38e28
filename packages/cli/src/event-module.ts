import type { EventCreators, SchemaSource } from 'eventuali'
import { Refused, UsageError } from './exit-codes.ts'
import { loadModule } from './load-module.ts'
import type { Session } from './session.ts'

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
async function loadDefinitions(files: readonly string[]): Promise<readonly SchemaSource[]> {
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

/**
 * The definitions of the modules, or those of the configuration when none is named: its events, and
 * those of its aggregates. Throws UsageError when there are none either.
 */
export async function definitionsFor(
  session: Session,
  files: readonly string[] | undefined,
): Promise<readonly SchemaSource[]> {
  if (files !== undefined) return loadDefinitions(files)
  const { events, aggregates } = await session.config()
  const sources = [...events, ...sourcesIn(aggregates)]
  if (sources.length > 0) return sources
  throw new UsageError(
    'which events? Give --events MODULE, or say them in eventuali.config.ts (diff also takes a TYPE and a version)',
  )
}
