import { existsSync } from 'node:fs'

const [, root, extension] = /^(.*\/(?:src|dist|bundle)\/).*\.([jt]s)$/.exec(import.meta.url) ?? []

/**
 * The file of a thread's program, by its path below this folder; undefined where a bundler has
 * taken the library's code into a file of its own and left the program behind.
 */
export function threadProgram(path: string): URL | undefined {
  if (root === undefined) return undefined
  const program = new URL(`pipelines/${path}.${extension}`, root)
  return program.protocol === 'file:' && existsSync(program) ? program : undefined
}
