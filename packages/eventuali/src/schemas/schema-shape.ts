import { canonicalText, type JsonSchema } from './json-schema.ts'

/** A schema together with the document that its references point into. */
export interface Placed {
  readonly schema: JsonSchema
  readonly root: JsonSchema
}

const nothing: JsonSchema = { not: {} }

/** `true` and `false` are schemas too. */
export function asSchema(value: unknown): JsonSchema {
  if (value === false) return nothing
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonSchema)
    : {}
}

/** What a keyword lists; nothing where it is written wrong. */
function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** The fields that an object has to have. */
export function requiredOf(schema: JsonSchema): readonly string[] {
  return listOf(schema.required).map(String)
}

const REFERENCE_COUNT_MAX = 100

/** The schema behind a reference within the document. An unknown reference allows anything. */
export function resolved({ schema, root }: Placed): Placed {
  let found = asSchema(schema)
  for (let hops = 0; typeof found.$ref === 'string' && hops < REFERENCE_COUNT_MAX; hops++) {
    const path = found.$ref.startsWith('#') ? found.$ref.slice(1).split('/').slice(1) : undefined
    if (path === undefined) return { schema: {}, root }
    let at: unknown = root
    for (const part of path) {
      const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
      at = (at as Record<string, unknown> | undefined)?.[key]
    }
    found = asSchema(at)
  }
  return { schema: found, root }
}

const allTypes = ['null', 'boolean', 'number', 'string', 'array', 'object'] as const

const annotations: ReadonlySet<string> = new Set([
  ...['$schema', '$id', '$comment', '$defs', 'definitions', 'title', 'description'],
  ...['default', 'examples', 'deprecated', 'readOnly', 'writeOnly'],
])

/** The keywords that say something about data. */
export function keywordsOf(schema: JsonSchema): readonly string[] {
  return Object.keys(schema).filter((keyword) => !annotations.has(keyword))
}

