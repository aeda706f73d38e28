import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { chromiumPath, noChromium } from '../examples/browser-check.ts'
import { firstDifference, idleMasks, masked, parseMasks } from './example-output.ts'
import { run } from './run.ts'
import type { Skip, Tally } from './tally.ts'

const timeoutMs = 120_000
/** As many as the smallest machine has cores. */
const atATime = 2

/** How the examples are run. */
export interface ExampleOptions {
  /** Only those whose folder begins with one of these; all when left out. */
  readonly only?: readonly string[]
  /** Writes what they print to `expected.txt` in the place of comparing it. */
  readonly update?: boolean
  /** Gives each example an empty Postgres database of its own, as STORE. */
  readonly database?: () => Promise<string>
  /** The folder of the examples. */
  readonly folder?: string
  /** The browser for examples with a page; looked for in PATH when left out. */
  readonly chromium?: () => string | undefined
}

/** Where an example is a page, main.ts serves it until Ctrl-C, and this is what tries it. */
const pageCheck = 'in-chromium.ts'

/**
 * Runs each NAME/main.ts, or NAME/in-chromium.ts where there is one, in an empty folder and
 * compares what it prints with NAME/expected.txt, of which masks.txt leaves out what varies.
 * Without a Chromium the pages are skipped, and counted. Where Postgres has something else to show,
 * its text is expected.postgres.txt.
 */
export async function exampleSuite(options: ExampleOptions = {}): Promise<Tally> {
  const started = performance.now()
  const { only = [''], database, folder = 'examples', chromium = chromiumPath } = options
  const suite = database === undefined ? 'examples' : 'examples on Postgres'
  const mains = globSync(`${folder}/*/main.ts`)
    .sort()
    .filter((main) => only.some((start) => basename(dirname(main)).startsWith(start)))
    // The two without a number show one file, and take no STORE.
    .filter((main) => database === undefined || /^\d\d-/.test(basename(dirname(main))))
  const failures: string[] = mains.length === 0 ? ['there is no such example'] : []
  const skips: Skip[] = []
  let passed = 0
  const hasBrowser = chromium() !== undefined
  const programs = mains.flatMap((main) => {
    const check = join(dirname(main), pageCheck)
    if (!existsSync(check)) return [main]
    if (hasBrowser) return [check]
    skips.push({ name: check, why: noChromium })
    return []
  })
  const waiting = programs.values()
  const work = async () => {
    for (const main of waiting) {
      const fault = await runExample(main, options)
      if (fault === undefined) passed++
      else failures.push(`${main}: ${fault}`)
    }
  }
  await Promise.all(Array.from({ length: atATime }, work))
  const seconds = (performance.now() - started) / 1000
  return { suite, passed, failures, skips, seconds }
}

async function runExample(main: string, options: ExampleOptions): Promise<string | undefined> {
  // Its temporary files too, so that two runs never meet.
  const cwd = mkdtempSync(join(tmpdir(), 'eventuali-example-'))
  try {
    const store = await options.database?.()
    const { exitCode, output, stdout, seconds } = await run(process.execPath, [resolve(main)], {
      timeoutMs,
      cwd,
      env: { TMPDIR: cwd, NO_COLOR: '1', ...(store === undefined ? {} : { STORE: store }) },
    })
    console.log(`${seconds.toFixed(1).padStart(6)} s  ${dirname(main)}`)
    if (exitCode !== 0) return `ended with code ${exitCode}\n${output}`
    return checkOutput(dirname(main), stdout, store === undefined ? undefined : 'postgres', options)
  } catch (error) {
    // A wrong masks.txt, say: the fault of this example, and the others go on.
    return error instanceof Error ? error.message : String(error)
  } finally {
    rmSync(cwd, { recursive: true, force: true })
  }
}

function checkOutput(
  folder: string,
  stdout: string,
  adapter: 'postgres' | undefined,
  { update = false }: ExampleOptions,
): string | undefined {
  const own = join(folder, `expected.${adapter}.txt`)
  const file = adapter !== undefined && existsSync(own) ? own : join(folder, 'expected.txt')
  const maskFile = join(folder, 'masks.txt')
  const masks = existsSync(maskFile) ? parseMasks(readFileSync(maskFile, 'utf8')) : []
  const text = masked(stdout, masks)
  if (update) {
    writeFileSync(file, text)
    return undefined
  }
  const idle = adapter === undefined ? idleMasks(stdout, masks) : []
  if (idle.length > 0) return `masks.txt hides nothing with ${idle.join(', ')}`
  if (!existsSync(file)) return `${file} is missing; write it with "npm run examples -- --update"`
  return firstDifference(readFileSync(file, 'utf8'), text)
}
