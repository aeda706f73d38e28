import { DefinitionError, type RecordedEvent } from '../model/index.ts'
import type { ProcessDefinition } from './define-process.ts'
import type { CommandTarget } from './process-context.ts'

/** All versions of one process that this program knows. */
export interface DefinitionSet {
  readonly name: string
  readonly newest: ProcessDefinition
  readonly versions: ReadonlyMap<number, ProcessDefinition>
  /** Event types that any version handles. */
  readonly types: readonly string[]
  /** The types under which such events may be stored. */
  readonly storedTypes: readonly string[]
  /** What stands in the place of a stored event, by the newest version that knows its type. */
  readonly upcast: (event: RecordedEvent) => readonly RecordedEvent[]
  readonly aggregates: ReadonlyMap<string, CommandTarget>
}

/** Groups definitions by name. Throws DefinitionError when two have the same name and version. */
export function definitionSets(
  definitions: readonly ProcessDefinition[],
): ReadonlyMap<string, DefinitionSet> {
  const byName = new Map<string, Map<number, ProcessDefinition>>()
  for (const definition of definitions) {
    if ((definition as { readonly kind?: unknown } | null)?.kind !== 'process') {
      throw new DefinitionError('processes take what defineProcess returns')
    }
    const { name, version } = definition
    const versions = byName.get(name) ?? new Map<number, ProcessDefinition>()
    const known = versions.get(version)
    if (known !== undefined && known !== definition) {
      throw new DefinitionError(`process ${name} is defined twice with version ${version}`)
    }
    byName.set(name, versions.set(version, definition))
  }
  return new Map([...byName].map(([name, versions]) => [name, setOf(name, versions)]))
}

function setOf(name: string, versions: ReadonlyMap<number, ProcessDefinition>): DefinitionSet {
  const newest = versions.get(Math.max(...versions.keys())) as ProcessDefinition
  const all = [...versions.values()]
  const aggregates = new Map(all.flatMap((definition) => [...definition.aggregates]))
  const types = [...new Set(all.flatMap((definition) => definition.types))]
  // The newest definition's aggregates count where two versions name different ones alike.
  for (const [target, definition] of newest.aggregates) aggregates.set(target, definition)
  const registries = [newest, ...all].map(({ registry }) => registry)
  const storedTypes = [...new Set(registries.flatMap((registry) => registry.storedTypes(types)))]
  const upcast = (event: RecordedEvent): readonly RecordedEvent[] => {
    const stored = [event]
    for (const registry of registries) {
      const parts = registry.upcast(stored)
      if (parts !== stored || registry.get(event.type) !== undefined) return parts
    }
    return stored
  }
  return { name, newest, versions, types, storedTypes, upcast, aggregates }
}
