import { createHash } from 'node:crypto'
import type { StandardJSONSchemaV1 } from '@standard-schema/spec'
import { compareText } from '../kernel/index.ts'
import type { EventDefinition, Json } from '../model/index.ts'

/** A JSON Schema of the draft 2020-12, as far as it is an object. */
export type JsonSchema = { readonly [keyword: string]: Json }

const target = 'draft-2020-12'

type Side = 'input' | 'output'

/** The library's own conversion; undefined where it has none for this schema. */
function converted({ schema }: EventDefinition, side: Side): JsonSchema | undefined {
  const props = schema?.['~standard'] as Partial<StandardJSONSchemaV1.Props> | undefined
  if (typeof props?.jsonSchema?.[side] !== 'function') return undefined
  try {
    const { $schema: _, ...made } = props.jsonSchema[side]({ target })
    // Through JSON, so that it is what a record keeps: no undefined, no class instances.
    return JSON.parse(JSON.stringify(made)) as JsonSchema
  } catch {
    // By the standard a conversion throws for what JSON Schema cannot say: a Date, a transform.
    return undefined
  }
}

const known = new WeakMap<EventDefinition, JsonSchema | null>()

/**
 * What the stored data of a definition looks like: the validator's output. Undefined for
 * `type<T>()`, for a library without Standard JSON Schema, and where a codec stores another form.
 */
export function storedSchema(definition: EventDefinition): JsonSchema | undefined {
  const found = known.get(definition)
  if (found !== undefined) return found ?? undefined
  const made = definition.codec === undefined ? converted(definition, 'output') : undefined
  known.set(definition, made ?? null)
  return made
}

/** What the validator takes; undefined where its library cannot say. */
export function takenSchema(definition: EventDefinition): JsonSchema | undefined {
  return converted(definition, 'input')
}

/** JSON text with sorted keys: the same for schemas that differ in the order of keys only. */
export function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const keys = Object.keys(value).sort(compareText)
  const parts = keys.map(
    (key) => `${JSON.stringify(key)}:${canonicalText((value as Record<string, unknown>)[key])}`,
  )
  return `{${parts.join(',')}}`
}

/** The first half of a SHA-256 over the canonical text; `-` where there is no schema. */
export function schemaHash(schema: JsonSchema | undefined): string {
  if (schema === undefined) return '-'
  return createHash('sha256').update(canonicalText(schema)).digest('hex').slice(0, 32)
}