function typeOfValue(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

/** The values that a schema lists, if it lists them. */
export function listedValues(schema: JsonSchema): readonly unknown[] | undefined {
  if ('const' in schema) return [schema.const]
  if (Array.isArray(schema.enum)) return schema.enum
  if (schema.type === 'null') return [null]
  if (schema.type === 'boolean') return [false, true]
  return undefined
}

/** The JSON type of what a schema of one alternative allows; undefined for anything. */
export function typeOf(schema: JsonSchema): string | undefined {
  const values = listedValues(schema)
  if (values === undefined) return typeof schema.type === 'string' ? schema.type : undefined
  const types = new Set(values.map(typeOfValue))
  return types.size === 1 ? [...types][0] : undefined
}

/** Properties and required names of several object schemas that all hold; undefined if unclear. */
function mergedObjects(parts: readonly Placed[]): JsonSchema | undefined {
  const properties: Record<string, JsonSchema> = {}
  const required = new Set<string>()
  for (const { schema } of parts) {
    const keywords = keywordsOf(schema)
    if (schema.type !== 'object') return undefined
    if (
      keywords.some((word) => !objectWords.has(word)) ||
      typeof schema.additionalProperties === 'object'
    ) {
      return undefined
    }
    for (const [key, value] of Object.entries((schema.properties ?? {}) as JsonSchema)) {
      const known = Object.hasOwn(properties, key) ? properties[key] : undefined
      if (known !== undefined && canonicalText(known) !== canonicalText(value)) return undefined
      Object.defineProperty(properties, key, { value: asSchema(value), enumerable: true })
    }
    for (const key of requiredOf(schema)) required.add(key)
  }
  return { type: 'object', properties, required: [...required] }
}

const objectWords: ReadonlySet<string> = new Set([
  ...['type', 'properties', 'required', 'additionalProperties'],
])

/**
 * The alternatives that a schema allows, each of one type where that is known. What it lists by
 * value is one alternative, however it is spelt.
 */
export function alternativesOf(placed: Placed): readonly Placed[] {
  const { schema, root } = resolved(placed)
  const at = (part: unknown): Placed => ({ schema: asSchema(part), root })
  const keywords = keywordsOf(schema)
  const [only] = keywords
  const choice = only === 'anyOf' || only === 'oneOf' ? schema[only] : undefined
  if (keywords.length === 1 && Array.isArray(choice)) {
    return joinedValues(choice.flatMap((part) => alternativesOf(at(part))))
  }
  if (keywords.every((word) => objectWords.has(word) || word === 'allOf') && 'allOf' in schema) {
    const { allOf, ...own } = schema
    const parts = listOf(allOf).map((part) => resolved(at(part)))
    const merged = mergedObjects(keywordsOf(own).length > 0 ? [...parts, at(own)] : parts)
    if (merged !== undefined) return [at(merged)]
  }
  if (Array.isArray(schema.type)) {
    return joinedValues(schema.type.map((type) => at({ ...schema, type })))
  }
  return [{ schema, root }]
}

function joinedValues(alternatives: readonly Placed[]): readonly Placed[] {
  const values: unknown[] = []
  const others: Placed[] = []
  for (const placed of alternatives) {
    const listed = listedValues(placed.schema)
    if (listed === undefined) others.push(placed)
    else values.push(...listed)
  }
  const [first] = alternatives
  if (values.length === 0 || first === undefined) return others
  const distinct = new Map(values.map((value) => [canonicalText(value), value]))
  return [{ schema: { enum: [...distinct.values()] } as JsonSchema, root: first.root }, ...others]
}

const TEXT_DEPTH_MAX = 4
const name = /^[A-Za-z_$][\w$]*$/

/** What data a schema allows, as a TypeScript type. */
export function typeText(placed: Placed, depth = 0): string {
  if (depth > TEXT_DEPTH_MAX) return 'unknown'
  const texts = alternativesOf(placed).map((one) => oneText(one, depth))
  return [...new Set(texts)].join(' | ') || 'never'
}

function oneText({ schema, root }: Placed, depth: number): string {
  const within = (part: unknown) => typeText({ schema: asSchema(part), root }, depth + 1)
  if (schema.type === 'boolean' && !('const' in schema) && !('enum' in schema)) return 'boolean'
  const values = listedValues(schema)
  if (values !== undefined) return values.map((value) => JSON.stringify(value)).join(' | ')
  switch (schema.type) {
    case 'integer':
      return 'number'
    case 'number':
    case 'string':
      return schema.type
    case 'array':
      if (Array.isArray(schema.prefixItems)) return `[${schema.prefixItems.map(within).join(', ')}]`
      return `ReadonlyArray<${within(schema.items)}>`
    case 'object':
      return objectText(schema, within)
    default:
      return 'unknown'
  }
}

function objectText(schema: JsonSchema, within: (part: unknown) => string): string {
  const required = new Set(requiredOf(schema))
  const fields = Object.entries((schema.properties ?? {}) as JsonSchema).map(
    ([key, part]) =>
      `${name.test(key) ? key : JSON.stringify(key)}${required.has(key) ? '' : '?'}: ${within(part)}`,
  )
  const { additionalProperties: others } = schema
  if (typeof others === 'object' && others !== null) {
    if (fields.length === 0) return `Record<string, ${within(others)}>`
    fields.push('[key: string]: unknown')
  }
  return fields.length === 0 ? 'object' : `{ ${fields.join('; ')} }`
}

/** Whether a value is of the type; every integer is a number. */
export function isOfType(value: unknown, type: string | undefined): boolean {
  if (type === undefined) return true
  if (type === 'integer') return Number.isInteger(value)
  return (allTypes as readonly string[]).includes(type) && typeOfValue(value) === type
}

/** A schema that one piece of data shows: its fields and their types. */
export function schemaOfData(data: unknown): JsonSchema {
  const type = typeOfValue(data)
  if (type === 'array') {
    const [first] = data as readonly unknown[]
    return { type, ...(first === undefined ? {} : { items: schemaOfData(first) }) }
  }
  if (type !== 'object') return { type }
  const fields = Object.entries(data as object).map(([key, value]) => [key, schemaOfData(value)])
  return {
    type,
    properties: Object.fromEntries(fields) as JsonSchema,
    required: Object.keys(data as object),
  }
}
