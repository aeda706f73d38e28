import { existsSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { importModule } from '../kernel/index.ts'
import { ConfigFileError } from '../model/index.ts'
import { isPlain } from './shape.ts'

/** Names of the file, the first that is there. */
const names = ['ts', 'mts', 'js', 'mjs'].map((ending) => `eventuali.config.${ending}`)

/** The configuration in a folder or in one above it, the nearest first. */
export function findFile(folder: string, userId: number | undefined): string | undefined {
  for (let at = resolve(folder); ; at = dirname(at)) {
    for (const name of names) {
      const file = join(at, name)
      if (!existsSync(file)) continue
      assertOwner(file, userId)
      return file
    }
    if (dirname(at) === at) return undefined
  }
}

/** A file that is found, not named, is code that someone else may have left in the way. */
function assertOwner(file: string, userId: number | undefined): void {
  if (userId === undefined || userId === 0) return
  const { uid } = statSync(file)
  if (uid === userId || uid === 0) return
  throw new ConfigFileError(
    file,
    'belongs to another user, and is not run for that; name it with --config or EVENTUALI_CONFIG, or leave it out with --no-config',
  )
}

/** What the file exports. Throws ConfigFileError. */
export async function readFile(file: string): Promise<Readonly<Record<string, unknown>>> {
  if (!existsSync(file)) {
    throw new ConfigFileError(file, 'is not there; check --config or EVENTUALI_CONFIG')
  }
  let exported: Readonly<Record<string, unknown>>
  try {
    exported = await importModule(pathToFileURL(file).href)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new ConfigFileError(file, `cannot be loaded: ${reason}`, { cause })
  }
  // Frozen by nobody: what the file holds may be a module's namespace or anything else.
  if (isPlain(exported.default)) return exported.default
  throw new ConfigFileError(
    file,
    'has no object as its default export; write: export default defineConfig({ … })',
  )
}
