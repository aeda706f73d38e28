import { globSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const tests = fileURLToPath(new URL('..', import.meta.url))

/** It finds its data by where its source lies. */
const asTheyAre = ['lanes/rebuild-writer.ts']

/**
 * Before the lanes run: the programs that they start, each with the library in a few files. The
 * lanes start a program some two thousand times, and three hundred small modules take four times
 * as long to load. `startChild` finds the folder by $EVENTUALI_PROGRAMS.
 */
export async function setup(): Promise<() => void> {
  const programs = globSync(['lanes/*.ts', 'process/*.ts'], { cwd: tests }).filter(
    (file) =>
      !file.endsWith('.test.ts') &&
      !asTheyAre.includes(file) &&
      readFileSync(resolve(tests, file), 'utf8').includes('/program.ts'),
  )
  const folder = resolve('.tmp', `programs-${process.pid}`)
  mkdirSync(folder, { recursive: true })
  const bundle = await rolldown({
    input: Object.fromEntries(
      programs.map((file) => [file.replace(/\.ts$/, ''), resolve(tests, file)]),
    ),
    platform: 'node',
    // Packages are loaded as ever: a driver, a validator.
    external: (id) => !id.startsWith('.') && !id.startsWith('/'),
    // A fingerprint is made of the sources of functions: they stay as they are.
    treeshake: false,
  })
  await bundle.write({ dir: folder, format: 'esm', entryFileNames: '[name].mjs' })
  await bundle.close()
  process.env.EVENTUALI_PROGRAMS = folder
  return () => rmSync(folder, { recursive: true, force: true })
}
