import type { Json } from '../../model/index.ts'
import { timeOf } from '../timestamp.ts'

/** The types of XES attributes. */
export const attributeTypes: readonly string[] = [
  ...['string', 'date', 'int', 'float', 'boolean', 'id', 'list'],
]

/** An attribute of XES: a typed value under a key, with attributes of its own. */
export interface XesAttribute {
  readonly type: string
  readonly key: string
  /** As the file has it; empty for a list. */
  readonly value: string
  readonly children: readonly XesAttribute[]
}

/** Types that JSON alone would not give back, by the path of their attribute. */
export type TypeNotes = Record<string, string>

type JsonObject = { [key: string]: Json }

/** Stands for the value of an attribute that has attributes of its own. */
const VALUE = '#value'
const INTEGER = /^[+-]?\d+$/
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/

/** Why the value of an attribute is none of its type; undefined when it is one. */
export function valueProblem({ type, key, value }: XesAttribute): string | undefined {
  const isRight =
    (type !== 'int' || INTEGER.test(value.trim())) &&
    (type !== 'float' || NUMBER.test(value.trim()) || /^(-?INF|NaN)$/.test(value.trim())) &&
    (type !== 'boolean' || /^(true|false|0|1)$/.test(value.trim()))
  return isRight ? undefined : `the attribute ${key} is no ${type}: ${JSON.stringify(value)}`
}

/** Attributes as a JSON object; what their types were is noted where JSON does not tell. */
export function jsonOf(
  attributes: readonly XesAttribute[],
  notes: TypeNotes,
  path = '',
): JsonObject {
  return Object.fromEntries(
    attributes.map((attribute) => [attribute.key, jsonValue(attribute, notes, path)]),
  )
}

function jsonValue(attribute: XesAttribute, notes: TypeNotes, before: string): Json {
  const { type, key, children } = attribute
  const path = before === '' ? key : `${before}/${key}`
  if (type === 'list') return listOf(children, notes, path)
  const value = scalarOf(attribute)
  if (naturalType(value) !== type) notes[path] = type
  return children.length === 0 ? value : { [VALUE]: value, ...jsonOf(children, notes, path) }
}

/** A list whose keys count is an array, one with different keys an object. */
function listOf(children: readonly XesAttribute[], notes: TypeNotes, path: string): Json {
  const isCounted = children.every(({ key }, n) => key === String(n))
  if (isCounted) return children.map((child) => jsonValue(child, notes, path))
  const keys = new Set(children.map(({ key }) => key))
  if (keys.size === children.length) return jsonOf(children, notes, path)
  return children.map((child, n) => jsonOf([child], notes, `${path}/${n}`))
}

function scalarOf({ type, value }: XesAttribute): string | number | boolean {
  const text = value.trim()
  if (type === 'boolean') return text === 'true' || text === '1'
  if (type !== 'int' && type !== 'float') return value
  const number = Number(text)
  const isExact = type === 'int' ? Number.isSafeInteger(number) : Number.isFinite(number)
  // Too large to be exact, or not a number at all: the text is kept, and its type is noted.
  return isExact ? number : text
}

function naturalType(value: string | number | boolean): string {
  if (typeof value === 'boolean') return 'boolean'
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'int' : 'float'
  return timeOf(value) === undefined ? 'string' : 'date'
}

/** JSON as attributes, as far as XES can say it. */
export function attributesOf(
  value: JsonObject,
  notes: Readonly<TypeNotes>,
  path = '',
): XesAttribute[] {
  return Object.entries(value).flatMap(([key, child]) => attributeOf(key, child, notes, path))
}

function attributeOf(
  key: string,
  value: Json,
  notes: Readonly<TypeNotes>,
  before: string,
): XesAttribute[] {
  const path = before === '' ? key : `${before}/${key}`
  // XES has neither null nor attributes without a key.
  if (value === null || value === undefined || key === '') return []
  if (Array.isArray(value)) {
    const children = value.flatMap((one, n) => attributeOf(String(n), one, notes, path))
    return [{ type: 'list', key, value: '', children }]
  }
  if (typeof value !== 'object') return [scalarAttribute(key, value, notes[path])]
  const { [VALUE]: own, ...others } = value as JsonObject
  const children = attributesOf(others, notes, path)
  if (typeof own === 'string' || typeof own === 'number' || typeof own === 'boolean') {
    return [{ ...scalarAttribute(key, own, notes[path]), children }]
  }
  return [{ type: 'list', key, value: '', children }]
}

function scalarAttribute(
  key: string,
  value: string | number | boolean,
  noted: string | undefined,
): XesAttribute {
  const type = noted ?? naturalType(value)
  return { type, key, value: String(value), children: [] }
}
