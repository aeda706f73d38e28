import type { EventDefinition, EventRegistry } from '../model/index.ts'
import { type JsonSchema, schemaHash, storedSchema } from './json-schema.ts'
import { type Narrowing, narrowings } from './narrowing.ts'
import { requiredOf } from './schema-shape.ts'
import { upcasterStub } from './stub.ts'

/**
 * What new definitions have to keep. `backward`: they read everything that is stored. `forward`:
 * programs that still run the version before read what these write. `full`: both. `none`: nothing.
 */
export type Compatibility = 'backward' | 'forward' | 'full' | 'none'

/** All of them, for options and command lines. */
export const compatibilities: readonly Compatibility[] = ['backward', 'forward', 'full', 'none']

/** A type and version that the store has seen. */
export interface StoredSchema {
  readonly type: string
  readonly version: number
  /** Undefined where nobody could say what its data looks like. */
  readonly schema?: JsonSchema | undefined
}

/** What is wrong between a stored type and the definitions. */
export type SchemaProblemKind =
  /** No definition reads the type. */
  | 'unknown-type'
  /** Stored data is of an older version, and nothing says how to read it as the next one. */
  | 'upcaster-missing'
  /** The schema of a version is not the one that the version had, or defaults do not fill it. */
  | 'changed'
  /** Stored by a newer program, in a form that this one does not expect. */
  | 'newer-version'
  /** Programs of the version before do not expect what this one writes. */
  | 'older-readers'
  /** An upcaster failed at a stored event. */
  | 'upcast-failed'
  /** A codec could not decode a stored event. */
  | 'decode-failed'
  /** The validator refuses stored data, as it is read. */
  | 'refused'
  /** Stored data lacks what only the validator's default would fill in, which reads do not run. */
  | 'lacks'

/** An answer to: which stored events would these definitions fail to read? */
export interface SchemaProblem {
  readonly kind: SchemaProblemKind
  /** `warning`: the schemas alone cannot tell, or it is no failure by itself. */
  readonly severity: 'error' | 'warning'
  /** The type under which events are stored. */
  readonly type: string
  readonly version: number
  /** A sentence that says what to do. */
  readonly reason: string
  /** Where the schemas differ. */
  readonly details?: readonly Narrowing[]
  /** The upcaster that is missing, as text to put into the definition. */
  readonly stub?: string
  /** The stored events that showed it, where events were read. */
  readonly events?: SchemaEvidence
}

/** Stored events with one problem. */
export interface SchemaEvidence {
  readonly count: number
  readonly first: { readonly stream: string; readonly version: number; readonly position: number }
}

/** The definition that reads events stored under a name. */
export function readerOf(registry: EventRegistry, stored: string): EventDefinition | undefined {
  const own = registry.get(stored)
  if (own !== undefined) return own
  for (const type of registry.types()) {
    const definition = registry.get(type)
    if (definition?.evolution.formerly?.includes(stored)) return definition
  }
  return undefined
}

/** Compares the definitions with what the store has seen. Pure. */
export function checkDefinitions(
  registry: EventRegistry,
  stored: readonly StoredSchema[],
  compatibility: Compatibility,
): readonly SchemaProblem[] {
  const problems: SchemaProblem[] = []
  if (compatibility === 'backward' || compatibility === 'full') {
    for (const one of stored) problems.push(...readProblems(registry, one, stored))
  }
  if (compatibility === 'forward' || compatibility === 'full') {
    for (const type of registry.types()) {
      const definition = registry.get(type)
      if (definition !== undefined) problems.push(...olderReaders(definition, stored))
    }
  }
  return problems
}

function readProblems(
  registry: EventRegistry,
  one: StoredSchema,
  all: readonly StoredSchema[],
): readonly SchemaProblem[] {
  const { type, version } = one
  const definition = readerOf(registry, type)
  const place = { type, version }
  if (definition === undefined) {
    const reason = `no definition reads ${JSON.stringify(type)}; define it, or name it in the "formerly" of the type that took its place`
    return [{ kind: 'unknown-type', severity: 'warning', ...place, reason }]
  }
  if (version < definition.schemaVersion) return olderVersion(definition, one, all)
  const ours = storedSchema(definition)
  if (one.schema === undefined || ours === undefined) return []
  const isNewer = version > definition.schemaVersion
  if (!isNewer && schemaHash(one.schema) === schemaHash(ours)) return []
  const details = narrowings(filled(one.schema, definition), ours)
  if (details.length === 0) return []
  const reason = isNewer
    ? `${nameOf(one)} is of a newer version than this program's, ${definition.schemaVersion}, and ${first(details)}; deploy what wrote it`
    : `${nameOf(one)} is stored with another schema, where ${first(details)}; raise its version to ${version + 1} and add an upcaster, or take the change back`
  const severity = severityOf(details)
  if (isNewer) return [{ kind: 'newer-version', severity, ...place, reason, details }]
  const stub = upcasterStub({
    type: definition.type,
    from: version,
    before: one.schema,
    after: ours,
  })
  return [{ kind: 'changed', severity, ...place, reason, details, stub }]
}

