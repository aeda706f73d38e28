import { isPlain, joined, type Misfit, misfits, type Shape } from './shape.ts'

const PREFIX = 'EVENTUALI_'

/** Variables that are read before, or elsewhere, and say nothing about a setting. */
const others: ReadonlySet<string> = new Set(['PROFILE', 'CONFIG', 'TOKEN'])

/** One setting that a variable says. */
export interface Said {
  readonly key: string
  readonly value: unknown
  readonly name: string
}

/** What the environment says. */
export interface EnvironmentSettings {
  readonly said: readonly Said[]
  readonly misfits: readonly (Misfit & { readonly name: string })[]
  /** Variables with our prefix that set nothing. */
  readonly unknown: readonly string[]
}

/** `timeoutMs` is `TIMEOUT_MS`, `read-side` is `READ_SIDE`. */
function upper(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toUpperCase()
}

/**
 * The name of the variable that says a setting: `server.port` is `EVENTUALI_SERVER_PORT`. The url
 * of a named store is `EVENTUALI_STORES_NAME`.
 */
export function variableFor(key: string): string {
  return PREFIX + key.split('.').map(upper).join('_')
}

function parsed(text: string, shape: Shape): unknown {
  const shapes = shape.kind === 'either' ? shape.of : [shape]
  const has = (kind: Shape['kind']) => shapes.some((one) => one.kind === kind)
  if ((has('boolean') || has('false')) && /^(true|false)$/i.test(text)) {
    return text.toLowerCase() === 'true'
  }
  if (has('number') && /^\d+$/.test(text)) return Number(text)
  if (has('list')) return text.split(',').map((one) => one.trim())
  return text
}

/** Settings that a variable can say, by its name without the prefix. */
function settable(shape: Shape, key: string, found: Map<string, [string, Shape]>): void {
  if (shape.kind === 'group') {
    for (const [name, one] of Object.entries(shape.keys)) settable(one, joined(key, name), found)
    return
  }
  const branches = shape.kind === 'either' ? shape.of : [shape]
  // What a store is opened with stands in `open`; a variable for the store itself is its url.
  if (key !== 'store') {
    for (const one of branches) if (one.kind === 'group') settable(one, key, found)
  }
  const isText = (one: Shape): boolean =>
    ['text', 'number', 'boolean', 'false'].includes(one.kind) ||
    (one.kind === 'list' && isText(one.of)) ||
    (one.kind === 'either' && one.of.some(isText))
  if (isText(shape)) found.set(variableFor(key).slice(PREFIX.length), [key, shape])
}

/** Reads the variables that begin with `EVENTUALI_`. `stores` are the names that are known. */
export function environmentSettings(
  env: Readonly<Record<string, string | undefined>>,
  shape: Shape,
  stores: Readonly<Record<string, unknown>>,
): EnvironmentSettings {
  const table = new Map<string, [string, Shape]>()
  settable(shape, '', table)
  const said: Said[] = []
  const wrong: (Misfit & { name: string })[] = []
  const unknown: string[] = []
  for (const name of Object.keys(env)
    .filter((one) => one.startsWith(PREFIX))
    .sort()) {
    const text = env[name]
    const rest = name.slice(PREFIX.length)
    if (text === undefined || text === '' || others.has(rest)) continue
    const found = table.get(rest) ?? storeOf(rest, stores)
    if (found === undefined) {
      unknown.push(name)
      continue
    }
    const [key, of] = found
    const value = parsed(text, of)
    const faults = misfits(value, of, key)
    if (faults.length === 0) said.push({ key, value, name })
    else wrong.push(...faults.map((fault) => ({ ...fault, name })))
  }
  return { said, misfits: wrong, unknown }
}

function storeOf(
  rest: string,
  stores: Readonly<Record<string, unknown>>,
): [string, Shape] | undefined {
  const given = /^STORES_([A-Z][A-Z0-9_]*)$/.exec(rest)?.[1]
  if (given === undefined) return undefined
  const known = Object.keys(stores).find((one) => upper(one) === given)
  const key = `stores.${known ?? given.toLowerCase()}`
  // The other settings of the store stay as they are.
  const inner = known !== undefined && isPlain(stores[known]) ? `${key}.url` : key
  return [inner, { kind: 'text' }]
}
