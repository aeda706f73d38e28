import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Gives a file that is complete its name, on disk and never over another one: false when there is
 * one. A crash leaves it under one of the two names.
 */
export function publishFile(unfinished: string, file: string): boolean {
  sync(unfinished)
  try {
    linkSync(unfinished, file)
  } catch (error) {
    const { code } = error as { code?: unknown }
    if (code === 'EEXIST' || existsSync(file)) return false
    // A file system without links.
    renameSync(unfinished, file)
  }
  rmSync(unfinished, { force: true })
  sync(dirname(file))
  return true
}

function sync(path: string): void {
  const handle = openSync(path, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
