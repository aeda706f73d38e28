import { existsSync } from 'node:fs'
import { mkdir, rm, rmdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Refused } from './exit-codes.ts'

/** What a command has made so far, to be taken back when it does not come to its end. */
export class Created {
  readonly #files: string[] = []
  readonly #folders: string[] = []

  /** Makes a folder with those above it. */
  async folder(path: string): Promise<void> {
    const missing: string[] = []
    for (let at = path; !existsSync(at); at = dirname(at)) missing.push(at)
    for (const one of missing.toReversed()) {
      await mkdir(one)
      this.#folders.push(one)
    }
  }

  /** Writes a file that is not there. Throws Refused when it is. */
  async file(path: string, content: string): Promise<void> {
    await this.folder(dirname(path))
    try {
      await writeFile(path, content, { flag: 'wx' })
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'EEXIST') {
        // A full disk leaves a part of it.
        await rm(path, { force: true })
        throw error
      }
      throw new Refused(`${path} is there already, and is left as it is`)
    }
    this.#files.push(path)
  }

  /** A file that something else is about to make. */
  expect(path: string): void {
    this.#files.push(path)
  }

  /** Removes everything that was made, and nothing else; resolves to what could not be removed. */
  async undo(): Promise<readonly string[]> {
    for (const path of this.#files.toReversed()) await rm(path, { force: true }).catch(() => {})
    // A folder that something was put into meanwhile stays.
    for (const path of this.#folders.toReversed()) await rmdir(path).catch(() => {})
    return this.#files.filter((path) => existsSync(path))
  }
}
