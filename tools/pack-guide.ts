import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const targetIn = (root: string): string => join(root, 'packages/cli/guide')

/**
 * Copies the guide and the page of errors into the package of the command line, where `docs` finds
 * them offline. Run by npm before it packs.
 *
 * @example
 * ```ts
 * packGuide(process.cwd())
 * ```
 */
export function packGuide(root: string): void {
  const target = targetIn(root)
  rmSync(target, { recursive: true, force: true })
  cpSync(join(root, 'docs/guide'), target, { recursive: true })
  cpSync(join(root, 'docs/errors.md'), join(target, 'errors.md'))
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..')
  // In the workspace the guide itself is read; a copy would grow old.
  if (process.argv[2] === '--remove') rmSync(targetIn(root), { recursive: true, force: true })
  else packGuide(root)
}
