import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Refused } from './exit-codes.ts'

/** Loads a module of the user's, JavaScript or TypeScript. Throws Refused, naming the option. */
export async function loadModule(
  file: string,
  option: string,
): Promise<Readonly<Record<string, unknown>>> {
  const path = resolve(file)
  if (!existsSync(path)) throw new Refused(`there is no file ${file}; check ${option}`)
  try {
    return await import(pathToFileURL(path).href)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Refused(`${file} cannot be loaded as a module: ${reason}`)
  }
}
