import { canonicalText, type JsonSchema } from './json-schema.ts'
import {
  alternativesOf,
  asSchema,
  isOfType,
  keywordsOf,
  listedValues,
  type Placed,
  requiredOf,
  typeOf,
  typeText,
} from './schema-shape.ts'

/** A way in which data that one schema allows is not what another one says. */
export interface Narrowing {
  /** `data.total`, `data.items[].price` */
  readonly path: string
  readonly reason: string
  /** False where schemas alone cannot tell, as with two patterns. */
  readonly certain: boolean
}

interface Walk {
  readonly path: string
  /** Pairs that are being compared above: a schema may refer to itself. */
  readonly open: ReadonlySet<string>
}

/**
 * What data written by `from` may have that a reader of `to` does not expect; empty when all of it
 * is expected. Fields that the reader does not know do not count: it never sees them.
 *
 * @example
 * ```ts
 * import { narrowings } from 'eventuali'
 *
 * const [found] = narrowings({ type: 'number' }, { type: 'integer' })
 * console.log(found?.reason) // may be number, and the reader expects integer
 * ```
 */
export function narrowings(from: JsonSchema, to: JsonSchema): readonly Narrowing[] {
  const walk = { path: 'data', open: new Set<string>() }
  return unique(narrow({ schema: from, root: from }, { schema: to, root: to }, walk))
}

function unique(found: readonly Narrowing[]): readonly Narrowing[] {
  const seen = new Map<string, Narrowing>()
  for (const one of found) {
    const key = `${one.path}\n${one.reason}`
    const known = seen.get(key)
    if (known === undefined || (one.certain && !known.certain)) seen.set(key, one)
  }
  return [...seen.values()]
}

const identities = new WeakMap<object, number>()
let identityCount = 0

function identityOf(schema: JsonSchema): number {
  let identity = identities.get(schema)
  if (identity === undefined) {
    identity = identityCount++
    identities.set(schema, identity)
  }
  return identity
}

function narrow(from: Placed, to: Placed, { path, open }: Walk): readonly Narrowing[] {
  const pair = `${identityOf(from.schema)}>${identityOf(to.schema)}`
  if (open.has(pair)) return []
  const walk = { path, open: new Set([...open, pair]) }
  const tos = alternativesOf(to)
  return alternativesOf(from)
    .filter(({ schema }) => !isNothing(schema))
    .flatMap((alternative) => bestOf(alternative, tos, walk))
}

/** One alternative of the data against all of the reader's: how it fits the one it fits best. */
function bestOf(from: Placed, tos: readonly Placed[], walk: Walk): readonly Narrowing[] {
  let best: readonly Narrowing[] | undefined
  let candidates = 0
  for (const to of tos) {
    if (overlaps(from.schema, to.schema)) candidates++
    const found = one(from, to, walk)
    if (found.length === 0) return []
    if (best === undefined || weight(found) < weight(best)) best = found
  }
  if (best === undefined) return [wrongType(from, [], walk)]
  if (candidates === 0) return [wrongType(from, tos, walk)]
  // Several could cover it together, as two ranges do.
  const together = candidates > 1 && from.schema.type !== 'object'
  return together ? best.map((narrowing) => ({ ...narrowing, certain: false })) : best
}

function weight(found: readonly Narrowing[]): number {
  return found.reduce((sum, { certain }) => sum + (certain ? 1000 : 1), 0)
}

function wrongType(from: Placed, tos: readonly Placed[], { path }: Walk): Narrowing {
  const textOf = (all: readonly Placed[]) => all.map((one) => typeText(one)).join(' | ')
  // TypeScript has one word for integers and numbers.
  const ruleOf = (all: readonly Placed[]) => all.map(({ schema }) => typeOf(schema)).join(' | ')
  const [has, takes] = [textOf([from]), textOf(tos)]
  const reason =
    has === takes
      ? `may be ${ruleOf([from])}, and the reader expects ${ruleOf(tos)}`
      : `may be ${has}, and the reader expects ${takes || 'nothing'}`
  return { path, reason, certain: true }
}

function overlaps(from: JsonSchema, to: JsonSchema): boolean {
  const [a, b] = [typeOf(from), typeOf(to)]
  const isNumber = (type: string | undefined) => type === 'integer' || type === 'number'
  return a === undefined || b === undefined || a === b || (isNumber(a) && isNumber(b))
}

