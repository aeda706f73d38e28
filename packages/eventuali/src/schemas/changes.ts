import { canonicalText, type JsonSchema } from './json-schema.ts'
import { alternativesOf, asSchema, type Placed, requiredOf, typeText } from './schema-shape.ts'

/** One difference between two schemas, for people. */
export interface SchemaChange {
  readonly kind: 'added' | 'removed' | 'changed'
  /** `data.currency` */
  readonly path: string
  /** `currency: string`, `string → number`, `optional → required` */
  readonly what: string
}

const DEPTH_MAX = 20

/**
 * What is different between two schemas, field by field, for people.
 *
 * @example
 * ```ts
 * import { schemaChanges } from 'eventuali'
 *
 * const before = { type: 'object', properties: {} }
 * const after = { type: 'object', properties: { note: { type: 'string' } } }
 * console.log(schemaChanges(before, after)[0]?.what) // note?: string
 * ```
 */
export function schemaChanges(from: JsonSchema, to: JsonSchema): readonly SchemaChange[] {
  const placed = (given: JsonSchema): Placed => {
    const schema = asSchema(given)
    return { schema, root: schema }
  }
  return changes(placed(from), placed(to), 'data', 0)
}

/** The one object that a schema allows, if that is all it allows. */
function soleObject(placed: Placed): Placed | undefined {
  const [first, ...others] = alternativesOf(placed)
  return first?.schema.type === 'object' && others.length === 0 ? first : undefined
}

function changes(from: Placed, to: Placed, path: string, depth: number): readonly SchemaChange[] {
  const [a, b] = [soleObject(from), soleObject(to)]
  if (a !== undefined && b !== undefined && depth < DEPTH_MAX) return fields(a, b, path, depth)
  const [before, after] = [typeText(from), typeText(to)]
  if (before !== after) return [{ kind: 'changed', path, what: `${before} → ${after}` }]
  if (canonicalText(from.schema) === canonicalText(to.schema)) return []
  const what = `${ruleText(from.schema)} → ${ruleText(to.schema)}`
  return [{ kind: 'changed', path, what }]
}

const TEXT_LENGTH_MAX = 200

function ruleText(schema: JsonSchema): string {
  const text = canonicalText(schema)
  return text.length <= TEXT_LENGTH_MAX ? text : `${text.slice(0, TEXT_LENGTH_MAX)}…`
}

interface Field {
  readonly placed: Placed
  readonly required: boolean
}

function fieldsOf({ schema, root }: Placed): ReadonlyMap<string, Field> {
  const required = new Set(requiredOf(schema))
  return new Map(
    Object.entries((schema.properties ?? {}) as JsonSchema).map(([key, part]) => [
      key,
      { placed: { schema: asSchema(part), root }, required: required.has(key) },
    ]),
  )
}

function fields(a: Placed, b: Placed, path: string, depth: number): readonly SchemaChange[] {
  const [before, after] = [fieldsOf(a), fieldsOf(b)]
  const found: SchemaChange[] = []
  const told = (kind: 'added' | 'removed', key: string, { placed, required }: Field) => {
    const what = `${key}${required ? '' : '?'}: ${typeText(placed)}`
    found.push({ kind, path: `${path}.${key}`, what })
  }
  for (const [key, field] of before) {
    const now = after.get(key)
    if (now === undefined) {
      told('removed', key, field)
      continue
    }
    const at = `${path}.${key}`
    if (field.required !== now.required) {
      const what = now.required ? 'optional → required' : 'required → optional'
      found.push({ kind: 'changed', path: at, what })
    }
    found.push(...changes(field.placed, now.placed, at, depth + 1))
  }
  for (const [key, field] of after) if (!before.has(key)) told('added', key, field)
  const others = ({ schema }: Placed) => canonicalText(openness(schema))
  if (others(a) !== others(b)) {
    const what = `other fields ${openText(a)} → ${openText(b)}`
    found.push({ kind: 'changed', path, what })
  }
  return found
}

/** `true`, `{}` and nothing said are one and the same. */
function openness({ additionalProperties: others }: JsonSchema): unknown {
  return others === undefined || others === true || canonicalText(others) === '{}' ? true : others
}

function openText({ schema, root }: Placed): string {
  const others = openness(schema)
  if (typeof others === 'boolean') return others ? 'allowed' : 'none'
  return typeText({ schema: asSchema(others), root })
}