function olderVersion(
  definition: EventDefinition,
  one: StoredSchema,
  all: readonly StoredSchema[],
): readonly SchemaProblem[] {
  const { upcast = {}, defaults } = definition.evolution
  const place = { type: one.type, version: one.version }
  const steps = range(one.version, definition.schemaVersion)
  const gap = defaults === undefined ? steps.find((from) => upcast[from] === undefined) : undefined
  const ours = storedSchema(definition)
  if (gap !== undefined) {
    const schemaOf = (version: number) =>
      version === definition.schemaVersion
        ? ours
        : all.findLast((other) => other.type === one.type && other.version === version)?.schema
    const before = gap === one.version ? one.schema : schemaOf(gap)
    const stub = upcasterStub({
      type: definition.type,
      from: gap,
      before,
      after: schemaOf(gap + 1),
    })
    const reason = `${nameOf(one)} is stored, and nothing reads version ${gap} as version ${gap + 1}; add "upcast: { ${gap}: (data) => … }" to ${JSON.stringify(definition.type)}`
    return [{ kind: 'upcaster-missing', severity: 'error', ...place, reason, stub }]
  }
  if (one.schema === undefined || ours === undefined) return []
  // What upcasters make is known when they run: the events tell.
  if (steps.some((from) => upcast[from] !== undefined)) return []
  const details = narrowings(filled(one.schema, definition), ours)
  if (details.length === 0) return []
  const from = one.version
  const reason = `${nameOf(one)} is read by defaults alone, and ${first(details)}; add "upcast: { ${from}: (data) => … }"`
  const stub = upcasterStub({ type: definition.type, from, before: one.schema, after: ours })
  return [{ kind: 'changed', severity: severityOf(details), ...place, reason, details, stub }]
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, at) => from + at)
}

/** Fields that defaults fill are always there for a reader. */
function filled(schema: JsonSchema, { evolution }: EventDefinition): JsonSchema {
  const keys = Object.keys(evolution.defaults ?? {})
  if (keys.length === 0) return schema
  const required = requiredOf(schema)
  return { ...schema, required: [...new Set([...required, ...keys])] }
}

/** What programs of the newest version before this one would make of what this one writes. */
function olderReaders(
  definition: EventDefinition,
  stored: readonly StoredSchema[],
): readonly SchemaProblem[] {
  const { type, schemaVersion, evolution } = definition
  const own = stored.filter((one) => one.type === type && one.version <= schemaVersion)
  if (own.length === 0) return renamed(definition, stored, evolution.formerly ?? [])
  const ours = storedSchema(definition)
  if (ours === undefined) return []
  const before = Math.max(...own.map(({ version }) => version))
  const seen = own.filter(({ version }) => version === before)
  // One of them is what runs now; written by ourselves, there is nobody older to care for.
  if (seen.some(({ schema }) => schema && schemaHash(schema) === schemaHash(ours))) return []
  const last = seen.at(-1)?.schema
  const details = last === undefined ? [] : narrowings(ours, last)
  if (details.length === 0) return []
  const reason = `programs that read version ${before} of ${JSON.stringify(type)} get version ${schemaVersion}, where ${first(details)}; keep the old fields until those programs are gone, or use another mode`
  const severity = severityOf(details)
  return [{ kind: 'older-readers', severity, type, version: before, reason, details }]
}

function renamed(
  { type }: EventDefinition,
  stored: readonly StoredSchema[],
  formerly: readonly string[],
): readonly SchemaProblem[] {
  const old = stored.findLast((one) => formerly.includes(one.type))
  if (old === undefined) return []
  const reason = `programs that read ${JSON.stringify(old.type)} do not know ${JSON.stringify(type)}, its new name; keep the old name until they are gone, or use another mode`
  return [
    { kind: 'older-readers', severity: 'error', type: old.type, version: old.version, reason },
  ]
}

function nameOf({ type, version }: StoredSchema): string {
  return `${JSON.stringify(type)} of version ${version}`
}

function first(details: readonly Narrowing[]): string {
  const [one] = details.toSorted((a, b) => Number(b.certain) - Number(a.certain))
  const more = details.length > 1 ? ` (and ${details.length - 1} more)` : ''
  return one === undefined ? '' : `${one.path} ${one.reason}${more}`
}

function severityOf(details: readonly Narrowing[]): 'error' | 'warning' {
  return details.some(({ certain }) => certain) ? 'error' : 'warning'
}