/** Two schemas of one alternative each. */
function one(from: Placed, to: Placed, walk: Walk): readonly Narrowing[] {
  if (keywordsOf(to.schema).length === 0) return []
  const values = listedValues(from.schema)
  if (values !== undefined) return narrowValues(values, from, to, walk)
  const listed = listedValues(to.schema)
  const type = typeOf(from.schema)
  const wanted = typeOf(to.schema)
  if (listed !== undefined || !isWithin(type, wanted)) {
    return [wrongType(from, [to], walk)]
  }
  return [
    ...unclear(from, to, walk),
    ...bounds(from.schema, to.schema, walk),
    ...texts(from.schema, to.schema, walk),
    ...(type === 'object' ? objects(from, to, walk) : []),
    ...(type === 'array' ? arrays(from, to, walk) : []),
  ]
}

function isWithin(type: string | undefined, wanted: string | undefined): boolean {
  return wanted === undefined || type === wanted || (type === 'integer' && wanted === 'number')
}

function narrowValues(
  values: readonly unknown[],
  from: Placed,
  to: Placed,
  walk: Walk,
): readonly Narrowing[] {
  const listed = listedValues(to.schema)?.map(canonicalText)
  const wanted = typeOf(to.schema)
  const lost = values.filter((value) =>
    listed === undefined ? !isOfType(value, wanted) : !listed.includes(canonicalText(value)),
  )
  if (lost.length > 0) {
    const text = lost.map((value) => JSON.stringify(value)).join(' | ')
    const reason = `may be ${text}, and the reader expects ${typeText(to)}`
    return [{ path: walk.path, reason, certain: true }]
  }
  if (listed !== undefined) return []
  const said = keywordsOf(to.schema).filter((word) => word !== 'type')
  if (said.length === 0) return []
  const reason = `may be ${typeText(from)}, and the reader asks for more (${said.join(', ')})`
  return [{ path: walk.path, reason, certain: false }]
}

const compared: ReadonlySet<string> = new Set([
  ...['type', 'const', 'enum', 'properties', 'required', 'additionalProperties', 'items'],
  ...['prefixItems', 'minimum', 'exclusiveMinimum', 'maximum', 'exclusiveMaximum', 'multipleOf'],
  ...['minLength', 'maxLength', 'minItems', 'maxItems', 'minProperties', 'maxProperties'],
  ...['uniqueItems', 'pattern', 'format'],
])

/** Keywords that this comparison does not look into: the same on both sides, or unclear. */
function unclear(from: Placed, to: Placed, { path }: Walk): readonly Narrowing[] {
  return keywordsOf(to.schema)
    .filter((word) => !compared.has(word))
    .filter((word) => canonicalText(to.schema[word]) !== canonicalText(from.schema[word] ?? null))
    .filter((word) => word !== 'propertyNames' || !isAnyName(to.schema[word]))
    .map((word) => ({ path, reason: `"${word}" of the reader differs`, certain: false }))
}

function isAnyName(names: unknown): boolean {
  return canonicalText(names) === '{"type":"string"}'
}

const lowest: readonly (readonly [string, string])[] = [
  ['minLength', 'characters'],
  ['minItems', 'items'],
  ['minProperties', 'fields'],
]
const highest: readonly (readonly [string, string])[] = [
  ['maxLength', 'characters'],
  ['maxItems', 'items'],
  ['maxProperties', 'fields'],
]

function bounds(from: JsonSchema, to: JsonSchema, { path }: Walk): readonly Narrowing[] {
  const found: Narrowing[] = []
  const add = (reason: string, certain = true) => found.push({ path, reason, certain })
  for (const [word, what] of lowest) {
    const [has = 0, wants = 0] = [from[word], to[word]] as readonly (number | undefined)[]
    if (has < wants) add(`may have ${has} ${what}, and the reader expects ${wants} or more`)
  }
  for (const [word, what] of highest) {
    const [has, wants] = [from[word], to[word]] as readonly (number | undefined)[]
    if (wants !== undefined && (has === undefined || has > wants)) {
      add(`may have ${has ?? 'any number of'} ${what}, and the reader expects ${wants} at most`)
    }
  }
  if (isBelow(lower(from), lower(to)))
    add(`may be less than the reader expects: ${said(lower(to))}`)
  if (isBelow(upper(from), upper(to)))
    add(`may be more than the reader expects: ${said(upper(to))}`)
  const [step, wanted] = [from.multipleOf, to.multipleOf] as readonly (number | undefined)[]
  if (wanted !== undefined && wanted !== step) {
    const fits = step !== undefined && Number.isInteger(step / wanted)
    if (!fits) add(`may be other than a multiple of ${wanted}`, step === undefined)
  }
  if (to.uniqueItems === true && from.uniqueItems !== true) add('may have equal items')
  return found
}

