import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/**
 * An optional package, loaded in the middle of synchronous work, such as the reading of a row;
 * undefined when it is not installed. Throws when it is there and fails to load.
 */
export function loadPeer<T>(name: string): T | undefined {
  try {
    return require(name) as T
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown }
    // What a package itself misses is its own failure, not its absence.
    if (code === 'MODULE_NOT_FOUND' && String(message).includes(`'${name}'`)) return undefined
    throw error
  }
}
