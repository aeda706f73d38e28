import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { SecretMissingError } from '../model/index.ts'
import { isPlain } from './shape.ts'

const REFERENCE = /\$\{((?:env|file):[^{}]+)\}/g
/** Bytes that a secret in a file may have: more is the wrong file. */
const SECRET_BYTES_MAX = 64 * 1024

/** Where secrets are looked up. */
export interface SecretSource {
  readonly env: Readonly<Record<string, string | undefined>>
  /** What relative files are relative to. */
  readonly folder: string
}

function lookUp(reference: string, key: string, { env, folder }: SecretSource): string {
  const colon = reference.indexOf(':')
  const name = reference.slice(colon + 1)
  if (reference.startsWith('env:')) {
    const value = env[name]
    if (value === undefined || value === '') {
      throw new SecretMissingError(key, reference, `is not set; set the variable ${name}`)
    }
    return value
  }
  const file = resolve(folder, name)
  try {
    if (statSync(file).size > SECRET_BYTES_MAX) {
      throw new Error(`is larger than ${SECRET_BYTES_MAX} bytes`)
    }
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new SecretMissingError(key, reference, `cannot be read: ${reason}`, { cause })
  }
}

/** Whether a text is nothing but a reference. */
export function isReference(text: string): boolean {
  return text.replace(REFERENCE, '') === '' && text !== ''
}

/** The references in a value, however deep. */
export function referencesIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [...value.matchAll(REFERENCE)].map(([, one]) => one ?? '')
  if (Array.isArray(value)) return value.flatMap(referencesIn)
  return isPlain(value) ? Object.values(value).flatMap(referencesIn) : []
}

/**
 * The value with its secrets in place of the references. Inside of a url a secret is
 * percent-encoded, so that a password may hold any character. Throws SecretMissingError.
 */
export function withSecrets<T>(value: T, key: string, source: SecretSource): T
export function withSecrets(value: unknown, key: string, source: SecretSource): unknown {
  if (typeof value === 'string') {
    const isUrl = !isReference(value) && /^[a-z][a-z0-9+.-]*:\/\//i.test(value)
    return value.replace(REFERENCE, (_all, reference: string) => {
      const found = lookUp(reference, key, source)
      return isUrl ? encodeURIComponent(found) : found
    })
  }
  if (Array.isArray(value)) return value.map((one, at) => withSecrets(one, `${key}[${at}]`, source))
  if (!isPlain(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, withSecrets(one, `${key}.${name}`, source)]),
  )
}
