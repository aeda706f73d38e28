import { InvalidArgumentError } from 'commander'
import type { RecordedEvent } from 'eventuali'

/**
 * Conditions on events, for `--where`:
 *
 * ```
 * condition = ["!"] path | path operator value
 * path      = root { "." name | "." "*" | "[" index "]" | "[" "*" "]" | "[" string "]" }
 * root      = "data" | "metadata" | one of the other properties of an event
 * operator  = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~"
 * ```
 *
 * A value that reads as JSON is meant as JSON (30 is a number, "30" a text, null, true, [1,2]);
 * anything else is a text as it stands. `*` stands for any element or property: one that fits is
 * enough. `!=` is met by whatever does not meet `=`, also where there is nothing at the path; the
 * others never are. `<` and its like compare numbers with numbers and texts with texts, by code
 * unit, so that times of ISO 8601 come in order. `~` asks whether a text contains another, or a
 * list an element. A path alone asks whether there is something, `!path` whether there is nothing.
 */
export type Condition = (event: RecordedEvent) => boolean

const WILDCARD: unique symbol = Symbol('*')
type Segment = string | number | typeof WILDCARD

const roots: ReadonlySet<string> = new Set([
  ...['data', 'metadata', 'id', 'stream', 'version', 'position', 'type', 'time'],
  ...['recordedAt', 'schemaVersion', 'tags'],
])
const operators = ['!=', '<=', '>=', '=', '<', '>', '~'] as const
type Operator = (typeof operators)[number]

const LENGTH_MAX = 10_000
const DEPTH_MAX = 100
/** Elements that wildcards of one path may look at in one event. */
const VISIT_COUNT_MAX = 100_000

const NAME = /[^.[\]=!<>~\s"]+/y
const INDEX = /\[(\d+)\]/y
const ANY_INDEX = /\[\*\]/y
const QUOTED = /\[("(?:[^"\\]|\\.)*")\]/y

function refused(text: string, at: number, why: string): InvalidArgumentError {
  return new InvalidArgumentError(
    `At character ${at + 1} of ${JSON.stringify(text.slice(0, 200))}: ${why}. For example data.customer=ada, metadata.actor!=x, data.total>=30, data.items[*].sku~tea.`,
  )
}

/** Reads a path from the beginning of a text (after `from`); gives where it ends. */
function readPath(text: string, from: number): { readonly path: Segment[]; readonly end: number } {
  const path: Segment[] = []
  let at = from
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(text)
    if (found === null) return undefined
    at = pattern.lastIndex
    return found[1] ?? found[0]
  }
  const root = take(NAME)
  if (root === undefined || !roots.has(root)) {
    throw refused(text, from, `a path begins with one of ${[...roots].join(', ')}`)
  }
  path.push(root)
  while (at < text.length) {
    if (path.length > DEPTH_MAX) throw refused(text, at, `a path has at most ${DEPTH_MAX} parts`)
    if (text[at] === '.') {
      at++
      const name = take(NAME)
      if (name === undefined) throw refused(text, at, 'a name is missing after the dot')
      path.push(name === '*' ? WILDCARD : name)
    } else if (text[at] === '[') {
      path.push(readBracket(text, at, take))
    } else break
  }
  return { path, end: at }
}

function readBracket(
  text: string,
  at: number,
  take: (pattern: RegExp) => string | undefined,
): Segment {
  if (take(ANY_INDEX) !== undefined) return WILDCARD
  const index = take(INDEX)
  if (index !== undefined) return Number(index)
  const quoted = take(QUOTED)
  if (quoted === undefined) throw refused(text, at, 'brackets hold an index, * or a name in "…"')
  try {
    return JSON.parse(quoted) as string
  } catch {
    throw refused(text, at, 'the name in quotes is no JSON text')
  }
}

/** JSON where it reads as JSON, the text as it stands otherwise. */
function readValue(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Reads one condition. Throws InvalidArgumentError that says where and what is wrong. */
export function condition(text: string): Condition {
  if (text.length > LENGTH_MAX) throw refused(text, LENGTH_MAX, 'it is too long')
  const leading = /^\s*/.exec(text)?.[0].length ?? 0
  const negated = text[leading] === '!'
  const { path, end } = readPath(text, leading + (negated ? 1 : 0))
  const rest = text.slice(end).trimStart()
  if (rest === '') return (event) => exists(event, path) !== negated
  if (negated) throw refused(text, leading, '! stands before a path alone; use != to compare')
  const operator = operators.find((one) => rest.startsWith(one))
  if (operator === undefined) {
    throw refused(text, end, `one of ${operators.join(' ')} has to stand here`)
  }
  const wanted = readValue(rest.slice(operator.length).trim())
  const meets = comparison(operator === '!=' ? '=' : operator, wanted)
  const any: Condition = (event) => valuesAt(event, path).some(meets)
  return operator === '!=' ? (event) => !any(event) : any
}

/** Collects conditions from an option that may be repeated: all have to be met. */
export function conditions(
  text: string,
  before: readonly Condition[] | undefined,
): readonly Condition[] {
  return [...(before ?? []), condition(text)]
}

function exists(event: RecordedEvent, path: readonly Segment[]): boolean {
  return valuesAt(event, path).length > 0
}

function comparison(operator: Operator, wanted: unknown): (found: unknown) => boolean {
  switch (operator) {
    case '=':
      return (found) => isSame(found, wanted)
    case '~':
      return (found) => contains(found, wanted)
    default:
      return (found) => inOrder(operator, found, wanted)
  }
}

function inOrder(operator: Operator, found: unknown, wanted: unknown): boolean {
  const bothNumbers = typeof found === 'number' && typeof wanted === 'number'
  if (!bothNumbers && (typeof found !== 'string' || typeof wanted !== 'string')) return false
  if (operator === '<') return found < wanted
  if (operator === '<=') return found <= wanted
  return operator === '>' ? found > wanted : found >= wanted
}

function contains(found: unknown, wanted: unknown): boolean {
  if (typeof found === 'string') {
    return found.includes(typeof wanted === 'string' ? wanted : JSON.stringify(wanted))
  }
  return Array.isArray(found) && found.some((element) => isSame(element, wanted))
}

/** Equal as JSON: the order of properties does not matter. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const [left, right] = [Object.entries(a), Object.entries(b)]
  if (left.length !== right.length) return false
  return left.every(
    ([name, value]) =>
      Object.hasOwn(b, name) && isSame(value, (b as Readonly<Record<string, unknown>>)[name]),
  )
}

/** What stands at a path of an event; with wildcards it may be many. */
function valuesAt(event: RecordedEvent, path: readonly Segment[]): readonly unknown[] {
  let values: unknown[] = [event]
  for (const segment of path) {
    const next: unknown[] = []
    for (const value of values) {
      if (next.length > VISIT_COUNT_MAX) break
      next.push(...step(value, segment))
    }
    values = next
  }
  return values
}

function step(value: unknown, segment: Segment): readonly unknown[] {
  if (typeof value !== 'object' || value === null) return []
  if (segment === WILDCARD) return Object.values(value).map(plain)
  if (Array.isArray(value) !== (typeof segment === 'number')) return []
  if (!Object.hasOwn(value, segment)) return []
  const found = (value as Readonly<Record<string | number, unknown>>)[segment]
  return found === undefined ? [] : [plain(found)]
}

/** Times of events are compared in the words in which they are shown. */
const plain = (value: unknown): unknown => (value instanceof Date ? value.toISOString() : value)
