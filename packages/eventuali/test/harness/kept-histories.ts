import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../../../', import.meta.url))

/** Writes a history that was found wrong where it outlives the run; returns the file's name. */
export function keepHistory(name: string, history: unknown): string {
  const folder = join(root, '.tmp', 'histories')
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${name}.json`)
  writeFileSync(file, JSON.stringify(history))
  return relative(process.cwd(), file)
}
