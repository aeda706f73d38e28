import { maskedText } from '../kernel/index.ts'
import { isReference } from './secrets.ts'
import { isPlain, leavesOf, type Shape } from './shape.ts'

/** Who said a setting. */
export interface ConfigSource {
  readonly kind: 'flag' | 'environment' | 'profile' | 'file' | 'default'
  /** The flag, the variable, the profile, or the file; empty for a default. */
  readonly name: string
}

/** One setting that holds, as it may be shown. */
export interface ConfigEntry {
  /** With dots: `server.port`. */
  readonly key: string
  /** Plain JSON; passwords are `***`, definitions are their names. */
  readonly value: unknown
  readonly source: ConfigSource
}

interface Held {
  readonly value: unknown
  readonly shape: Shape
  readonly source: ConfigSource
}

/** Settings in layers: what is set later goes before what was set, key by key. */
export class Settings {
  readonly #held = new Map<string, Held>()

  /** Takes a value; objects are mixed in key by key, everything else takes the key's place. */
  set(value: unknown, shape: Shape, key: string, source: ConfigSource): void {
    for (const [at, leaf, of] of leavesOf(value, shape, key)) {
      // A value that was one thing may become an object now, and the other way round.
      for (const other of [...this.#held.keys()]) {
        if (other.startsWith(`${at}.`) || at.startsWith(`${other}.`)) this.#held.delete(other)
      }
      this.#held.set(at, { value: leaf, shape: of, source })
    }
  }

  /** The values under a key as one value; undefined when there are none. */
  get(key: string): unknown {
    const own = this.#held.get(key)
    if (own !== undefined) return own.value
    const prefix = key === '' ? '' : `${key}.`
    let tree: Record<string, unknown> | undefined
    for (const [at, { value }] of this.#held) {
      if (!at.startsWith(prefix)) continue
      tree ??= {}
      const parts = at.slice(prefix.length).split('.')
      let branch = tree
      for (const part of parts.slice(0, -1)) {
        branch[part] ??= {}
        branch = branch[part] as Record<string, unknown>
      }
      branch[parts.at(-1) ?? ''] = value
    }
    return tree
  }

  /** Who said the setting, or the first one below it. */
  sourceOf(key: string): ConfigSource | undefined {
    const own = this.#held.get(key)
    if (own !== undefined) return own.source
    for (const [at, { source }] of this.#held) if (at.startsWith(`${key}.`)) return source
    return undefined
  }

  /** Everything that holds, in a form that may be shown. */
  entries(): readonly ConfigEntry[] {
    return [...this.#held]
      .map(([key, { value, shape, source }]) => ({ key, value: shown(value, shape), source }))
      .sort((a, b) => (a.key < b.key ? -1 : 1))
  }
}

function shown(value: unknown, shape: Shape): unknown {
  if (shape.kind === 'code') return shape.nameOf(value)
  if (shape.kind === 'list' && Array.isArray(value)) {
    return value.map((one) => shown(one, shape.of))
  }
  if (typeof value === 'string') {
    const isSecret = shape.kind === 'text' && shape.isSecret === true
    return isSecret && !isReference(value) ? '***' : maskedText(value)
  }
  if (!isPlain(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [
      name,
      typeof one === 'string' ? maskedText(one) : one,
    ]),
  )
}
