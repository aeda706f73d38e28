/** A JSON Schema, as far as the pages show it. */
export interface JsonSchema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly example?: unknown
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly allOf?: readonly JsonSchema[]
  readonly items?: JsonSchema
  readonly properties?: Schemas
  readonly required?: readonly string[]
  readonly additionalProperties?: JsonSchema | boolean
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
}

/** Schemas by name. */
export type Schemas = Readonly<Record<string, JsonSchema>>

const nameOf = (ref: string): string => ref.replace(/^.*\//, '')

/** A value that fits a schema: what must be there, and what has an example. */
export function exampleOf(schema: JsonSchema, schemas: Schemas): unknown {
  if (schema.example !== undefined) return schema.example
  if (schema.$ref !== undefined) {
    const found = schemas[nameOf(schema.$ref)]
    if (found === undefined) throw new Error(`there is no schema ${schema.$ref}`)
    return exampleOf(found, schemas)
  }
  if (schema.const !== undefined) return schema.const
  if (schema.enum !== undefined) return schema.enum[0]
  const [either] = schema.anyOf ?? schema.oneOf ?? []
  if (either !== undefined) return exampleOf(either, schemas)
  const all = schema.allOf ?? []
  if (all.length > 0) return Object.assign({}, ...all.map((part) => exampleOf(part, schemas)))
  if (schema.properties !== undefined) {
    const { required = [] } = schema
    const shown = Object.entries(schema.properties).filter(
      ([name, inner]) => required.includes(name) || inner.example !== undefined,
    )
    return Object.fromEntries(shown.map(([name, inner]) => [name, exampleOf(inner, schemas)]))
  }
  return plainExample(schema, schemas)
}

function plainExample(schema: JsonSchema, schemas: Schemas): unknown {
  const { type, items, minimum = 1, format } = schema
  const [first] = Array.isArray(type) ? type : [type]
  if (first === 'array') return items === undefined ? [] : [exampleOf(items, schemas)]
  if (first === 'integer' || first === 'number') return minimum
  if (first === 'boolean') return true
  if (first === 'string') return format === 'date-time' ? '2026-01-31T10:15:00Z' : 'text'
  return {}
}

/** `from 1`, `up to 200`, `1 to 20`: bounds that a reader could meet. */
function bounds(least: number | undefined, most: number | undefined, unit = ''): string {
  const from = least === undefined || least === Number.MIN_SAFE_INTEGER ? '' : String(least)
  const to = most === undefined || most === Number.MAX_SAFE_INTEGER ? '' : String(most)
  const tail = unit === '' ? '' : ` ${unit}`
  if (from !== '' && to !== '') return `${from} to ${to}${tail}`
  if (from !== '') return `from ${from}${tail}`
  return to === '' ? '' : `up to ${to}${tail}`
}

const code = (value: unknown): string =>
  `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``

/** What a schema takes, in words for the cell of a table; named ones are links on the page. */
export function typeText(schema: JsonSchema): string {
  if (schema.$ref !== undefined) {
    const name = nameOf(schema.$ref)
    return `[${name}](#${name.toLowerCase()})`
  }
  if (schema.const !== undefined) return code(schema.const)
  if (schema.enum !== undefined) return schema.enum.map(code).join(', ')
  const either = schema.anyOf ?? schema.oneOf
  if (either !== undefined) return either.map(typeText).join(' or ')
  if (schema.allOf !== undefined) return schema.allOf.map(typeText).join(' and ')
  const { type, items, minimum, maximum, minLength, maxLength, minItems, maxItems } = schema
  const limited = (text: string, limit: string): string =>
    limit === '' ? text : `${text}, ${limit}`
  if (type === 'array') {
    const many = bounds(minItems, maxItems)
    return limited(`list of ${typeText(items ?? {})}`, many === '' ? '' : `${many} of them`)
  }
  if (type === undefined) return 'any JSON'
  if (type === 'object') {
    const { properties, additionalProperties: more } = schema
    if (properties !== undefined || typeof more !== 'object') return 'object'
    return `object of ${typeText(more)}`
  }
  const name = Array.isArray(type) ? type.join(' or ') : String(type)
  if (type === 'string') {
    if (schema.format !== undefined) return `string, ${schema.format}`
    return limited(name, bounds(minLength, maxLength, 'characters'))
  }
  return limited(name, bounds(minimum, maximum))
}

/** The objects inside a schema that have no name of their own, by the path to them. */
function rowsOf(schema: JsonSchema, path: string): string[] {
  const { properties = {}, required = [], items, anyOf, oneOf, allOf } = schema
  const inside = [...(anyOf ?? []), ...(oneOf ?? []), ...(allOf ?? [])]
  return [
    ...Object.entries(properties).flatMap(([name, inner]) => {
      const at = path === '' ? name : `${path}.${name}`
      const must = required.includes(name) ? 'yes' : 'no'
      const meaning = (inner.description ?? '').replaceAll('|', '\\|').replaceAll('<', '&lt;')
      return [`| \`${at}\` | ${typeText(inner)} | ${must} | ${meaning} |`, ...rowsOf(inner, at)]
    }),
    ...(items === undefined ? [] : rowsOf(items, `${path}[]`)),
    ...inside.flatMap((one) => rowsOf(one, path)),
  ]
}

/** A table of what is inside a schema; nothing when it has no fields. */
export function schemaLines(schema: JsonSchema): string[] {
  const rows = rowsOf(schema, '')
  if (rows.length === 0) return []
  return ['| field | type | required | meaning |', '|---|---|---|---|', ...rows, '']
}