interface Limit {
  /** Of an upper one the negative, so that a greater value is always the stricter one. */
  readonly value: number
  readonly open: boolean
  readonly sign: 1 | -1
}

/** Beyond the safe integers libraries write a bound that nobody asked for. */
function limit(inclusive: unknown, exclusive: unknown, sign: 1 | -1): Limit {
  const bounded = (value: unknown) =>
    typeof value === 'number' && Math.abs(value) < Number.MAX_SAFE_INTEGER
      ? sign * value
      : Number.NEGATIVE_INFINITY
  const [closed, open] = [bounded(inclusive), bounded(exclusive)]
  return open >= closed && open > Number.NEGATIVE_INFINITY
    ? { value: open, open: true, sign }
    : { value: closed, open: false, sign }
}

const lower = (schema: JsonSchema) => limit(schema.minimum, schema.exclusiveMinimum, 1)
const upper = (schema: JsonSchema) => limit(schema.maximum, schema.exclusiveMaximum, -1)

function isBelow(from: Limit, to: Limit): boolean {
  return from.value < to.value || (from.value === to.value && to.open && !from.open)
}

function said({ value, open, sign }: Limit): string {
  return `${sign === 1 ? '>' : '<'}${open ? '' : '='} ${sign * value}`
}

function texts(from: JsonSchema, to: JsonSchema, { path }: Walk): readonly Narrowing[] {
  return ['pattern', 'format']
    .filter((word) => to[word] !== undefined && to[word] !== from[word])
    .map((word) => {
      const reason = `may be text of another ${word} than the reader expects: ${String(to[word])}`
      const said = from.pattern !== undefined || from.format !== undefined
      return { path, reason, certain: !said }
    })
}

function objects(from: Placed, to: Placed, walk: Walk): readonly Narrowing[] {
  const found: Narrowing[] = []
  const has = (from.schema.properties ?? {}) as JsonSchema
  const wants = (to.schema.properties ?? {}) as JsonSchema
  const always = new Set(requiredOf(from.schema))
  const needed = new Set(requiredOf(to.schema))
  const others = (schema: JsonSchema) =>
    typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined
  const step = (key: string, a: unknown, b: unknown) =>
    narrow(
      { schema: asSchema(a), root: from.root },
      { schema: asSchema(b), root: to.root },
      { ...walk, path: `${walk.path}.${key}` },
    )
  for (const key of new Set([...Object.keys(wants), ...needed])) {
    const own = Object.hasOwn(has, key) ? has[key] : others(from.schema)
    if (needed.has(key) && !always.has(key)) {
      const reason = 'may be missing, and the reader needs it'
      found.push({ path: `${walk.path}.${key}`, reason, certain: true })
    }
    if (own !== undefined && Object.hasOwn(wants, key)) found.push(...step(key, own, wants[key]))
  }
  const rest = others(to.schema)
  if (rest === undefined) return found
  for (const key of Object.keys(has)) {
    if (!Object.hasOwn(wants, key)) found.push(...step(key, has[key], rest))
  }
  const more = others(from.schema)
  return more === undefined ? found : [...found, ...step('*', more, rest)]
}

function arrays(from: Placed, to: Placed, walk: Walk): readonly Narrowing[] {
  const [has, wants] = [prefix(from), prefix(to)]
  const found: Narrowing[] = []
  for (let at = 0; at < Math.max(has.length, wants.length); at++) {
    const a = { schema: asSchema(has[at] ?? from.schema.items), root: from.root }
    const b = { schema: asSchema(wants[at] ?? to.schema.items), root: to.root }
    if (isNothing(a.schema)) continue
    found.push(...narrow(a, b, { ...walk, path: `${walk.path}[${at}]` }))
  }
  const rest = { schema: asSchema(from.schema.items), root: from.root }
  if (isNothing(rest.schema) || from.schema.maxItems === has.length) return found
  const wanted = { schema: asSchema(to.schema.items), root: to.root }
  return [...found, ...narrow(rest, wanted, { ...walk, path: `${walk.path}[]` })]
}

function prefix({ schema }: Placed): readonly unknown[] {
  return Array.isArray(schema.prefixItems) ? schema.prefixItems : []
}

function isNothing(schema: JsonSchema): boolean {
  return canonicalText(schema) === '{"not":{}}'
}
