import type { Clock, IdSource, Random } from '../kernel/index.ts'
import { StoreUrlError } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import type { OpenStoreSettings } from './open-options.ts'

interface Sources {
  readonly clock: Clock
  readonly random: Random
  readonly ids: IdSource
}

/** Opens the adapter that serves the url's scheme. Each is loaded only when it is asked for. */
export async function openAdapter(
  url: string,
  settings: OpenStoreSettings,
  sources: Sources,
): Promise<EventStore> {
  if (typeof url !== 'string') throw new StoreUrlError(String(url), 'is not a string')
  const colon = url.indexOf(':')
  switch (colon === -1 ? '' : url.slice(0, colon)) {
    case 'memory': {
      if (url !== 'memory:') throw new StoreUrlError(url, 'has a name, which memory: does not take')
      const { openMemoryStore } = await import('../stores/memory/index.ts')
      return openMemoryStore({ ...sources, codec: settings.codec })
    }
    case 'sqlite': {
      const file = url.slice('sqlite:'.length)
      if (file === '') throw new StoreUrlError(url, 'names no file')
      const { openSqliteStore } = await import('../stores/sqlite/index.ts')
      return openSqliteStore({ ...settings, ...sources, file })
    }
    case 'postgres':
    case 'postgresql': {
      const { openPostgresStore } = await import('../stores/postgres/index.ts')
      return openPostgresStore({ ...settings, ...sources, ...withSchema(url, settings.schema) })
    }
    case 'http':
    case 'https': {
      const { openHttpStore } = await import('../stores/http/index.ts')
      const { token, fetch, readOnly, timeoutMs } = settings
      return openHttpStore({ url, token, fetch, readOnly, timeoutMs, ...sources })
    }
    default:
      throw new StoreUrlError(url, 'has no scheme that a store serves')
  }
}

/** `?schema=NAME` in a url says the same as the option, for those who have nothing but a url. */
export function withSchema(
  url: string,
  schema: string | undefined,
): { readonly url: string; readonly schema: string | undefined } {
  const at = url.indexOf('?')
  if (at === -1) return { url, schema }
  const parameters = new URLSearchParams(url.slice(at + 1))
  const named = parameters.get('schema') ?? undefined
  if (named === undefined) return { url, schema }
  if (schema !== undefined && schema !== named) {
    throw new StoreUrlError(url, `names the schema ${named}, and the option ${schema}`)
  }
  parameters.delete('schema')
  const rest = parameters.size === 0 ? '' : `?${parameters}`
  return { url: `${url.slice(0, at)}${rest}`, schema: named }
}
